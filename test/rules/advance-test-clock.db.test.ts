import t from 'tap';
import { fixedClock } from '../../src/clock.ts';
import type { Db } from '../../src/database/connect.ts';
import { advanceTestClock, tickTestClinic } from '../../src/rules/advance-test-clock.ts';
import { dispatchDeps } from '../outbox/outbox-clinic.ts';
import { makeAppointment, makePatient, makeRule, makeVisit } from '../support/factory.ts';
import { testDatabase } from '../support/postgres.ts';
import { clinicIn, type SeenMessage } from './rules-clinic.ts';

const start = '2026-03-02T06:00:00Z';

/** Twelve patients with visits, bookings and birthdays around; named by number, so that two clinics compare. */
async function livelyClinic(db: Db) {
  const clinic = await clinicIn(db, { now: start, timeZone: 'Europe/Berlin' });
  const names = new Map<string, string>();
  for (let index = 0; index < 12; index += 1) {
    const zone = index % 3 === 0 ? { timeZone: 'America/Bogota' } : {};
    const patientId = await makePatient(db, clinic.id, {
      birthDate: `1980-03-${10 + index}`,
      ...zone,
    });
    names.set(patientId, `p${index}`);
    const day = Temporal.PlainDate.from('2025-09-04').add({ days: index * 2 });
    await makeVisit(db, clinic.id, { id: `v${index}`, patientId, at: `${day}T15:00:00Z` });
    if (index % 4 !== 1) continue;
    await makeAppointment(db, clinic.id, {
      id: `a${index}`,
      patientId,
      start: `2026-03-${10 + index}T09:30:00Z`,
      bookedAt: start,
    });
  }
  await makeRule(
    db,
    clinic.id,
    {
      steps: [
        { channel: 'sms', template: 'care' },
        { channel: 'email', template: 'care', after: 'P1D' },
        { channel: 'inbox', template: 'care', after: 'P3D' },
      ],
    },
    { now: start },
  );
  await makeRule(
    db,
    clinic.id,
    {
      purpose: 'transactional',
      trigger: { type: 'appointment', before: 'P2D' },
      steps: [{ channel: 'sms', template: 'transactional' }],
    },
    { now: start },
  );
  await makeRule(
    db,
    clinic.id,
    {
      purpose: 'transactional',
      trigger: { type: 'appointment', before: 'PT2H' },
      steps: [{ channel: 'sms', template: 'transactional' }],
    },
    { now: start },
  );
  await makeRule(db, clinic.id, { trigger: { type: 'birthday' } }, { now: start });
  const deps = dispatchDeps(db, fixedClock(start), []);
  const outcome = async () =>
    (await clinic.messages())
      .map(
        ({ patientId, ...message }: SeenMessage) =>
          `${names.get(patientId)} ${JSON.stringify(message)}`,
      )
      .sort();
  return { ...clinic, deps, outcome };
}

t.test('a clock that jumps has the result of every tick between', async (t) => {
  const { db } = await testDatabase(t);
  const jumping = await livelyClinic(db);
  const ticking = await livelyClinic(db);
  const end = Temporal.Instant.from('2026-03-14T06:00:00Z');
  const result = await advanceTestClock(jumping.deps, jumping.id, end);
  t.equal(result.now.toString(), end.toString());
  let now = Temporal.Instant.from(start);
  while (Temporal.Instant.compare(now, end) < 0) {
    now = now.add({ hours: 3 });
    await advanceTestClock(ticking.deps, ticking.id, now);
  }
  const [one, other] = [await jumping.outcome(), await ticking.outcome()];
  t.same(one, other);
  t.ok(one.filter((line) => line.includes('delivered')).length > 12, `${one.length} messages`);
  t.ok(result.sent > 12);
});

t.test('a clock moves forward only, and not too far', async (t) => {
  const { db } = await testDatabase(t);
  const clinic = await clinicIn(db, { now: start });
  const deps = dispatchDeps(db, fixedClock(start), []);
  const at = (text: string) => advanceTestClock(deps, clinic.id, Temporal.Instant.from(text));
  await t.rejects(at('2026-03-02T05:59:59Z'), { message: /only moves forward/ });
  await t.rejects(at('2027-04-07T06:00:00Z'), { message: /at most 400 days/ });
  t.match(await at(start), { planned: 0, sent: 0, suppressed: 0 });
  const live = await clinicIn(db, { mode: 'live' });
  await t.rejects(advanceTestClock(deps, live.id, Temporal.Instant.from(start)), {
    code: 'unprocessable',
  });
});

t.test('two callers at once move the clock once, and a write ticks at the present', async (t) => {
  const { db } = await testDatabase(t);
  const clinic = await livelyClinic(db);
  const end = Temporal.Instant.from('2026-03-09T06:00:00Z');
  const moves = await Promise.all([1, 2].map(() => advanceTestClock(clinic.deps, clinic.id, end)));
  t.equal(moves[1]?.sent, 0, 'the second found nothing left to do');
  t.same((await tickTestClinic(clinic.deps, clinic.id)).now.toString(), end.toString());
});
