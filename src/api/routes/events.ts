import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { Type } from 'typebox';
import {
  fromBinaryCloudEvent,
  fromStructuredCloudEvent,
  isBinaryCloudEvent,
} from '../../intake/cloud-event.ts';
import { eventIn } from '../../intake/event.ts';
import { recordNdjson } from '../../intake/ndjson.ts';
import { type IntakeAnswer, recordEvents } from '../../intake/record-events.ts';
import { rejectionError } from '../../intake/rejection.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import { batchBytesMax, batchItemsMax, cloudEventType, jsonType, ndjsonType } from '../bodies.ts';
import type { AppDeps } from '../deps.ts';
import { inTime } from '../in-time.ts';
import { validatorCompilerButBody } from '../validate.ts';
import { nullable } from '../words.ts';

/** Streams last as long as they flow. */
const streamMs = 24 * 3_600_000;

const Rejected = Type.Object({
  index: Type.Integer({ description: 'Which item, counted from 0.' }),
  id: nullable(Type.String()),
  problem: Type.Object(
    {
      title: Type.String(),
      status: Type.Integer(),
      code: Type.String(),
      detail: Type.String(),
      errors: Type.Array(
        Type.Object({ pointer: Type.String(), code: Type.String(), detail: Type.String() }),
      ),
    },
    { description: 'What is wrong with it.' },
  ),
});

export const IntakeOut = Type.Object(
  {
    accepted: Type.Integer({ description: 'Stored now.' }),
    duplicates: Type.Integer({ description: 'Stored before.' }),
    stale: Type.Integer({ description: 'Stored, but something newer is known.' }),
    rejected: Type.Array(Rejected, { description: 'Not stored; a stream lists the first 1,000.' }),
    rejectedCount: Type.Optional(
      Type.Integer({ description: 'Of a stream: all that were rejected.' }),
    ),
  },
  { title: 'IntakeAnswer', description: 'What became of each item.' },
);

const EventIn = { ...eventIn, title: 'Event' };

export const eventRoutes = (deps: AppDeps) => async (app: App) => {
  app.addContentTypeParser(ndjsonType, async (_request: unknown, payload: Readable) => payload);

  app.post(
    '/v1/events',
    {
      config: { access: 'intake', batch: true },
      bodyLimit: batchBytesMax,
      handlerTimeout: streamMs,
      validatorCompiler: validatorCompilerButBody,
      schema: {
        operationId: 'recordEvents',
        tags: ['Intake'],
        summary:
          'Tell what happened: one event, up to 1,000, or a stream of lines; CloudEvents too',
        consumes: [jsonType, cloudEventType, ndjsonType],
        body: Type.Union([EventIn, Type.Array(EventIn, { maxItems: batchItemsMax })]),
        response: { 202: IntakeOut },
      },
    },
    async (request, reply) => {
      const { caller, now } = atClinic(deps, request);
      reply.code(202);
      const body: unknown = request.body;
      if (isStream(body)) return recordNdjson(deps, caller, inTime(body));
      if (Array.isArray(body)) return recordEvents(deps, caller, body);
      const event = eventOf(request.headers, body, now);
      return onlyOne(await recordEvents(deps, caller, [event]));
    },
  );
};

/** One event, in our own form or as a CloudEvent. */
function eventOf(headers: IncomingHttpHeaders, body: unknown, now: Temporal.Instant): unknown {
  if (isBinaryCloudEvent(headers)) return fromBinaryCloudEvent(headers, body, now.toString());
  return headers['content-type']?.startsWith(cloudEventType)
    ? fromStructuredCloudEvent(body, now.toString())
    : body;
}

function isStream(body: unknown): body is Readable {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}

/** @throws AppError when the only event was rejected: then nothing was accepted. */
function onlyOne(answer: IntakeAnswer): IntakeAnswer {
  const [rejected] = answer.rejected;
  if (rejected) throw rejectionError(rejected.problem);
  return answer;
}
