import t from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { addToRuleDays } from '../../src/outbox/rule-days-store.ts';
import { explainRule } from '../../src/rules/explain.ts';
import { listDue, previewRule } from '../../src/rules/preview.ts';
import { makeAppointment, makePatient, makeRule, makeVisit } from '../support/factory.ts';
import { type RulesClinic, rulesClinic } from './rules-clinic.ts';

const now = Temporal.Instant.from('2026-03-02T06:00:00Z');

function explain(clinic: RulesClinic, ruleId: string, patientId: string, on?: string) {
  return withClinic(clinic.db, clinic.id, (trx) =>
    explainRule(clinic.deps, trx, clinic.id, { ruleId, patientId, on, source: 'mis' }, now),
  );
}

t.test('explain tells why, for who is due and for who is not', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id, {
    id: 'ann',
    birthDate: '1980-01-01',
    tags: ['vip'],
  });
  const young = await makePatient(clinic.db, clinic.id, { id: 'young', birthDate: '2000-01-01' });
  const other = await makePatient(clinic.db, clinic.id, { id: 'other', birthDate: '1980-01-01' });
  const never = await makePatient(clinic.db, clinic.id, { id: 'never' });
  for (const patientId of [ann, young])
    await makeVisit(clinic.db, clinic.id, {
      patientId,
      at: '2025-09-04T15:00:00Z',
      services: ['hygiene'],
    });
  await makeVisit(clinic.db, clinic.id, {
    patientId: other,
    at: '2025-09-04T15:00:00Z',
    services: ['x-ray'],
  });
  const { id } = await makeRule(clinic.db, clinic.id, {
    trigger: { type: 'visit', after: 'P180D', services: ['hygiene'] },
    audience: { all: [{ age: { gte: 35 } }, { not: { tags: ['debtor'] } }] },
  });
  await clinic.plan(now.toString());
  const recorded = await explain(clinic, id, ann, '2026-03-03');
  t.match(recorded, {
    patientId: 'ann',
    basis: 'recorded',
    outcome: 'due',
    reason: null,
    dueAt: '2026-03-03T10:00:00Z',
    rule: { id, version: 1 },
  });
  t.ok(
    recorded.checks.every(({ passed }) => passed),
    JSON.stringify(recorded.checks.filter(({ passed }) => !passed)),
  );
  const tooYoung = await explain(clinic, id, young, '2026-03-03');
  t.match(tooYoung, { basis: 'recomputed', outcome: 'not-due', reason: 'audience' });
  t.match(
    tooYoung.checks.find(({ name }) => name === 'audience/all/0/age'),
    { passed: false, seen: 26, wanted: { gte: 35 } },
  );
  t.match(
    tooYoung.checks.find(({ name }) => name === 'audience/all/1/not/tags'),
    { passed: true, seen: [] },
  );
  t.ok(
    tooYoung.checks.some(({ name, passed }) => name === 'consent' && passed),
    'also the checks after the first that fails',
  );
  t.match(await explain(clinic, id, ann, '2026-05-05'), {
    basis: 'recomputed',
    outcome: 'not-due',
    reason: 'not-due',
    dueAt: '2026-03-03T10:00:00Z',
  });
  const wrongService = await explain(clinic, id, other, '2026-03-03');
  t.match(wrongService, { outcome: 'not-due', reason: 'no-anchor' });
  t.match(
    wrongService.checks.find(({ name }) => name === 'trigger/services'),
    { passed: false, seen: ['x-ray'], wanted: ['hygiene'] },
  );
  t.match(await explain(clinic, id, never), {
    outcome: 'not-due',
    reason: 'no-anchor',
    occurrence: null,
    dueAt: null,
  });
});

t.test('explain tells what was due before the rule was switched on', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2025-09-02T15:00:00Z' });
  const { id } = await makeRule(clinic.db, clinic.id);
  await clinic.plan(now.toString());
  t.match(await explain(clinic, id, ann, '2026-03-01'), {
    outcome: 'suppressed',
    reason: 'before-activation',
    basis: 'recomputed',
  });
});

t.test('a preview says what planning then does', async (t) => {
  const clinic = await rulesClinic(t, { country: 'RU' });
  const consent = { care: 'granted' } as const;
  for (let index = 0; index < 30; index += 1) {
    const patientId = await makePatient(clinic.db, clinic.id, {
      ...(index % 3 > 0 && { consent }),
      ...(index % 7 === 0 && { email: `p${index}@example.org`, phone: null }),
      deceased: index === 4,
    });
    await makeVisit(clinic.db, clinic.id, {
      patientId,
      at: `2025-09-0${3 + (index % 3)}T15:00:00Z`,
    });
    if (index % 10 === 5)
      await makeAppointment(clinic.db, clinic.id, {
        patientId,
        start: '2026-04-01T10:00:00Z',
        bookedAt: now.toString(),
      });
  }
  const { id } = await makeRule(clinic.db, clinic.id, {
    steps: [{ channel: 'preferred', template: 'care' }],
  });
  const question = { ruleId: id, from: '2026-03-02', to: '2026-03-04', source: 'mis' };
  const preview = await withClinic(clinic.db, clinic.id, (trx) =>
    previewRule(clinic.deps, trx, clinic.id, question, now),
  );
  const due = await withClinic(clinic.db, clinic.id, (trx) =>
    listDue(clinic.deps, trx, clinic.id, { ...question, limit: 200 }, now),
  );
  await clinic.plan(now.toString());
  const messages = await clinic.messages();
  const scheduled = messages.filter(({ state }) => state === 'scheduled');
  t.equal(preview.recipients, scheduled.length);
  t.same(
    preview.messages,
    Object.fromEntries(
      Object.entries(Object.groupBy(scheduled, ({ channel }) => channel)).map(([channel, list]) => [
        channel,
        list?.length,
      ]),
    ),
  );
  const reasons = Object.groupBy(
    messages.filter(({ state }) => state !== 'scheduled'),
    ({ reason }) => reason ?? '',
  );
  t.same(
    preview.suppressed,
    Object.fromEntries(Object.entries(reasons).map(([reason, list]) => [reason, list?.length])),
  );
  t.equal(due.length, messages.length);
  t.match(preview.samples[0], { text: 'Hello Ann', segments: 1 });
  await t.rejects(
    withClinic(clinic.db, clinic.id, (trx) =>
      previewRule(clinic.deps, trx, clinic.id, { ...question, to: '2026-02-30' }, now),
    ),
    { code: 'validation' },
  );
});

t.test('explain shows the limits of a rule with what is used of them', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id, { id: 'ann' });
  await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2025-09-04T15:00:00Z' });
  const { id } = await makeRule(clinic.db, clinic.id, {
    limits: { perDay: 1, budget: { amount: '2.00', per: 'P30D' } },
  });
  await clinic.plan(now.toString());
  const limitsOf = async () => {
    const { checks, outcome } = await explain(clinic, id, ann, '2026-03-03');
    return { outcome, checks: checks.filter(({ name }) => /limit|budget/.test(name)) };
  };
  t.match(await limitsOf(), {
    outcome: 'due',
    checks: [
      { name: 'daily-limit', passed: true, seen: { contactsToday: 0 }, wanted: { perDay: 1 } },
      { name: 'budget', passed: true, seen: { spent: '0.00' }, wanted: { amount: '2.00' } },
    ],
  });
  await withClinic(clinic.db, clinic.id, async (trx) => {
    await addToRuleDays(trx, clinic.id, '2026-03-02', [
      { ruleId: id, contacts: 1, costMicros: 2_000_000, messages: 1 },
    ]);
  });
  t.match((await limitsOf()).checks, [
    { name: 'daily-limit', passed: false, reason: 'daily-limit', seen: { contactsToday: 1 } },
    { name: 'budget', passed: false, reason: 'budget', seen: { spent: '2.00' } },
  ]);
});
