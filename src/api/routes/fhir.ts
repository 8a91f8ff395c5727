import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { notFound } from '../../errors.ts';
import {
  bundleEntriesMax,
  deleteFhir,
  isSingleResource,
  operationOutcome,
  recordFhir,
} from '../../intake/fhir.ts';
import type { IntakeAnswer } from '../../intake/record-events.ts';
import type { App } from '../app-types.ts';
import { callerOf } from '../authenticate.ts';
import { batchBytesMax, fhirType, jsonType } from '../bodies.ts';
import type { AppDeps } from '../deps.ts';
import { problemSchema } from '../problem.ts';
import { validatorCompilerButBody } from '../validate.ts';
import { IntakeOut } from './events.ts';

const Resource = Type.Object(
  { resourceType: Type.String({ examples: ['Patient'] }) },
  {
    description: `A Patient, Encounter, Appointment, Practitioner, Organization or Location, or a Bundle of up to ${bundleEntriesMax}.`,
  },
);

const Outcome = Type.Object(
  {
    resourceType: Type.Literal('OperationOutcome'),
    issue: Type.Array(
      Type.Object({
        severity: Type.Literal('error'),
        code: Type.String({ description: "FHIR's own code.", examples: ['required'] }),
        details: Type.Object({ text: Type.String({ examples: ['missing'] }) }),
        diagnostics: Type.String(),
        expression: Type.Optional(Type.Array(Type.String({ examples: ['/birthDate'] }))),
      }),
    ),
  },
  { title: 'OperationOutcome', description: 'What is wrong with a single resource.' },
);

const Params = Type.Object({
  type: Type.String({
    pattern: '^[A-Za-z]{1,64}$',
    description: 'The resource type.',
    examples: ['Patient'],
  }),
  id: Type.String({
    pattern: '^[A-Za-z0-9.-]{1,64}$',
    description: 'The logical id.',
    examples: ['1042'],
  }),
});

const shared = {
  tags: ['Intake'],
  consumes: [fhirType, jsonType],
  body: Resource,
  response: {
    202: IntakeOut,
    422: {
      content: {
        [fhirType]: { schema: Outcome },
        // For what passes a limit before it is read as a resource.
        'application/problem+json': { schema: problemSchema },
      },
    },
  },
};
const options = {
  config: { access: 'intake', batch: true },
  bodyLimit: batchBytesMax,
  validatorCompiler: validatorCompilerButBody,
} as const;

export const fhirRoutes = (deps: AppDeps) => async (app: App) => {
  app.post(
    '/v1/intake/fhir',
    {
      ...options,
      schema: {
        ...shared,
        operationId: 'recordFhir',
        summary: 'Take a FHIR R4 resource, or a Bundle whose entries each stand for themselves',
      },
    },
    async (request, reply) =>
      answer(reply, request.body, await recordFhir(deps, callerOf(request), request.body)),
  );

  app.put(
    '/v1/intake/fhir',
    {
      ...options,
      schema: {
        ...shared,
        operationId: 'putFhir',
        summary: 'The same, for systems that push with PUT',
      },
    },
    async (request, reply) =>
      answer(reply, request.body, await recordFhir(deps, callerOf(request), request.body)),
  );

  app.put(
    '/v1/intake/fhir/:type/:id',
    {
      ...options,
      schema: {
        ...shared,
        operationId: 'putFhirResource',
        summary: 'Take the resource that the path names',
        params: Params,
      },
    },
    async (request, reply) => {
      const recorded = await recordFhir(deps, callerOf(request), request.body, request.params);
      return answer(reply, request.body, recorded);
    },
  );

  app.delete(
    '/v1/intake/fhir/:type/:id',
    {
      config: { access: 'intake' },
      schema: {
        operationId: 'deleteFhirResource',
        tags: ['Intake'],
        summary: 'Note that a resource no longer exists, also one that is not known yet',
        params: Params,
        response: { 202: IntakeOut },
      },
    },
    async (request, reply) => {
      const isTaken = await deleteFhir(deps, callerOf(request), request.params);
      if (!isTaken) throw notFound('resource');
      reply.code(202);
      return { accepted: 1, duplicates: 0, stale: 0, rejected: [] };
    },
  );
};

/** A single resource that is wrong is told in FHIR's own way; the entries of a Bundle by their index. */
function answer(reply: FastifyReply, body: unknown, recorded: IntakeAnswer): FastifyReply {
  const [rejected] = recorded.rejected;
  if (rejected && isSingleResource(body)) {
    const type = `${fhirType}; charset=utf-8`;
    return reply
      .code(422)
      .type(type)
      .send(JSON.stringify(operationOutcome(rejected.problem)));
  }
  return reply.code(202).send(recorded);
}
