import fc from 'fast-check';
import { sql } from 'kysely';
import t from 'tap';
import type { Db } from '../../src/database/connect.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import type { RuleIn } from '../../src/rules/rule.ts';
import {
  makeAppointment,
  makeEvent,
  makePatient,
  makeRule,
  makeVisit,
  putTreatment,
} from '../support/factory.ts';
import { testDatabase } from '../support/postgres.ts';
import { clinicIn } from './rules-clinic.ts';

/** A mark plans one patient, the horizon plans everybody: both must find the same. */

const active = Temporal.Instant.from('2026-03-27T06:00:00Z');
const transactional = {
  purpose: 'transactional',
  steps: [{ channel: 'sms', template: 'transactional' }],
} as const;
const rules = [
  { trigger: { type: 'visit', after: 'P30D' } },
  {
    trigger: { type: 'visit', after: 'P1M', scope: 'same-practitioner', services: ['hygiene'] },
    unlessBooked: false,
  },
  {
    trigger: { type: 'visit', after: 'P30D', scope: 'same-service' },
    audience: { visits: { lte: 3, within: 'P12M' } },
  },
  { trigger: { type: 'visit', after: 'PT36H' } },
  { ...transactional, trigger: { type: 'visit', after: 'P30D' } },
  { trigger: { type: 'birthday', offset: '-P3D' }, audience: { not: { age: { gte: 40 } } } },
  { ...transactional, trigger: { type: 'appointment', before: 'P1D' } },
  {
    ...transactional,
    trigger: { type: 'appointment', before: 'PT5H' },
    audience: { hasFutureAppointment: true },
  },
  { trigger: { type: 'patient', after: 'P2D' }, audience: { lastVisit: { after: 'P90D' } } },
  { trigger: { type: 'calendar', date: '03-29' }, audience: { visits: { gte: 1 } } },
  { trigger: { type: 'inactive', after: 'P1M' } },
  { trigger: { type: 'event', event: 'x-result', after: 'P1D', where: { score: { gte: 2 } } } },
  { ...transactional, trigger: { type: 'event', event: 'x-result', after: 'PT5H' } },
  { ...transactional, trigger: { type: 'event', event: 'appointment.delayed' } },
  { trigger: { type: 'treatment', services: ['crown'] } },
  { trigger: { type: 'data-check', field: 'phone', after: 'P3D' } },
] as unknown as Partial<RuleIn>[];

const zone = fc.constantFrom(undefined, 'Europe/Berlin', 'America/Santiago', 'Asia/Tokyo');
const minutesAround = (days: number) => fc.integer({ min: -days * 24 * 60, max: days * 24 * 60 });
const person = fc.record({
  wish: fc.constantFrom(undefined, undefined, 'none', 'P2D', ['day-before', 'PT3H'], 'a call'),
  zone,
  birthDate: fc
    .integer({ min: -6, max: 8 })
    .map((days) => Temporal.PlainDate.from('1986-03-30').add({ days }).toString()),
  created: minutesAround(5),
  // Around thirty days before the rule was switched on, and a few more.
  visits: fc.array(
    fc.record({
      at: minutesAround(4),
      doctor: fc.constantFrom('a', 'b'),
      service: fc.constantFrom('hygiene', 'x-ray'),
      back: fc.constantFrom(1, 30, 31),
    }),
    { maxLength: 4 },
  ),
  bookings: fc.array(
    fc.record({ at: minutesAround(4), zone, late: fc.option(fc.integer({ min: 1, max: 40 })) }),
    { maxLength: 2 },
  ),
  results: fc.array(fc.record({ at: minutesAround(2), score: fc.integer({ min: 0, max: 4 }) }), {
    maxLength: 2,
  }),
  step: fc.option(
    fc.record({
      days: fc.integer({ min: -5, max: 5 }),
      service: fc.constantFrom('crown', 'implant'),
    }),
  ),
});
type Person = typeof person extends fc.Arbitrary<infer P> ? P : never;

const minutes = (count: number) => active.add({ minutes: count }).toString();

async function tell(db: Db, clinicId: string, people: readonly Person[]): Promise<string[]> {
  const ids: string[] = [];
  for (const [index, one] of people.entries()) {
    const patientId = await makePatient(db, clinicId, {
      birthDate: one.birthDate,
      createdAt: minutes(one.created),
      ...(one.wish && { reminderPreference: one.wish }),
      ...(one.zone && { timeZone: one.zone }),
    });
    ids.push(patientId);
    for (const [at, visit] of one.visits.entries()) {
      await makeVisit(db, clinicId, {
        id: `v${index}-${at}`,
        patientId,
        at: minutes(visit.at - visit.back * 24 * 60),
        practitioner: visit.doctor,
        services: [visit.service],
      });
    }
    for (const [at, booking] of one.bookings.entries()) {
      await makeAppointment(db, clinicId, {
        id: `a${index}-${at}`,
        patientId,
        start: minutes(booking.at),
        bookedAt: minutes(-60 * 24 * 60),
        ...(booking.zone && { timeZone: booking.zone }),
      });
      if (booking.late === null) continue;
      await makeEvent(db, clinicId, {
        id: `d${index}-${at}`,
        type: 'appointment.delayed',
        patientId,
        at: minutes(booking.at - 60),
        data: { id: `a${index}-${at}`, minutes: booking.late },
      });
    }
    for (const [at, { score, at: minute }] of one.results.entries()) {
      const id = `x${index}-${at}`;
      const event = { id, type: 'x-result', patientId, at: minutes(minute), data: { score } };
      await makeEvent(db, clinicId, event);
    }
    if (one.step !== null) {
      const dueOn = Temporal.PlainDate.from('2026-03-27').add({ days: one.step.days }).toString();
      await putTreatment(db, clinicId, { id: `t${index}`, patientId, dueOn, ...one.step });
    }
  }
  return ids;
}

async function planned(
  db: Db,
  clinicId: string,
  ids: readonly string[],
  ruleIds: readonly string[],
) {
  return withClinic(db, clinicId, async (trx) => {
    const { rows } = await sql<{
      rule_id: string;
      patient_id: string;
      occurrence: string;
      due_at: Temporal.Instant;
      expires_at: Temporal.Instant;
      state: string;
      reason: string;
    }>`
      select rule_id, patient_id, occurrence, due_at, expires_at, state, reason from journeys where clinic_id = ${clinicId}`.execute(
      trx,
    );
    return rows
      .map(
        (row) =>
          `rule ${ruleIds.indexOf(row.rule_id)} p${ids.indexOf(row.patient_id)} ${row.occurrence} ${row.due_at} ${row.expires_at} ${row.state} ${row.reason}`,
      )
      .sort();
  });
}

t.test('a change is planned by its mark as it would have been by its day', async (t) => {
  const { db } = await testDatabase(t);
  let found = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(person, { minLength: 5, maxLength: 15 }), async (people) => {
      const outcome = async (order: 'history first' | 'rules first') => {
        const clinic = await clinicIn(db, { timeZone: 'Europe/Berlin', now: active.toString() });
        const activate = async () => {
          const made = [];
          for (const rule of rules)
            made.push(await makeRule(db, clinic.id, rule, { now: active.toString() }));
          return made.map(({ id }) => id);
        };
        if (order === 'history first') {
          const ids = await tell(db, clinic.id, people);
          await withClinic(db, clinic.id, (trx) =>
            sql`delete from replan where clinic_id = ${clinic.id}`.execute(trx),
          );
          const ruleIds = await activate();
          await clinic.plan(active.toString());
          return planned(db, clinic.id, ids, ruleIds);
        }
        const ruleIds = await activate();
        await clinic.plan(active.toString());
        const ids = await tell(db, clinic.id, people);
        await clinic.plan(active.toString());
        return planned(db, clinic.id, ids, ruleIds);
      };
      const byDay = await outcome('history first');
      found += byDay.length;
      t.same(await outcome('rules first'), byDay);
    }),
    { numRuns: 8 },
  );
  t.ok(found > 50, `${found} occurrences were compared`);
});
