import fc from 'fast-check';
import t from 'tap';
import { returnsReport } from '../../src/reports/returns-report-store.ts';
import { testDatabase } from '../support/postgres.ts';
import { type ReportFixture, reportFixture } from './report-clinic.ts';

const now = Temporal.Instant.from('2026-06-30T09:00:00Z');
const { db } = await testDatabase(t);

const report = (f: ReportFixture, query = {}) =>
  f.read((trx) => returnsReport(trx, f.clinic, query, now));

/** A journey of one message that left, with its patient. */
async function sent(
  f: ReportFixture,
  { ruleId, at, patientId, costMicros }: SentOptions,
): Promise<{ patientId: string; journeyId: string }> {
  const patient = patientId ?? (await f.patient());
  const journeyId = await f.journey({ ruleId, patientId: patient, dueAt: at });
  await f.message({
    journeyId,
    ruleId,
    patientId: patient,
    at,
    ...(costMicros !== undefined && { costMicros }),
  });
  return { patientId: patient, journeyId };
}

interface SentOptions {
  ruleId: string;
  at: string;
  patientId?: string;
  costMicros?: number;
}

t.test('a clinic with one rule and nothing sent has a report of zeros', async (t) => {
  const f = await reportFixture(db);
  const ruleId = await f.rule({ name: 'Hygiene recall' });
  await f.rule({ name: 'Reminder', purpose: 'transactional' });
  const figures = {
    journeys: 0,
    messages: 0,
    delivered: 0,
    cost: '0.00',
    booked: 0,
    returned: 0,
    revenue: '0.00',
    roi: null,
    open: 0,
    holdout: 0,
    holdoutReturned: 0,
    uplift: null,
    upliftLow: null,
    upliftHigh: null,
    costPerAdditionalVisit: null,
    currency: 'RUB',
  };
  t.same(await report(f), {
    asOf: '2026-06-30T09:00:00Z',
    from: '2025-07-01',
    to: '2026-06-30',
    data: [{ ruleId, name: 'Hygiene recall', ...figures }],
    totals: figures,
  });
});

t.test('a recall that brings a patient back counts with what it cost and brought', async (t) => {
  const f = await reportFixture(db);
  const ruleId = await f.rule();
  const { patientId, journeyId } = await sent(f, {
    ruleId,
    at: '2026-05-01T07:00:00Z',
    costMicros: 4_500_000,
  });
  await f.message({
    journeyId,
    ruleId,
    patientId,
    at: '2026-05-08T07:00:00Z',
    step: 1,
    state: 'delivered',
    costMicros: 5_500_000,
  });
  await sent(f, { ruleId, at: '2026-05-01T07:00:00Z' });
  const appointmentId = await f.appointment({
    patientId,
    at: '2026-05-20T08:00:00Z',
    bookedAt: '2026-05-09T08:00:00Z',
    status: 'fulfilled',
  });
  await f.visit({ patientId, at: '2026-05-20T08:00:00Z', amount: 250_000, appointmentId });
  const { data } = await report(f);
  t.match(data, [
    {
      journeys: 2,
      messages: 3,
      delivered: 1,
      cost: '10.00',
      booked: 1,
      returned: 1,
      revenue: '2500.00',
      roi: 249,
      open: 1,
    },
  ]);
});

t.test('where the host sends appointments alone, a fulfilled one is a return', async (t) => {
  const f = await reportFixture(db);
  const ruleId = await f.rule();
  const { patientId } = await sent(f, { ruleId, at: '2026-05-01T07:00:00Z' });
  await f.appointment({
    patientId,
    at: '2026-05-20T08:00:00Z',
    bookedAt: '2026-05-09T08:00:00Z',
    status: 'fulfilled',
  });
  t.match((await report(f)).totals, { booked: 1, returned: 1, open: 0 });
});

t.test('a visit that was booked before the message is nobody’s return', async (t) => {
  const f = await reportFixture(db);
  const ruleId = await f.rule();
  const { patientId } = await sent(f, { ruleId, at: '2026-05-10T07:00:00Z' });
  const appointmentId = await f.appointment({
    patientId,
    at: '2026-05-20T08:00:00Z',
    bookedAt: '2026-05-09T08:00:00Z',
    status: 'fulfilled',
  });
  await f.visit({ patientId, at: '2026-05-20T08:00:00Z', appointmentId });
  t.match((await report(f)).totals, { booked: 0, returned: 0, open: 1 });
});

t.test('a visit belongs to the latest journey that left before the booking', async (t) => {
  const f = await reportFixture(db);
  const recall = await f.rule({ name: 'A recall' });
  const birthday = await f.rule({ name: 'B birthday', purpose: 'marketing' });
  const { patientId } = await sent(f, { ruleId: recall, at: '2026-05-01T07:00:00Z' });
  const appointmentId = await f.appointment({
    patientId,
    at: '2026-05-20T08:00:00Z',
    bookedAt: '2026-05-09T08:00:00Z',
  });
  await sent(f, { ruleId: birthday, at: '2026-05-10T07:00:00Z', patientId });
  await f.visit({ patientId, at: '2026-05-20T08:00:00Z', appointmentId });
  await f.visit({ patientId, at: '2026-05-22T08:00:00Z' });
  const { data } = await report(f);
  t.match(data, [
    { ruleId: recall, returned: 1, booked: 1 },
    { ruleId: birthday, returned: 1, booked: 0 },
  ]);
});

t.test('a reminder does not compete for a visit', async (t) => {
  const f = await reportFixture(db);
  const recall = await f.rule();
  const reminder = await f.rule({ name: 'Reminder', purpose: 'transactional' });
  const { patientId } = await sent(f, { ruleId: recall, at: '2026-05-01T07:00:00Z' });
  const journeyId = await f.journey({
    ruleId: reminder,
    patientId,
    dueAt: '2026-05-19T07:00:00Z',
  });
  await f.message({
    journeyId,
    ruleId: reminder,
    patientId,
    purpose: 'transactional',
    at: '2026-05-19T07:00:00Z',
  });
  await f.visit({ patientId, at: '2026-05-20T08:00:00Z' });
  t.match((await report(f)).data, [{ ruleId: recall, returned: 1 }]);
  t.equal((await report(f)).data.length, 1);
});

t.test('a window is open until its very end, on the calendar of the clinic', async (t) => {
  // Madrid moves its clocks forward on 29 March.
  const f = await reportFixture(db, { timeZone: 'Europe/Madrid', currency: 'EUR' });
  const ruleId = await f.rule({ attributionWindow: 'P30D' });
  const early = await sent(f, { ruleId, at: '2026-03-10T09:00:00Z' });
  const late = await sent(f, { ruleId, at: '2026-03-10T09:00:00Z' });
  await f.visit({ patientId: early.patientId, at: '2026-04-09T07:59:59Z' });
  await f.visit({ patientId: late.patientId, at: '2026-04-09T08:00:00Z' });
  t.match((await report(f)).totals, { journeys: 2, returned: 1, open: 0 });
});

t.test('a visit that had begun as the message left is no return', async (t) => {
  const f = await reportFixture(db);
  const ruleId = await f.rule();
  const { patientId } = await sent(f, { ruleId, at: '2026-05-01T07:00:00Z' });
  await f.visit({ patientId, at: '2026-05-01T06:45:00Z', end: '2026-05-01T07:30:00Z' });
  t.match((await report(f)).totals, { returned: 0, open: 1 });
});

t.test('a message that reached nobody brings nobody back, yet its cost counts', async (t) => {
  const f = await reportFixture(db);
  const ruleId = await f.rule();
  const patientId = await f.patient();
  const journeyId = await f.journey({ ruleId, patientId, dueAt: '2026-05-01T07:00:00Z' });
  await f.message({
    journeyId,
    ruleId,
    patientId,
    at: '2026-05-01T07:00:00Z',
    state: 'failed',
    costMicros: 1_000_000,
  });
  await f.visit({ patientId, at: '2026-05-20T08:00:00Z' });
  t.match((await report(f)).totals, { journeys: 1, cost: '1.00', returned: 0, open: 0 });
});

t.test(
  'an unfinished visit, one to come, and money of another currency bring nothing',
  async (t) => {
    const f = await reportFixture(db);
    const ruleId = await f.rule();
    const cancelled = await sent(f, { ruleId, at: '2026-05-01T07:00:00Z' });
    await f.visit({
      patientId: cancelled.patientId,
      at: '2026-05-20T08:00:00Z',
      status: 'cancelled',
    });
    const coming = await sent(f, { ruleId, at: '2026-05-01T07:00:00Z' });
    await f.visit({ patientId: coming.patientId, at: '2026-07-01T08:00:00Z' });
    const foreign = await sent(f, { ruleId, at: '2026-05-01T07:00:00Z' });
    await f.visit({
      patientId: foreign.patientId,
      at: '2026-05-20T08:00:00Z',
      amount: 100,
      currency: 'EUR',
    });
    t.match((await report(f)).totals, { returned: 1, revenue: '0.00', open: 2 });
  },
);

t.test('who died cannot return any more', async (t) => {
  const f = await reportFixture(db);
  const ruleId = await f.rule();
  await sent(f, {
    ruleId,
    at: '2026-06-01T07:00:00Z',
    patientId: await f.patient({ deceased: true }),
  });
  t.match((await report(f)).totals, { journeys: 1, open: 0 });
});

t.test('a booking counts unless it was called off', async (t) => {
  const f = await reportFixture(db);
  const ruleId = await f.rule();
  for (const status of ['booked', 'noshow', 'cancelled', 'waitlist', 'entered-in-error']) {
    const { patientId } = await sent(f, { ruleId, at: '2026-06-01T07:00:00Z' });
    await f.appointment({
      patientId,
      at: '2026-07-20T08:00:00Z',
      bookedAt: '2026-06-09T08:00:00Z',
      status,
    });
  }
  t.match((await report(f)).totals, { journeys: 5, booked: 2, returned: 0, open: 5 });
});

t.test('a journey belongs to the period in which its first message left', async (t) => {
  const f = await reportFixture(db);
  const ruleId = await f.rule();
  // Midnight of 1 May in Moscow is 21:00 of 30 April in UTC.
  const april = await sent(f, { ruleId, at: '2026-04-30T20:59:59Z' });
  await f.message({
    journeyId: april.journeyId,
    ruleId,
    patientId: april.patientId,
    at: '2026-05-07T07:00:00Z',
    step: 1,
  });
  const may = await sent(f, { ruleId, at: '2026-04-30T21:00:00Z' });
  await sent(f, { ruleId, at: '2026-05-31T21:00:00Z', patientId: may.patientId });
  await f.visit({ patientId: april.patientId, at: '2026-05-20T08:00:00Z' });
  await f.visit({ patientId: may.patientId, at: '2026-06-20T08:00:00Z' });
  const { totals } = await report(f, { from: '2026-05-01', to: '2026-05-31' });
  // The journey of June, outside the period, takes the visit.
  t.match(totals, { journeys: 1, messages: 1, returned: 0 });
});

t.test('uplift compares all who passed every check, held out or not', async (t) => {
  const f = await reportFixture(db);
  const ruleId = await f.rule();
  const dueAt = '2026-05-01T07:00:00Z';
  for (const comes of [true, true, true, false]) {
    const { patientId } = await sent(f, { ruleId, at: dueAt, costMicros: 3_000_000 });
    if (comes) await f.visit({ patientId, at: '2026-05-20T08:00:00Z' });
  }
  // Planned, then booked by herself before it left: she had passed every check.
  const booker = await f.patient();
  await f.journey({ ruleId, patientId: booker, dueAt, state: 'cancelled', reason: 'booked' });
  await f.visit({ patientId: booker, at: '2026-05-21T08:00:00Z' });
  const optedOut = await f.patient();
  await f.journey({ ruleId, patientId: optedOut, dueAt, state: 'suppressed', reason: 'opted-out' });
  for (const comes of [true, false, false, false, false]) {
    const patientId = await f.patient();
    await f.journey({ ruleId, patientId, dueAt, holdout: true });
    if (comes) await f.visit({ patientId, at: '2026-05-20T08:00:00Z' });
  }
  // Merged from one of each arm.
  const merged = await f.patient();
  await f.journey({ ruleId, patientId: merged, dueAt, holdout: true });
  await sent(f, { ruleId, at: dueAt, patientId: merged });
  const { data, totals } = await report(f);
  // 4 of 5 against 1 of 5; Wilson: 0.3755 to 0.9638 and 0.0362 to 0.6245, so 0.6 -+ sqrt(2) times 0.4245 and 0.1638.
  t.match(data, [
    { journeys: 5, holdout: 5, holdoutReturned: 1, uplift: 0.6, costPerAdditionalVisit: '4.00' },
  ]);
  t.match(data, [{ upliftLow: -0.0003, upliftHigh: 0.8316 }]);
  t.match(totals, { holdout: 5, uplift: null, costPerAdditionalVisit: null });
});

t.test('a period upside down, not a day, or too long is refused with its field', async (t) => {
  const f = await reportFixture(db);
  await t.rejects(report(f, { from: '2026-05-02', to: '2026-05-01' }), { code: 'validation' });
  await t.rejects(report(f, { from: '2026-02-30' }), { code: 'validation' });
  await t.rejects(report(f, { from: '1950-01-01' }), { code: 'validation' });
});

t.test('no visit is counted for two journeys, whatever happened', async () => {
  const minute = fc.integer({ min: 0, max: 170 * 24 * 60 });
  const history = fc.record({
    touches: fc.array(fc.record({ rule: fc.integer({ min: 0, max: 1 }), at: minute }), {
      maxLength: 6,
    }),
    visits: fc.array(
      fc.record({ at: minute, booked: fc.option(fc.integer({ min: 0, max: 60 * 24 * 60 })) }),
      { maxLength: 6 },
    ),
  });
  await fc.assert(
    fc.asyncProperty(history, async ({ touches, visits }) => {
      const f = await reportFixture(db, { timeZone: 'UTC' });
      const rules = [
        await f.rule({ name: 'A', attributionWindow: 'P30D' }),
        await f.rule({ name: 'B', attributionWindow: 'PT72H' }),
      ];
      const patientId = await f.patient();
      for (const { rule, at } of touches)
        await sent(f, { ruleId: rules[rule] ?? '', at: instant(at), patientId });
      for (const { at, booked } of visits) {
        const bookedAt = booked === null ? undefined : at - booked;
        const appointmentId =
          bookedAt === undefined
            ? undefined
            : await f.appointment({
                patientId,
                at: instant(at),
                bookedAt: instant(bookedAt),
                status: 'fulfilled',
              });
        await f.visit({
          patientId,
          at: instant(at),
          amount: 100,
          ...(appointmentId !== undefined && { appointmentId }),
        });
      }
      const { data, totals } = await report(f);
      const truth = credit(touches, visits);
      const found = data.map(({ returned, revenue }) => ({ returned, revenue: Number(revenue) }));
      return (
        JSON.stringify(found) === JSON.stringify(truth) &&
        totals.returned <= visits.length &&
        Number(totals.revenue) <= visits.length
      );
    }),
    { numRuns: 60 },
  );
});

function instant(minutes: number): string {
  return Temporal.Instant.from('2026-01-05T00:00:00Z').add({ minutes }).toString();
}

/** The definition once more, by loops: of the two rules' windows, whose is the visit? */
function credit(
  touches: { rule: number; at: number }[],
  visits: { at: number; booked: number | null }[],
): { returned: number; revenue: number }[] {
  const windows = [30 * 24 * 60, 72 * 60];
  const returned = [new Set<number>(), new Set<number>()];
  const revenue = [0, 0];
  for (const visit of visits) {
    const decidedAt = visit.booked === null ? visit.at : visit.at - visit.booked;
    let best = -1;
    touches.forEach(({ rule, at }, index) => {
      const isInTime = at < decidedAt && at < visit.at && visit.at < at + (windows[rule] ?? 0);
      if (isInTime && at >= (touches[best]?.at ?? -1)) best = index;
    });
    const winner = touches[best];
    if (winner === undefined) continue;
    returned[winner.rule]?.add(best);
    revenue[winner.rule] = (revenue[winner.rule] ?? 0) + 1;
  }
  return returned.map((journeys, rule) => ({
    returned: journeys.size,
    revenue: revenue[rule] ?? 0,
  }));
}
