import { type Static, Type } from 'typebox';
import { invalid } from '../../errors.ts';
import { formatHostId } from '../../history/host-id.ts';
import { isDay, localDay } from '../../local-time.ts';
import { type Digest, readDigest } from '../../replies/digest.ts';
import { digestIdsMax } from '../../replies/digest-store.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { Day, HostIdText, Id, Instant, strict } from '../words.ts';

const Count = Type.Integer({ examples: [3] });
const shownAbout = `The first ${digestIdsMax}.`;

const DigestOut = Type.Object(
  {
    on: Day,
    visits: Type.Object(
      {
        from: Day,
        to: Day,
        count: Count,
        unconfirmed: Count,
        appointments: Type.Array(
          Type.Object({
            id: HostIdText,
            patientId: HostIdText,
            start: Instant,
            confirmed: Type.Boolean(),
          }),
          { description: `Those that nobody confirmed stand first. ${shownAbout}` },
        ),
      },
      { description: 'To come from the next day to the next one on which the clinic is open.' },
    ),
    birthdays: Type.Object(
      {
        from: Day,
        to: Day,
        count: Count,
        patientIds: Type.Array(HostIdText, { description: shownAbout }),
      },
      { description: 'Of this day and the six that follow.' },
    ),
    tasks: Type.Object(
      {
        open: Count,
        overdue: Type.Integer({ description: 'Due before this day.', examples: [1] }),
        taskIds: Type.Array(Id, { description: `The longest due first. ${shownAbout}` }),
      },
      { description: 'As they stand now.' },
    ),
    threads: Type.Object({
      waiting: Type.Integer({ description: 'Patients who wait for an answer now.', examples: [1] }),
    }),
    feedback: Type.Object(
      {
        since: Instant,
        count: Count,
        lowest: Type.Union([Type.Number(), Type.Null()], {
          description: 'The lowest mark; null where there is none.',
          examples: [2],
        }),
      },
      { description: 'Since the clinic’s last open day began.' },
    ),
  },
  { title: 'Digest', description: 'What staff should know when a day begins.' },
);

export const digestRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/digest',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getDigest',
        tags: ['Patients'],
        summary: 'Show what staff should know on a day',
        querystring: strict({ on: Type.Optional(Day) }),
        response: { 200: DigestOut },
      },
    },
    async (request) => {
      const { caller, clinic, now, run } = atClinic(deps, request);
      const { on = localDay(now, clinic.timeZone) } = request.query;
      if (!isDay(on)) throw invalid('/on', 'not-a-day', 'This is no day, such as 2026-03-28.');
      return toOut(await run((trx) => readDigest(trx, clinic, on)), caller.source);
    },
  );
};

function toOut(digest: Digest, source: string): Static<typeof DigestOut> {
  const { visits: shown, ...visits } = digest.visits;
  const { patients, ...birthdays } = digest.birthdays;
  return {
    ...digest,
    visits: {
      ...visits,
      appointments: shown.map(({ appointment, patient, start, isConfirmed }) => ({
        id: formatHostId(appointment, source),
        patientId: formatHostId(patient, source),
        start: start.toString(),
        confirmed: isConfirmed,
      })),
    },
    birthdays: { ...birthdays, patientIds: patients.map((id) => formatHostId(id, source)) },
    feedback: { ...digest.feedback, since: digest.feedback.since.toString() },
  };
}
