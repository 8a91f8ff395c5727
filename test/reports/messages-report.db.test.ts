import t from 'tap';
import { messagesReport } from '../../src/reports/messages-report-store.ts';
import { testDatabase } from '../support/postgres.ts';
import { type ReportFixture, reportFixture } from './report-clinic.ts';

const now = Temporal.Instant.from('2026-06-30T22:30:00Z');

const report = (f: ReportFixture, query = {}) =>
  f.read((trx) => messagesReport(trx, f.clinic, query, now));

for (const engine of ['postgres', 'pglite'] as const) {
  t.test(`messages are counted by all that tells them apart, on ${engine}`, async (t) => {
    const { db } = await testDatabase(t, { engine });
    const f = await reportFixture(db);
    const ruleId = await f.rule({ name: 'Recall' });
    const patientId = await f.patient();
    const message = (at: string, more = {}) => f.message({ ruleId, patientId, at, ...more });
    const price = { segments: 2, costMicros: 4_500_000 };
    await message('2026-06-30T20:59:59Z', { ...price, state: 'delivered' });
    await message('2026-06-30T20:59:59Z', { ...price, state: 'delivered' });
    // Already the first of July in Moscow.
    await message('2026-06-30T21:00:00Z', { ...price, state: 'sent' });
    await message('2026-06-30T09:00:00Z', { state: 'suppressed', reason: 'opted-out' });
    await message('2026-06-30T09:00:00Z', { state: 'held', reason: 'no-consent' });
    await f.message({
      patientId,
      at: '2026-06-30T09:00:00Z',
      purpose: 'transactional',
      channel: 'inbox',
    });
    await f.journey({
      ruleId,
      patientId,
      dueAt: '2026-06-30T09:00:00Z',
      state: 'suppressed',
      reason: 'deceased',
    });
    const { data, totals, ...head } = await report(f, { from: '2026-06-30', to: '2026-07-01' });
    t.same(head, { asOf: '2026-06-30T22:30:00Z', from: '2026-06-30', to: '2026-07-01' });
    const row = {
      ruleId,
      name: 'Recall',
      channel: 'sms',
      purpose: 'care',
      day: '2026-06-30',
      reason: null,
      replied: 0,
      segments: 0,
      cost: '0.00',
      currency: 'RUB',
    };
    const unsent = { ...row, messages: 1 };
    t.same(
      new Set(data.map((found) => JSON.stringify(sorted(found)))),
      new Set(
        [
          { ...row, state: 'delivered', messages: 2, segments: 4, cost: '9.00' },
          { ...unsent, day: '2026-07-01', state: 'sent', segments: 2, cost: '4.50' },
          { ...unsent, state: 'suppressed', reason: 'opted-out' },
          { ...unsent, state: 'held', reason: 'no-consent' },
          { ...unsent, state: 'suppressed', reason: 'deceased', channel: null },
          {
            ...unsent,
            ruleId: null,
            name: null,
            purpose: 'transactional',
            channel: 'inbox',
            state: 'sent',
          },
        ].map((wanted) => JSON.stringify(sorted(wanted))),
      ),
    );
    t.same(totals, {
      messages: 6,
      sent: 4,
      delivered: 2,
      replied: 0,
      suppressed: { 'opted-out': 1, deceased: 1 },
      held: { 'no-consent': 1 },
      segments: 6,
      cost: '13.50',
      currency: 'RUB',
    });
  });
}

function sorted(row: object): [string, unknown][] {
  return Object.entries(row).sort(([one], [other]) => (one < other ? -1 : 1));
}

t.test('a report tells how many messages patients answered', async (t) => {
  const { db } = await testDatabase(t);
  const f = await reportFixture(db);
  const patientId = await f.patient();
  const at = '2026-06-01T09:00:00Z';
  await f.message({ patientId, at, channel: 'sms', repliedAt: '2026-06-01T10:00:00Z' });
  await f.message({ patientId, at, channel: 'sms', repliedAt: '2026-06-09T10:00:00Z' });
  await f.message({ patientId, at, channel: 'sms' });
  await f.message({ patientId, at, channel: 'email' });
  const { data, totals } = await report(f, { by: ['channel'] });
  t.match(new Set(data), new Set([{ channel: 'sms', messages: 3, replied: 2 }]));
  t.match(new Set(data), new Set([{ channel: 'email', messages: 1, replied: 0 }]));
  t.match(totals, { messages: 4, replied: 2 });
});

t.test('a report may count by less, and of one rule alone', async (t) => {
  const { db } = await testDatabase(t);
  const f = await reportFixture(db);
  const recall = await f.rule({ name: 'Recall' });
  const birthday = await f.rule({ name: 'Birthday' });
  const patientId = await f.patient();
  for (const [ruleId, at] of [
    [recall, '2026-06-01T09:00:00Z'],
    [recall, '2026-06-02T09:00:00Z'],
    [birthday, '2026-06-02T09:00:00Z'],
  ] as const)
    await f.message({ ruleId, patientId, at, costMicros: 7_900 });
  const by = await report(f, { by: ['rule', 'channel'] });
  t.match(by.data, [
    { ruleId: recall, channel: 'sms', day: null, messages: 2, cost: '0.0158' },
    { ruleId: birthday, channel: 'sms', day: null, messages: 1, cost: '0.0079' },
  ]);
  const one = await report(f, { ruleId: birthday });
  t.match(one.data, [{ ruleId: birthday, messages: 1 }]);
  t.equal(one.totals.messages, 1);
});

t.test('a report covers the last 365 days of the clinic unless asked otherwise', async (t) => {
  const { db } = await testDatabase(t);
  const f = await reportFixture(db);
  const patientId = await f.patient();
  await f.message({ patientId, at: '2025-07-01T20:59:59Z' });
  await f.message({ patientId, at: '2025-07-01T21:00:00Z' });
  t.match(await report(f), { from: '2025-07-02', to: '2026-07-01', totals: { messages: 1 } });
});
