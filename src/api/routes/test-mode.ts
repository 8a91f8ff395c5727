import { Type } from 'typebox';
import { deliveryStatuses } from '../../channels/channel.ts';
import { withClinic } from '../../database/with-clinic.ts';
import { AppError } from '../../errors.ts';
import { findClinic } from '../../history/clinic-store.ts';
import { formatHostId } from '../../history/host-id.ts';
import { hostIdsOf } from '../../history/patient-store.ts';
import { recordTestReceipt, recordTestReply } from '../../replies/test-replies.ts';
import { advanceTestClock } from '../../rules/advance-test-clock.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { readInstant } from '../page.ts';
import { done, HostIdText, Id, Instant, nullable, strict } from '../words.ts';

/** Moving a clinic's clock by years takes as long as it takes. */
const clockMs = 5 * 60_000;

const ClockOut = Type.Object({ now: Instant }, { title: 'TestClock' });
const AdvancedOut = Type.Object(
  {
    now: Instant,
    planned: Type.Integer({ description: 'Messages that were planned.' }),
    sent: Type.Integer({ description: 'Messages that left.' }),
    suppressed: Type.Integer({ description: 'Occurrences that ended without one.' }),
  },
  { title: 'TestClockAdvanced' },
);

export const testModeRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/test/clock',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getTestClock',
        tags: ['Test'],
        summary: "Show a test clinic's present instant",
        response: { 200: ClockOut },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const clinic = await run((trx) => findClinic(trx, clinicId));
      if (!clinic?.testNow) {
        throw new AppError('unprocessable', 'Only a test clinic has a clock of its own.');
      }
      return { now: clinic.testNow.toString() };
    },
  );

  app.post(
    '/v1/test/clock',
    {
      config: { access: 'manage', ticks: false },
      handlerTimeout: clockMs,
      schema: {
        operationId: 'moveTestClock',
        tags: ['Test'],
        summary: 'Move the clock forward, and answer when all that was due has happened',
        body: strict(
          {
            now: Type.String({
              minLength: 1,
              maxLength: 40,
              description: 'At most 400 days ahead; the present instant is allowed.',
              examples: ['2026-04-01T12:00:00Z'],
            }),
          },
          { title: 'TestClockIn' },
        ),
        response: { 200: AdvancedOut },
      },
    },
    async (request) => {
      const { clinic, clinicId } = atClinic(deps, request);
      const target = readInstant(request.body.now, clinic.timeZone, '/now');
      const advanced = await advanceTestClock(deps, clinicId, target);
      return { ...advanced, now: advanced.now.toString() };
    },
  );

  app.post(
    '/v1/test/replies',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'replyInTest',
        tags: ['Test'],
        summary: 'Let a patient of a test clinic answer a message, or write from an address',
        body: strict(
          {
            messageId: Type.Optional(Id),
            from: Type.Optional(
              Type.String({
                minLength: 1,
                maxLength: 254,
                description: 'A phone or an e-mail address.',
              }),
            ),
            text: Type.String({ maxLength: 4_000, examples: ['STOP'] }),
          },
          { title: 'TestReply' },
        ),
        response: {
          201: Type.Object(
            {
              id: nullable(Id),
              meaning: Type.String({ description: 'What it was taken for.' }),
              patientId: nullable(HostIdText),
              messageId: nullable(Id),
            },
            { title: 'Reply' },
          ),
        },
      },
    },
    async (request, reply) => {
      const { caller, clinicId } = atClinic(deps, request);
      const { patientId, ...recorded } = await recordTestReply(deps, clinicId, request.body);
      reply.code(201);
      return { ...recorded, patientId: await hostIdOf(deps, clinicId, patientId, caller.source) };
    },
  );

  app.post(
    '/v1/test/receipts',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'reportInTest',
        tags: ['Test'],
        summary: 'Let the provider of a test clinic report on a message',
        body: strict(
          {
            messageId: Id,
            status: Type.Enum([...deliveryStatuses], { examples: ['delivered'] }),
          },
          { title: 'TestReceipt' },
        ),
        response: { 204: done('Recorded.') },
      },
    },
    async (request, reply) => {
      await recordTestReceipt(deps, atClinic(deps, request).clinicId, request.body);
      return reply.code(204).send(null);
    },
  );
};

async function hostIdOf(
  { db }: AppDeps,
  clinicId: string,
  patientId: string | null,
  source: string,
): Promise<string | null> {
  if (patientId === null) return null;
  const ids = await withClinic(db, clinicId, (trx) => hostIdsOf(trx, clinicId, [patientId]));
  const found = ids.get(patientId);
  return found ? formatHostId(found, source) : null;
}
