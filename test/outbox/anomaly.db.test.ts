import fc from 'fast-check';
import { sql } from 'kysely';
import t from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { mostOfDay, usualDay } from '../../src/outbox/hold-anomalies.ts';
import { addToRuleDays } from '../../src/outbox/rule-days-store.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { testApi } from '../support/api.ts';
import { noon, type OutboxClinic, outboxClinic } from './outbox-clinic.ts';

t.test('a usual day is the middle one, and known after fourteen', async (t) => {
  t.equal(usualDay(Array(13).fill(10)), null);
  t.equal(usualDay([...Array(7).fill(1), ...Array(7).fill(3)]), 2);
  t.equal(usualDay([...Array(8).fill(4), ...Array(7).fill(900)]), 4);
  t.same([mostOfDay(2), mostOfDay(10), mostOfDay(11)], [50, 50, 55]);
  const days = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 14, maxLength: 60 });
  fc.assert(
    fc.property(days, (it) => {
      const usual = usualDay(it) ?? 0;
      const below = it.filter((day) => day < usual).length;
      const above = it.filter((day) => day > usual).length;
      return below <= it.length / 2 && above <= it.length / 2;
    }),
  );
});

const greeting = {
  name: 'Survey',
  purpose: 'transactional',
  trigger: { type: 'event', event: 'x-survey' },
  catchUp: 'P10D',
  steps: [{ channel: 'sms', template: 'survey' }],
};

t.test('an import that would send sixty at once is held until somebody has looked', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-02-01T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  const bodies = { sms: { es: { text: '¿Cómo le fue?' } } };
  await owner.put('/v1/templates/survey', { purpose: 'transactional', bodies });
  const rule = await owner.post('/v1/rules', greeting);
  const id = String(rule.body.id);
  await owner.post(`/v1/rules/${id}/activate`);
  await withClinic(api.database.db, owner.id, async (trx) => {
    for (let day = 10; day < 24; day += 1)
      await addToRuleDays(trx, owner.id, `2026-01-${day}`, [
        { ruleId: id, contacts: 4, costMicros: 0, messages: 4 },
      ]);
  });
  await owner.post('/v1/test/clock', { now: '2026-02-02T12:00:00Z' });
  const patients = Array.from({ length: 60 }, (_, at) => ({
    id: `p${at}`,
    type: 'patient.upserted',
    occurredAt: '2026-02-02T12:00:00Z',
    data: {
      id: `p${at}`,
      name: { given: 'Ana' },
      telecom: [{ system: 'phone', value: `+5255123456${String(at).padStart(2, '0')}` }],
    },
  }));
  t.match((await owner.post('/v1/events', patients)).body, { accepted: 60 });
  const ask = (from: number, to: number, at: string) =>
    owner.post(
      '/v1/events',
      patients.slice(from, to).map(({ data }) => ({
        id: `s${data.id}`,
        type: 'x-survey',
        occurredAt: at,
        data: { patientId: data.id },
      })),
    );
  const count = async (state: string) => {
    const { body } = await owner.get(`/v1/messages?state=${state}&limit=200`);
    return (body.data as { reason: string | null }[]).map(({ reason }) => reason);
  };
  await ask(0, 5, '2026-02-02T12:00:00Z');
  t.equal((await count('delivered')).length, 5, 'a few more than usual are no anomaly');
  await owner.post('/v1/test/clock', { now: '2026-02-02T13:00:00Z' });
  await ask(5, 60, '2026-02-02T13:00:00Z');
  t.same(await count('held'), Array(55).fill('anomaly'));
  t.match((await owner.get(`/v1/rules/${id}`)).body, {
    anomaly: { day: '2026-02-02', usual: 4, waiting: 46 },
  });
  const warning = api.logLines.find((line) => line.includes('far more than usual'));
  t.match(JSON.parse(warning ?? '{}'), { level: 'warn', clinicId: owner.id, ruleId: id });
  const { text: metrics } = await owner.get('/metrics');
  t.match(metrics, /^retorno_rule_anomalies_total 0$/m, 'what a test clinic does is not counted');
  const asked = `/v1/rules/${id}/explain?patientId=p9&on=2026-02-02`;
  t.match((await owner.get(asked)).body, { outcome: 'held', reason: 'anomaly' });
  const { body: listed } = await owner.get('/v1/rules');
  t.match(listed.data, [{ anomaly: { usual: 4 } }]);
  await owner.post('/v1/test/clock', { now: '2026-02-03T12:00:00Z' });
  t.equal((await count('held')).length, 55, 'the next day nobody has looked yet');
  const released = await owner.post(`/v1/rules/${id}/release`, { by: 'Ana Pérez' });
  t.equal(released.status, 200);
  t.same(await count('held'), []);
  t.equal((await count('delivered')).length, 60);
  t.equal((await owner.get(`/v1/rules/${id}`)).body.anomaly, null);
  t.equal((await owner.post('/v1/rules/01931f5e-7c00-7000-8000-000000000001/release')).status, 404);
});

/** A rule that has written to four patients a day for a fortnight. */
async function usualRule(clinic: OutboxClinic, limits: object = {}): Promise<string> {
  const id = uuidv7(noon);
  const definition = JSON.stringify({ name: 'Survey', purpose: 'transactional', limits });
  const row = { clinic_id: clinic.clinicId, id, name: 'Survey', version: 1, definition };
  await clinic.in(async (trx) => {
    await trx
      .insertInto('rules')
      .values({ ...row, state: 'active', active_from: noon, created_at: noon, updated_at: noon })
      .execute();
    for (let day = 10; day < 24; day += 1)
      await addToRuleDays(trx, clinic.clinicId, `2026-11-${day}`, [
        { ruleId: id, contacts: 4, costMicros: 0, messages: 4 },
      ]);
  });
  return id;
}

async function addDue(
  clinic: OutboxClinic,
  ruleId: string,
  { count, phone }: { count: number; phone?: null },
): Promise<string[]> {
  const ids: string[] = [];
  for (let one = 0; one < count; one += 1) {
    const patientId = await clinic.addPatient(phone === undefined ? {} : { phone });
    const journeyId = uuidv7(noon);
    await clinic.in((trx) =>
      trx
        .insertInto('journeys')
        .values({
          ...{ clinic_id: clinic.clinicId, id: journeyId, rule_id: ruleId, rule_version: 1 },
          ...{ patient_id: patientId, occurrence: 'event:1', anchor: '{}', state: 'planned' },
          ...{ due_at: noon, expires_at: noon.add({ hours: 96 }) },
          ...{ created_at: noon, updated_at: noon },
        })
        .execute(),
    );
    const expiresAt = noon.add({ hours: 96 });
    ids.push(await clinic.enqueue({ patientId, ruleId, journeyId, step: 0, expiresAt }));
  }
  return ids;
}

async function countOf(clinic: OutboxClinic, ids: readonly string[]) {
  const rows = await Promise.all(ids.map((id) => clinic.message(id)));
  const states = rows.map(({ state, reason }) => (reason === null ? state : `${state} ${reason}`));
  return Object.fromEntries(
    [...Map.groupBy(states, (state) => state)].map(([state, each]) => [state, each.length]),
  );
}

const run = (clinic: OutboxClinic) =>
  dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());

t.test('senders that race let nothing of an unusual day go', async (t) => {
  const clinic = await outboxClinic(t, { capabilities: { reconcile: 'none', concurrency: 1 } });
  const ruleId = await usualRule(clinic);
  const ids = await addDue(clinic, ruleId, { count: 60 });
  const shares = await Promise.all([run(clinic), run(clinic), run(clinic)]);
  t.same(await countOf(clinic, ids), { 'held anomaly': 60 });
  t.ok(shares.some(({ anomalies }) => anomalies > 0));
});

t.test('what comes in a minute after a usual morning is held as well', async (t) => {
  const clinic = await outboxClinic(t);
  const ruleId = await usualRule(clinic);
  const morning = await addDue(clinic, ruleId, { count: 10 });
  await run(clinic);
  t.same(await countOf(clinic, morning), { sent: 10 });
  clinic.clock.advance({ minutes: 1 });
  const imported = await addDue(clinic, ruleId, { count: 41 });
  await run(clinic);
  t.same(await countOf(clinic, imported), { 'held anomaly': 41 });
});

t.test('who cannot be written to makes no day unusual', async (t) => {
  const clinic = await outboxClinic(t);
  const ruleId = await usualRule(clinic);
  await addDue(clinic, ruleId, { count: 60, phone: null });
  // They are looked at again in the afternoon.
  await clinic.in((trx) =>
    sql`update messages set state = 'held', reason = 'no-contact-point', next_at = ${noon.add({ hours: 6 })}
        where clinic_id = ${clinic.clinicId}`.execute(trx),
  );
  const ids = await addDue(clinic, ruleId, { count: 5 });
  await run(clinic);
  t.same(await countOf(clinic, ids), { sent: 5 });
});

t.test('a rule that may not send so many in a day sends what it may', async (t) => {
  const clinic = await outboxClinic(t);
  const ruleId = await usualRule(clinic, { perDay: 20 });
  const ids = await addDue(clinic, ruleId, { count: 60 });
  await run(clinic);
  t.same(await countOf(clinic, ids), { sent: 20, 'held daily-limit': 40 });
});

t.test('a rule stops at the number of messages that it may send', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-02-01T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  await owner.put('/v1/templates/survey', {
    purpose: 'transactional',
    bodies: { sms: { es: { text: '¿Cómo le fue?' } } },
  });
  const limits = { messages: { count: 2, per: 'P7D' } };
  const refused = await owner.post('/v1/rules', {
    ...greeting,
    limits: { messages: { count: 2, per: 'PT1H' } },
  });
  t.match(refused.body.errors, [{ pointer: '/limits/messages/per' }]);
  const rule = await owner.post('/v1/rules', { ...greeting, limits });
  await owner.post(`/v1/rules/${rule.body.id}/activate`);
  await owner.post('/v1/test/clock', { now: '2026-02-02T12:00:00Z' });
  for (const id of ['1', '2', '3']) {
    await owner.put(`/v1/patients/${id}`, {
      name: { given: 'A' },
      telecom: [{ system: 'phone', value: `+52551234560${id}` }],
    });
    await owner.post('/v1/events', {
      id: `s${id}`,
      type: 'x-survey',
      occurredAt: '2026-02-02T12:00:00Z',
      data: { patientId: id },
    });
  }
  t.match((await owner.get('/v1/messages?patientId=3')).body.data, [
    { state: 'held', reason: 'budget' },
  ]);
  t.match((await owner.get(`/v1/rules/${rule.body.id}/explain?patientId=3&on=2026-02-02`)).body, {
    outcome: 'held',
    reason: 'budget',
  });
  await owner.post('/v1/test/clock', { now: '2026-02-09T12:00:00Z' });
  t.match((await owner.get('/v1/messages?patientId=3')).body.data, [{ state: 'delivered' }]);
});
