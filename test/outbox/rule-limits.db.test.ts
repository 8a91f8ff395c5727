import { sql } from 'kysely';
import t from 'tap';
import { findClinic } from '../../src/history/clinic-store.ts';
import { putChannel } from '../../src/outbox/channel-store.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { type NewMessage, recheckHeld } from '../../src/outbox/message-store.ts';
import { putTemplate } from '../../src/outbox/template-store.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { noon, type OutboxClinic, outboxClinic } from './outbox-clinic.ts';

interface Limits {
  perDay?: number;
  budget?: { amount: string; per: string };
}

const run = (clinic: OutboxClinic) =>
  dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());

/** Times of one row: made long ago, due at noon less so many hours. */
const made = { created_at: noon, updated_at: noon };

async function addRule({ in: within, clinicId }: OutboxClinic, limits: Limits): Promise<string> {
  const id = uuidv7(noon);
  const definition = JSON.stringify({ name: 'Recall', purpose: 'transactional', limits });
  const row = { clinic_id: clinicId, id, name: 'Recall', version: 1, definition, ...made };
  const text = 'We expect you, {{patient.name.given}}.';
  const bodies = { sms: { en: { text } }, email: { en: { subject: 'Your visit', text } } };
  await within(async (trx) => {
    await putTemplate(trx, clinicId, 'recall', { purpose: 'transactional', bodies }, noon);
    await trx
      .insertInto('rules')
      .values({ ...row, state: 'active', active_from: noon })
      .execute();
  });
  return id;
}

/** A patient who fell due so many hours ago, with the message of that step. */
async function addDue(
  clinic: OutboxClinic,
  ruleId: string,
  hoursOverdue: number,
  wish: {
    phone?: string | null;
    step?: number;
    journeyId?: string;
    expiresInHours?: number;
    message?: Partial<NewMessage>;
  } = {},
): Promise<{ messageId: string; journeyId: string }> {
  const patientId = await clinic.addPatient(wish.phone === undefined ? {} : { phone: wish.phone });
  const dueAt = noon.subtract({ hours: hoursOverdue });
  const expiresAt = noon.add({ hours: wish.expiresInHours ?? 96 });
  const journeyId = wish.journeyId ?? uuidv7(noon);
  if (wish.journeyId === undefined)
    await clinic.in((trx) =>
      trx
        .insertInto('journeys')
        .values({
          clinic_id: clinic.clinicId,
          id: journeyId,
          rule_id: ruleId,
          rule_version: 1,
          patient_id: patientId,
          occurrence: 'visit:v',
          anchor: '{}',
          due_at: dueAt,
          expires_at: expiresAt,
          state: 'planned',
          ...made,
        })
        .execute(),
    );
  const messageId = await clinic.enqueue({
    patientId,
    ruleId,
    journeyId,
    step: wish.step ?? 0,
    template: 'recall',
    guard: { since: dueAt.toString() },
    // All became due for the dispatcher at once: only the journeys tell who is overdue.
    scheduledAt: noon.subtract({ hours: 1 }),
    expiresAt,
    ...wish.message,
  });
  return { messageId, journeyId };
}

async function statesOf(clinic: OutboxClinic, due: readonly { messageId: string }[]) {
  const rows = await Promise.all(due.map(({ messageId }) => clinic.message(messageId)));
  return rows.map(({ state, reason }) => (reason === null ? state : `${state} ${reason}`));
}

t.test('a rule writes to so many a day, the most overdue first; the others follow', async (t) => {
  const clinic = await outboxClinic(t);
  const ruleId = await addRule(clinic, { perDay: 2 });
  const due = [];
  for (const hours of [1, 30, 20, 10]) due.push(await addDue(clinic, ruleId, hours));
  await run(clinic);
  const held = 'held daily-limit';
  t.same(await statesOf(clinic, due), [held, 'sent', 'sent', held]);
  t.equal(
    String((await clinic.message(due[0]?.messageId ?? '')).next_at),
    '2026-11-26T00:00:00Z',
    'they are looked at again as the next day begins',
  );
  clinic.clock.advance({ hours: 24 });
  await addDue(clinic, ruleId, -23);
  await run(clinic);
  t.same(await statesOf(clinic, due), ['sent', 'sent', 'sent', 'sent']);
});

t.test('who waits for a place until it is too late ends with that reason', async (t) => {
  const clinic = await outboxClinic(t);
  const ruleId = await addRule(clinic, { perDay: 1 });
  const due = [
    await addDue(clinic, ruleId, 9),
    await addDue(clinic, ruleId, 2, { expiresInHours: 3 }),
  ];
  await run(clinic);
  clinic.clock.advance({ hours: 3 });
  await run(clinic);
  t.same(await statesOf(clinic, due), ['sent', 'suppressed daily-limit']);
});

t.test('who cannot be reached takes nobody’s place', async (t) => {
  const clinic = await outboxClinic(t);
  const ruleId = await addRule(clinic, { perDay: 1 });
  const due = [await addDue(clinic, ruleId, 9, { phone: null }), await addDue(clinic, ruleId, 2)];
  await run(clinic);
  t.same(await statesOf(clinic, due), ['held no-contact-point', 'sent']);
});

t.test('who has not consented takes nobody’s place, on another channel either', async (t) => {
  const clinic = await outboxClinic(t);
  const ruleId = await addRule(clinic, { perDay: 1 });
  const held = { state: 'held', reason: 'no-consent', channel: 'email' } as const;
  await addDue(clinic, ruleId, 30, { message: held });
  const second = await addDue(clinic, ruleId, 20);
  await run(clinic);
  t.match(await clinic.message(second.messageId), { state: 'sent' });
});

t.test('who waits for another’s turn keeps their own', async (t) => {
  const clinic = await outboxClinic(t);
  const ruleId = await addRule(clinic, { perDay: 1 });
  const soon = noon.add({ minutes: 10 });
  const waits = { state: 'held', reason: 'daily-limit', scheduledAt: soon } as const;
  const first = await addDue(clinic, ruleId, 30, { message: waits });
  const second = await addDue(clinic, ruleId, 20);
  await run(clinic);
  t.match(await clinic.message(second.messageId), { state: 'held', reason: 'daily-limit' });
  clinic.clock.advance({ minutes: 15 });
  await run(clinic);
  t.match(await clinic.message(first.messageId), { state: 'sent' });
  t.match(await clinic.message(second.messageId), { state: 'held', reason: 'daily-limit' });
});

t.test('who waits for another’s turn is looked at again before the hours are over', async (t) => {
  const clinic = await outboxClinic(t);
  const ruleId = await addRule(clinic, { perDay: 1 });
  const purpose = 'care';
  const soon = Temporal.Instant.from('2026-11-25T20:55:00Z');
  const waits = { state: 'held', reason: 'daily-limit', scheduledAt: soon } as const;
  await addDue(clinic, ruleId, 30, { message: { ...waits, purpose } });
  const second = await addDue(clinic, ruleId, 20, { message: { purpose } });
  clinic.clock.set('2026-11-25T20:50:00Z');
  await run(clinic);
  const message = await clinic.message(second.messageId);
  t.match(message, { state: 'held', reason: 'daily-limit' });
  t.equal(String(message.next_at), '2026-11-25T20:51:00Z');
});

for (const [reason, limits] of [
  ['daily-limit', { perDay: 1 }],
  ['budget', { budget: { amount: '0.06', per: 'P1D' } }],
] as const) {
  t.test(`what the day had no place for says ${reason} until the day is over`, async (t) => {
    const clinic = await outboxClinic(t);
    const ruleId = await addRule(clinic, limits);
    const message = { purpose: 'care' } as const;
    await addDue(clinic, ruleId, 30, { message });
    const second = await addDue(clinic, ruleId, 20, { message });
    await run(clinic);
    const lookAgain = async (at: string) => {
      clinic.clock.set(at);
      const reasons = [reason, 'send-window'] as const;
      await clinic.in((trx) => recheckHeld(trx, clinic.clinicId, { reasons }, clinic.clock.now()));
      await run(clinic);
      return clinic.message(second.messageId);
    };
    t.match(await lookAgain('2026-11-25T23:00:00Z'), { state: 'held', reason });
    t.match(await lookAgain('2026-11-26T01:00:00Z'), { state: 'held', reason: 'send-window' });
  });
}

t.test('a further step is no first contact', async (t) => {
  const clinic = await outboxClinic(t);
  const ruleId = await addRule(clinic, { perDay: 1 });
  const first = await addDue(clinic, ruleId, 9);
  await run(clinic);
  const { journeyId } = first;
  const next = await addDue(clinic, ruleId, 1, { journeyId, step: 1 });
  await run(clinic);
  t.same(await statesOf(clinic, [first, next]), ['sent', 'sent']);
});

t.test('a budget is never exceeded, and what it held goes when days fall out of it', async (t) => {
  // A message costs 0.05.
  const clinic = await outboxClinic(t);
  const ruleId = await addRule(clinic, { budget: { amount: '0.12', per: 'P2D' } });
  const due = [];
  for (const hours of [9, 8, 7]) due.push(await addDue(clinic, ruleId, hours));
  await run(clinic);
  t.same(await statesOf(clinic, due), ['sent', 'sent', 'held budget']);
  clinic.clock.advance({ hours: 24 });
  await run(clinic);
  t.same(await statesOf(clinic, due), ['sent', 'sent', 'held budget'], 'two days share it');
  clinic.clock.advance({ hours: 24 });
  await run(clinic);
  t.same(await statesOf(clinic, due), ['sent', 'sent', 'sent']);
});

t.test(
  'what is left of a budget goes to the most overdue, who may wait on another channel',
  async (t) => {
    const clinic = await outboxClinic(t);
    const ruleId = await addRule(clinic, { budget: { amount: '0.06', per: 'P30D' } });
    const soon = noon.add({ minutes: 10 });
    const waits = { state: 'held', reason: 'budget', scheduledAt: soon } as const;
    const first = await addDue(clinic, ruleId, 30, { message: waits });
    const second = await addDue(clinic, ruleId, 20);
    await run(clinic);
    t.same(await statesOf(clinic, [first, second]), ['held budget', 'held budget']);
    clinic.clock.advance({ minutes: 15 });
    await run(clinic);
    t.same(await statesOf(clinic, [first, second]), ['sent', 'held budget']);
    t.equal(String((await clinic.message(second.messageId)).next_at), '2026-11-26T00:00:00Z');
  },
);

for (const { tariff, state } of [
  { tariff: '0.08', state: 'held budget' },
  { tariff: '0.01', state: 'sent' },
]) {
  t.test(
    `who is due first keeps ${tariff} of the last 0.10 for a letter: a text of 0.05 is ${state}`,
    async (t) => {
      const clinic = await outboxClinic(t);
      const ruleId = await addRule(clinic, { budget: { amount: '0.10', per: 'P30D' } });
      const credentials = { url: 'smtp://mail.example.org' };
      const options = { sender: 'Clinic <clinic@example.org>' };
      const email = { provider: 'smtp', credentials, options, tariff: { default: tariff } };
      await clinic.in(async (trx) => {
        const found = await findClinic(trx, clinic.clinicId);
        if (found === null) throw new Error('It was just made.');
        await putChannel(clinic.deps, trx, found, 'email', email, noon);
      });
      const soon = noon.add({ minutes: 10 });
      const waits = {
        state: 'held',
        reason: 'budget',
        scheduledAt: soon,
        channel: 'email',
      } as const;
      await addDue(clinic, ruleId, 30, { message: waits });
      const second = await addDue(clinic, ruleId, 20);
      await run(clinic);
      t.same(await statesOf(clinic, [second]), [state]);
    },
  );
}

t.test('what was sent before the rule had limits counts toward them', async (t) => {
  const clinic = await outboxClinic(t);
  const ruleId = await addRule(clinic, {});
  const due = [await addDue(clinic, ruleId, 9), await addDue(clinic, ruleId, 8)];
  await run(clinic);
  await clinic.in((trx) =>
    sql`update rules set definition = jsonb_set(definition, '{limits}', '{"perDay": 3}')
        where clinic_id = ${clinic.clinicId} and id = ${ruleId}`.execute(trx),
  );
  due.push(await addDue(clinic, ruleId, 7), await addDue(clinic, ruleId, 6));
  await run(clinic);
  t.same(await statesOf(clinic, due), ['sent', 'sent', 'sent', 'held daily-limit']);
});

t.test('dispatchers that race for the last money and places do not overspend', async (t) => {
  const clinic = await outboxClinic(t, {
    // Small batches, so that many transactions count the same rule.
    capabilities: { reconcile: 'none', concurrency: 1 },
  });
  const byMoney = await addRule(clinic, { budget: { amount: '0.55', per: 'P30D' } });
  const byDay = await addRule(clinic, { perDay: 13 });
  const due: Record<string, { messageId: string }[]> = { [byMoney]: [], [byDay]: [] };
  for (let count = 0; count < 30; count += 1)
    for (const ruleId of [byMoney, byDay])
      due[ruleId]?.push(await addDue(clinic, ruleId, count + 1));
  await Promise.all([run(clinic), run(clinic), run(clinic), run(clinic)]);
  // Places kept for others are given once those are judged.
  for (let quarter = 0; quarter < 4; quarter += 1) {
    clinic.clock.advance({ minutes: 15 });
    await Promise.all([run(clinic), run(clinic)]);
  }
  const sent = async (ruleId: string) =>
    (await statesOf(clinic, due[ruleId] ?? [])).map((state) => state === 'sent');
  const byMoneySent = await sent(byMoney);
  t.equal(byMoneySent.filter(Boolean).length, 11, 'eleven of 0.05 fit into 0.55');
  const byDaySent = await sent(byDay);
  t.equal(byDaySent.filter(Boolean).length, 13);
  t.ok(
    byDaySent.slice(-13).every(Boolean),
    `the most overdue went: ${byDaySent.map(Number).join('')}`,
  );
});
