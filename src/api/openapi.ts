import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { problemSchema } from './problem.ts';

/** The OpenAPI document, made of the routes' own schemas. */

const tags = [
  ['Operator', 'Clinics and their keys, by the key of whoever runs the installation.'],
  ['Clinic', 'Settings and keys of the clinic that a key belongs to.'],
  ['Intake', 'Events, patients, appointments and visits.'],
  ['Engagement', 'Templates, rules, messages and channels.'],
  ['Patients', 'What a patient was told, answered and agreed to.'],
  ['Reports', 'What was sent, what it cost, and who returned.'],
  ['Test', 'The clock, replies and receipts of a test clinic.'],
  ['System', 'Health, metrics and this document.'],
] as const;

export type Tag = (typeof tags)[number][0];

export function describeApi(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Retorno',
        version,
        description:
          'Brings patients back: takes events of a clinic, decides who is due, sends what suits, and shows who returned.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/', description: 'This installation.' }],
      tags: tags.map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          clinicKey: {
            type: 'http',
            scheme: 'bearer',
            description:
              'A key of a clinic, `rtn_live_…` or `rtn_test_…`, with the scope the operation names.',
          },
          operatorKey: {
            type: 'http',
            scheme: 'bearer',
            description: 'The key in `RETORNO_OPERATOR_KEY`.',
          },
        },
      },
    },
    transform: ({ schema, url, route }) => {
      const access = route.config?.access;
      const described = {
        ...schema,
        ...(access !== undefined && { security: securityOf(access) }),
        ...(access !== undefined && access !== 'public' && access !== 'operator'
          ? { 'x-scope': access }
          : {}),
      };
      return { schema: described, url };
    },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return document.swaggerObject;
      return shareSchemas(withProblems(document.openapiObject as OpenApi)) as never;
    },
  };
}

function securityOf(access: string): Record<string, string[]>[] {
  if (access === 'public') return [];
  return [access === 'operator' ? { operatorKey: [] } : { clinicKey: [] }];
}

interface Operation {
  responses?: Record<string, unknown>;
}

interface OpenApi {
  paths?: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, unknown> };
}

/** Whatever goes wrong is told in one way, so that no route has to say so. */
function withProblems(document: OpenApi): OpenApi {
  const problem = {
    description: 'What went wrong.',
    content: { 'application/problem+json': { schema: problemSchema } },
  };
  for (const operations of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(operations)) {
      operation.responses = { ...operation.responses, default: problem };
    }
  }
  return document;
}

/** A schema with a title is written once, under that name, and referred to everywhere else. */
function shareSchemas(document: OpenApi): OpenApi {
  const schemas: Record<string, unknown> = {};
  const share = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(share);
    if (typeof value !== 'object' || value === null) return value;
    const copy = Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, share(inner)]),
    );
    if (typeof copy.title !== 'string' || copy.type !== 'object') return copy;
    const { title, ...schema } = copy;
    schemas[title] ??= schema;
    return { $ref: `#/components/schemas/${title}` };
  };
  const paths = share(document.paths ?? {}) as NonNullable<OpenApi['paths']>;
  const sorted = Object.fromEntries(
    Object.entries(schemas).sort(([one], [other]) => (one < other ? -1 : 1)),
  );
  return { ...document, paths, components: { ...document.components, schemas: sorted } };
}
