import t, { type Test } from 'tap';
import type { RuleIn } from '../../src/rules/rule.ts';
import {
  type ClinicWish,
  makeAppointment,
  makePatient,
  makeRule,
  makeVisit,
  type PatientWish,
} from '../support/factory.ts';
import { testDatabase } from '../support/postgres.ts';
import { clinicIn } from './rules-clinic.ts';

/** The engine on days on which clocks, zones and calendars are not even. */

t.setTimeout(120_000);

interface Case {
  clinic?: ClinicWish;
  rule: Partial<RuleIn>;
  /** When the rule is switched on and planned. */
  now: string;
  patient?: PatientWish;
  visitAt?: string;
  appointmentAt?: string;
}

/** For each case, alone in its clinic, when it is to be sent. */
async function plannedFor(t: Test) {
  const { db } = await testDatabase(t);
  return async ({ clinic: wish, rule, now, patient, visitAt, appointmentAt }: Case) => {
    const clinic = await clinicIn(db, { now, ...wish });
    await makeRule(db, clinic.id, rule, { now });
    const patientId = await makePatient(db, clinic.id, patient);
    if (visitAt) await makeVisit(db, clinic.id, { patientId, at: visitAt });
    if (appointmentAt) {
      const bookedAt = Temporal.Instant.from(now).subtract('PT24H').toString();
      await makeAppointment(db, clinic.id, { patientId, start: appointmentAt, bookedAt });
    }
    await clinic.plan(now);
    return (await clinic.messages()).map(({ scheduledAt }) => scheduledAt);
  };
}

function noonOf(day: string, before: string, timeZone: string): string {
  const noon = Temporal.PlainDate.from(day).subtract(before).toPlainDateTime('12:00');
  return noon.toZonedDateTime(timeZone).toInstant().toString();
}

t.test(
  'an hour that does not exist goes forward, and one that comes twice is the first',
  async (t) => {
    const planned = await plannedFor(t);
    for (const [timeZone, day, sendAt, expected] of [
      // Two in the morning becomes three.
      ['Europe/Berlin', '2026-03-29', '02:30', '2026-03-29T01:30:00Z'],
      ['Europe/Berlin', '2026-10-25', '02:30', '2026-10-25T00:30:00Z'],
      // Half an hour is left out, and comes twice.
      ['Australia/Lord_Howe', '2026-10-04', '02:15', '2026-10-03T15:45:00Z'],
      ['Australia/Lord_Howe', '2026-04-05', '01:45', '2026-04-04T14:45:00Z'],
      ['America/St_Johns', '2026-03-08', '02:30', '2026-03-08T06:00:00Z'],
      ['America/St_Johns', '2026-11-01', '01:30', '2026-11-01T04:00:00Z'],
      // The day itself begins an hour late.
      ['Africa/Cairo', '2026-04-24', '00:30', '2026-04-23T22:30:00Z'],
      ['Asia/Kolkata', '2026-03-29', '10:00', '2026-03-29T04:30:00Z'],
    ] as const) {
      const seen = await planned({
        clinic: { timeZone },
        rule: { trigger: { type: 'visit', after: 'P10D' }, sendAt },
        now: noonOf(day, 'P2D', timeZone),
        visitAt: noonOf(day, 'P10D', timeZone),
      });
      t.same(seen, [expected], `${timeZone} ${day}`);
    }
  },
);

const reminder = (before: string): Partial<RuleIn> => ({
  purpose: 'transactional',
  trigger: { type: 'appointment', before },
  steps: [{ channel: 'sms', template: 'transactional' }],
});

t.test('a day before is at the same hour, and 24 hours before are 24 hours', async (t) => {
  const planned = await plannedFor(t);
  for (const [timeZone, appointmentAt, before, expected] of [
    ['Europe/Berlin', '2026-03-29T12:00:00Z', 'P1D', '2026-03-28T13:00:00Z'],
    ['Europe/Berlin', '2026-03-29T12:00:00Z', 'PT24H', '2026-03-28T12:00:00Z'],
    ['Europe/Berlin', '2026-03-29T12:00:00Z', 'PT2H', '2026-03-29T10:00:00Z'],
    ['Australia/Lord_Howe', '2026-10-04T03:00:00Z', 'P1D', '2026-10-03T03:30:00Z'],
    ['Australia/Lord_Howe', '2026-10-04T03:00:00Z', 'PT24H', '2026-10-03T03:00:00Z'],
    ['America/St_Johns', '2026-11-01T18:00:00Z', 'P1D', '2026-10-31T17:00:00Z'],
    ['America/St_Johns', '2026-11-01T18:00:00Z', 'PT24H', '2026-10-31T18:00:00Z'],
  ] as const) {
    const now = Temporal.Instant.from(appointmentAt).subtract('PT48H').toString();
    const seen = await planned({
      clinic: { timeZone },
      rule: reminder(before),
      now,
      appointmentAt,
    });
    t.same(seen, [expected], `${timeZone} ${before}`);
  }
});

t.test('a patient elsewhere gets it in their morning, counted from the clinic’s day', async (t) => {
  const planned = await plannedFor(t);
  for (const [timeZone, expected] of [
    [undefined, '2026-03-11T15:00:00Z'],
    ['Asia/Kolkata', '2026-03-11T04:30:00Z'],
    ['Australia/Lord_Howe', '2026-03-10T23:00:00Z'],
    ['America/St_Johns', '2026-03-11T12:30:00Z'],
    ['Pacific/Kiritimati', '2026-03-10T20:00:00Z'],
  ] as const) {
    const seen = await planned({
      clinic: { timeZone: 'America/Bogota' },
      rule: { trigger: { type: 'visit', after: 'P10D' } },
      now: '2026-03-10T06:00:00Z',
      // The first of March in Bogota, and already the second in Kolkata and on Lord Howe.
      visitAt: '2026-03-02T01:00:00Z',
      patient: timeZone === undefined ? {} : { timeZone },
    });
    t.same(seen, [expected], timeZone ?? 'the clinic’s own');
  }
});

t.test('a month after the last of a long one is the last of a short one', async (t) => {
  const planned = await plannedFor(t);
  for (const [day, after, due] of [
    ['2026-01-31', 'P1M', '2026-02-28'],
    ['2026-01-28', 'P1M', '2026-02-28'],
    ['2025-08-31', 'P6M', '2026-02-28'],
    ['2024-02-29', 'P2Y', '2026-02-28'],
    ['2026-02-28', 'P1M', '2026-03-28'],
    ['2027-12-31', 'P2M', '2028-02-29'],
  ] as const) {
    const seen = await planned({
      rule: { trigger: { type: 'visit', after } },
      now: noonOf(due, 'P2D', 'UTC'),
      visitAt: `${day}T12:00:00Z`,
    });
    t.same(seen, [`${due}T10:00:00Z`], `${day} ${after}`);
  }
});

t.test('who was born on 29 February is greeted around the 28th in other years', async (t) => {
  const planned = await plannedFor(t);
  for (const [offset, due] of [
    ['P0D', '2027-02-28'],
    ['P0D', '2028-02-29'],
    ['-P3D', '2027-02-25'],
    ['-P3D', '2028-02-26'],
    ['P1D', '2027-03-01'],
    ['P1D', '2028-03-01'],
  ] as const) {
    const seen = await planned({
      rule: { trigger: { type: 'birthday', offset } },
      now: noonOf(due, 'P2D', 'UTC'),
      patient: { birthDate: '1988-02-29' },
    });
    t.same(seen, [`${due}T10:00:00Z`], `${offset} ${due}`);
  }
});

t.test('a wait of a ladder keeps the hour of the wall over a change of the clock', async (t) => {
  const { db } = await testDatabase(t);
  const now = '2026-03-25T06:00:00Z';
  const clinic = await clinicIn(db, { now, timeZone: 'Europe/Berlin' });
  const step = { channel: 'sms', template: 'care' } as const;
  const steps = [step, { ...step, after: 'P3D' }];
  await makeRule(db, clinic.id, { trigger: { type: 'visit', after: 'P10D' }, steps }, { now });
  const patientId = await makePatient(db, clinic.id);
  await makeVisit(db, clinic.id, { patientId, at: '2026-03-17T12:00:00Z' });
  await clinic.plan('2026-03-26T06:00:00Z');
  await clinic.send('2026-03-27T12:00:00Z');
  await clinic.plan('2026-03-28T12:00:00Z');
  t.same(
    (await clinic.messages()).map(({ scheduledAt }) => scheduledAt),
    ['2026-03-27T09:00:00Z', '2026-03-30T08:00:00Z'],
  );
});
