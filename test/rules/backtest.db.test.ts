import t from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { backtestRule } from '../../src/rules/backtest.ts';
import { diffRule } from '../../src/rules/diff.ts';
import { previewRule } from '../../src/rules/preview.ts';
import type { RuleIn } from '../../src/rules/rule.ts';
import { makeAppointment, makePatient, makeRule, makeVisit, recall } from '../support/factory.ts';
import { type RulesClinic, rulesClinic } from './rules-clinic.ts';

const now = Temporal.Instant.from('2026-03-02T06:00:00Z');

function backtest(clinic: RulesClinic, ruleId: string, from: string, to: string) {
  return withClinic(clinic.db, clinic.id, (trx) =>
    backtestRule(clinic.deps, trx, clinic.id, { ruleId, from, to, source: 'mis' }, now),
  );
}

t.test('a backtest sees each day as it was known then', async (t) => {
  const clinic = await rulesClinic(t);
  const visit = (patientId: string, at: string) =>
    makeVisit(clinic.db, clinic.id, { patientId, at });
  const patient = (id: string) => makePatient(clinic.db, clinic.id, { id });
  // Due on 1, 3 and 5 December; each due instant is at 10:00.
  const came = await patient('came');
  await visit(came, '2025-06-04T09:00:00Z');
  await visit(came, '2025-12-20T09:00:00Z');
  const gone = await patient('gone');
  await visit(gone, '2025-06-06T09:00:00Z');
  const booked = await patient('booked');
  await visit(booked, '2025-06-08T09:00:00Z');
  await makeAppointment(clinic.db, clinic.id, {
    patientId: booked,
    start: '2025-12-08T10:00:00Z',
    bookedAt: '2025-12-01T10:00:00Z',
    status: 'fulfilled',
  });
  // Came just before she was due: nobody would have written to her.
  const early = await patient('early');
  await visit(early, '2025-06-04T09:00:00Z');
  await visit(early, '2025-11-30T09:00:00Z');
  const { id } = await makeRule(clinic.db, clinic.id, { steps: [...recall.steps] });
  const result = await backtest(clinic, id, '2025-12-01', '2025-12-05');
  t.match(result, {
    recipients: 2,
    messages: { sms: 2 },
    suppressed: { 'future-appointment': 1 },
    returned: 1,
    returnedAnyway: 1,
    days: [
      { day: '2025-12-01', messages: 1 },
      { day: '2025-12-02', messages: 0 },
      { day: '2025-12-03', messages: 1 },
      { day: '2025-12-04', messages: 0 },
      { day: '2025-12-05', messages: 0 },
    ],
  });
  t.same(await clinic.messages(), [], 'nothing is sent');
  t.same(await clinic.journeys(), [], 'and nothing is planned');
});

t.test('who had been written to did not return anyway', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2025-06-04T09:00:00Z' });
  const earlier = { now: '2025-11-30T06:00:00Z' };
  const { id } = await makeRule(clinic.db, clinic.id, {}, earlier);
  await clinic.plan(earlier.now);
  await clinic.send('2025-12-02T00:00:00Z');
  await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2025-12-20T09:00:00Z' });
  t.match(await backtest(clinic, id, '2025-12-01', '2025-12-31'), {
    recipients: 1,
    returned: 1,
    returnedAnyway: 0,
  });
});

t.test('a reminder is tested against the appointments that were on the books', async (t) => {
  const clinic = await rulesClinic(t);
  for (const status of ['fulfilled', 'noshow', 'booked', 'entered-in-error'])
    await makeAppointment(clinic.db, clinic.id, {
      patientId: await makePatient(clinic.db, clinic.id),
      start: '2025-12-08T10:00:00Z',
      bookedAt: '2025-12-01T10:00:00Z',
      status,
    });
  const { id } = await makeRule(clinic.db, clinic.id, {
    purpose: 'transactional',
    trigger: { type: 'appointment', before: 'P2D' },
    steps: [{ channel: 'sms', template: 'transactional' }],
  });
  t.match(await backtest(clinic, id, '2025-12-06', '2025-12-06'), { recipients: 3 });
});

t.test('days that have not come are previewed, not tested', async (t) => {
  const clinic = await rulesClinic(t);
  const { id } = await makeRule(clinic.db, clinic.id);
  await t.rejects(backtest(clinic, id, '2026-03-01', '2026-03-03'), { code: 'validation' });
});

t.test('a preview keeps to the places of a day', async (t) => {
  const clinic = await rulesClinic(t);
  for (const at of ['09:00', '11:00', '13:00', '15:00'])
    await makeVisit(clinic.db, clinic.id, {
      patientId: await makePatient(clinic.db, clinic.id),
      at: `2025-09-04T${at}:00Z`,
    });
  const { id } = await makeRule(clinic.db, clinic.id, { limits: { perDay: 2 }, catchUp: 'P2D' });
  const preview = (to: string) =>
    withClinic(clinic.db, clinic.id, (trx) =>
      previewRule(
        clinic.deps,
        trx,
        clinic.id,
        { ruleId: id, from: '2026-03-03', to, source: 'mis' },
        now,
      ),
    );
  t.match(await preview('2026-03-03'), { recipients: 2, suppressed: { 'daily-limit': 2 } });
  t.match(await preview('2026-03-04'), { recipients: 4, suppressed: {} });
});

t.test('a diff tells whom a change gains and loses, and what it costs', async (t) => {
  const clinic = await rulesClinic(t);
  const people = { gone: ['debtor'], stays: ['vip', 'debtor'], comes: ['vip'], never: [] };
  for (const [id, tags] of Object.entries(people)) {
    const patientId = await makePatient(clinic.db, clinic.id, { id, tags });
    await makeVisit(clinic.db, clinic.id, { patientId, at: '2025-09-10T09:00:00Z' });
  }
  const rule = await makeRule(clinic.db, clinic.id, { audience: { all: [{ tags: ['debtor'] }] } });
  const diff = (changed: Partial<RuleIn>) =>
    withClinic(clinic.db, clinic.id, (trx) =>
      diffRule(
        clinic.deps,
        trx,
        clinic.id,
        { ruleId: rule.id, rule: { ...recall, ...changed } as RuleIn, source: 'mis' },
        now,
      ),
    );
  const result = await diff({ audience: { all: [{ tags: ['vip'] }] } });
  t.match(result, {
    gained: 1,
    lost: 1,
    unchanged: 1,
    cost: { before: { currency: 'KZT' }, after: { currency: 'KZT' } },
    samples: [
      { patientId: 'comes', change: 'gained' },
      { patientId: 'gone', change: 'lost' },
    ],
  });
  t.match(await diff({ audience: { all: [{ tags: ['debtor'] }] } }), {
    gained: 0,
    lost: 0,
    unchanged: 2,
  });
  await t.rejects(diff({ steps: [{ channel: 'sms', template: 'nowhere' }] }), {
    code: 'validation',
  });
  const after = await withClinic(clinic.db, clinic.id, (trx) =>
    trx.selectFrom('rules').select('version').where('clinic_id', '=', clinic.id).execute(),
  );
  t.same(after, [{ version: 1 }], 'the rule is as it was');
});
