import { sql } from 'kysely';
import t from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { type Explanation, explainRule } from '../../src/rules/explain.ts';
import type { RuleIn } from '../../src/rules/rule.ts';
import {
  change,
  makeAppointment,
  makeEvent,
  makePatient,
  makeRule,
  makeVisit,
  putTreatment,
} from '../support/factory.ts';
import { type RulesClinic, rulesClinic } from './rules-clinic.ts';

const now = '2026-03-02T06:00:00Z';
const transactional: Pick<RuleIn, 'purpose' | 'steps'> = {
  purpose: 'transactional',
  steps: [{ channel: 'sms', template: 'transactional' }],
};

function explain(
  { db, id, deps }: RulesClinic,
  ruleId: string,
  patientId: string,
  options: { on?: string; now?: string } = {},
): Promise<Explanation> {
  const question = { ruleId, patientId, on: options.on, source: 'mis' };
  return withClinic(db, id, (trx) =>
    explainRule(deps, trx, id, question, Temporal.Instant.from(options.now ?? now)),
  );
}

const failed = ({ checks }: Explanation) =>
  checks.filter(({ passed }) => !passed).map(({ name }) => name);

t.test('a day of the calendar comes every year, for everybody in the audience', async (t) => {
  const clinic = await rulesClinic(t, { timeZone: 'Europe/Berlin' });
  const rule = await makeRule(clinic.db, clinic.id, {
    trigger: { type: 'calendar', date: '03-08' },
    audience: { gender: ['female'] } as RuleIn['audience'] & object,
  });
  const ann = await makePatient(clinic.db, clinic.id, { gender: 'female' });
  const mei = await makePatient(clinic.db, clinic.id, { gender: 'female', timeZone: 'Asia/Tokyo' });
  const bob = await makePatient(clinic.db, clinic.id, { gender: 'male' });
  await clinic.plan('2026-03-06T06:00:00Z');
  const seen = async () =>
    (await clinic.messages()).map(({ patientId, occurrence, scheduledAt }) => [
      patientId === ann ? 'Ann' : patientId === mei ? 'Mei' : 'Bob',
      occurrence,
      scheduledAt,
    ]);
  t.same(await seen(), [
    ['Ann', 'calendar:2026-03-08', '2026-03-08T09:00:00Z'],
    ['Mei', 'calendar:2026-03-08', '2026-03-08T01:00:00Z'],
  ]);
  await clinic.send('2026-03-08T09:00:00Z');
  await clinic.plan('2027-03-06T06:00:00Z');
  t.match((await seen())[1], ['Ann', 'calendar:2027-03-08', '2027-03-08T09:00:00Z']);
  const why = await explain(clinic, rule.id, bob, { on: '2027-03-08' });
  t.match(why, { outcome: 'not-due', reason: 'audience', occurrence: 'calendar:2027-03-08' });
});

t.test('a date with its year comes once, and is not made up for when it is over', async (t) => {
  const clinic = await rulesClinic(t);
  const rule = await makeRule(clinic.db, clinic.id, {
    trigger: { type: 'calendar', date: '2026-03-04' },
  });
  const ann = await makePatient(clinic.db, clinic.id);
  await clinic.plan(now);
  t.match(await clinic.messages(), [
    { occurrence: 'calendar:2026-03-04', scheduledAt: '2026-03-04T10:00:00Z' },
  ]);
  const late = await makePatient(clinic.db, clinic.id, { createdAt: '2026-03-05T08:00:00Z' });
  await clinic.plan('2026-03-05T09:00:00Z');
  t.match(
    (await clinic.journeys()).find(({ patientId }) => patientId === late),
    { state: 'expired', reason: 'too-late' },
    'the evening of the day is the end',
  );
  await clinic.plan('2027-03-04T06:00:00Z');
  t.equal((await clinic.journeys()).length, 2);
  t.match(await explain(clinic, rule.id, ann, { on: '2027-03-04' }), { outcome: 'not-due' });
});

t.test('29 February is kept on the 28th in other years', async (t) => {
  const clinic = await rulesClinic(t, { now: '2027-02-26T06:00:00Z' });
  await makeRule(
    clinic.db,
    clinic.id,
    { trigger: { type: 'calendar', date: '02-29' } },
    { now: '2027-02-26T06:00:00Z' },
  );
  await makePatient(clinic.db, clinic.id);
  await clinic.plan('2027-02-26T06:00:00Z');
  t.match(await clinic.journeys(), [{ occurrence: 'calendar:2027-02-28' }]);
});

t.test('who has not come for a year is inactive, whoever came or is booked is not', async (t) => {
  const clinic = await rulesClinic(t);
  const rule = await makeRule(clinic.db, clinic.id, {
    trigger: { type: 'inactive', after: 'P12M' },
  });
  const [ann, bob, cid] = [
    await makePatient(clinic.db, clinic.id),
    await makePatient(clinic.db, clinic.id),
    await makePatient(clinic.db, clinic.id),
  ] as [string, string, string];
  for (const [id, patientId] of Object.entries({ ann, bob, cid })) {
    await makeVisit(clinic.db, clinic.id, { id, patientId, at: '2025-03-04T12:00:00Z' });
  }
  await makeVisit(clinic.db, clinic.id, {
    patientId: bob,
    at: '2025-09-01T12:00:00Z',
    services: ['other'],
  });
  await makeAppointment(clinic.db, clinic.id, {
    patientId: cid,
    start: '2026-03-20T09:00:00Z',
    bookedAt: '2026-02-01T09:00:00Z',
  });
  await clinic.plan(now);
  t.match(await clinic.messages(), [
    {
      patientId: ann,
      occurrence: 'inactive:visit:ann',
      state: 'scheduled',
      scheduledAt: '2026-03-04T10:00:00Z',
    },
    { patientId: cid, state: 'held', reason: 'future-appointment' },
  ]);
  t.match(await explain(clinic, rule.id, bob, { on: '2026-03-04' }), { outcome: 'not-due' });
  await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2026-03-03T08:00:00Z' });
  await clinic.plan('2026-03-03T09:00:00Z');
  t.match((await clinic.messages())[0], { patientId: ann, state: 'suppressed', reason: 'visited' });
});

t.test('an absent patient who still refers is thanked, and spared the reactivation', async (t) => {
  const clinic = await rulesClinic(t);
  await makeRule(clinic.db, clinic.id, {
    ...transactional,
    trigger: { type: 'event', event: 'referral.recorded', after: 'PT1H' },
  });
  const reactivation = await makeRule(clinic.db, clinic.id, {
    trigger: { type: 'inactive', after: 'P12M' },
    audience: { not: { referredWithin: 'P6M' } },
  });
  const ann = await makePatient(clinic.db, clinic.id, { id: 'ann' });
  const bob = await makePatient(clinic.db, clinic.id, { id: 'bob' });
  for (const patientId of [ann, bob])
    await makeVisit(clinic.db, clinic.id, { patientId, at: '2025-03-04T08:00:00Z' });
  await makeEvent(clinic.db, clinic.id, {
    id: 'r-1',
    type: 'referral.recorded',
    patientId: ann,
    at: now,
    data: { patientId: 'ann', referredId: 'new' },
  });
  await makeEvent(clinic.db, clinic.id, {
    type: 'referral.recorded',
    patientId: bob,
    at: '2025-01-01T08:00:00Z',
    data: { patientId: 'bob', referredId: 'old' },
  });
  await clinic.plan(now);
  t.match(await clinic.messages(), [
    { patientId: ann, occurrence: 'event:r-1', scheduledAt: '2026-03-02T07:00:00Z' },
    { patientId: bob, occurrence: /^inactive:/ },
  ]);
  t.equal((await clinic.messages()).length, 2);
  const why = await explain(clinic, reactivation.id, ann, { on: '2026-03-04' });
  t.same(failed(why), ['audience', 'audience/not/referredWithin']);
});

t.test('an event of the host fires where its data is what the rule wants', async (t) => {
  const clinic = await rulesClinic(t);
  const rule = await makeRule(clinic.db, clinic.id, {
    ...transactional,
    trigger: {
      type: 'event',
      event: 'x-result',
      where: { kind: 'x-ray', pages: { gt: 2, lte: 9 } },
    },
  });
  const ann = await makePatient(clinic.db, clinic.id);
  const wishes: Record<string, unknown>[] = [
    { kind: 'x-ray', pages: 3 },
    { kind: 'x-ray', pages: 2 },
    { kind: 'x-ray', pages: '3' },
    { kind: 'blood', pages: 3 },
    { pages: 3 },
  ];
  for (const [at, data] of wishes.entries()) {
    const id = `x-${at}`;
    await makeEvent(clinic.db, clinic.id, { id, type: 'x-result', patientId: ann, at: now, data });
  }
  const before = { id: 'old', type: 'x-result', patientId: ann, at: '2026-03-01T06:00:00Z' };
  await makeEvent(clinic.db, clinic.id, { ...before, data: { kind: 'x-ray', pages: 3 } });
  await clinic.plan(now);
  t.same(await clinic.journeys(), [], 'what was due when the rule was switched on is past');
  await makeEvent(clinic.db, clinic.id, {
    id: 'x-9',
    type: 'x-result',
    patientId: ann,
    at: '2026-03-02T06:01:00Z',
    data: { kind: 'x-ray', pages: 9 },
  });
  await makeEvent(clinic.db, clinic.id, {
    id: 'x-10',
    type: 'x-result',
    patientId: ann,
    at: '2026-03-02T06:01:00Z',
    data: { kind: 'x-ray', pages: 10 },
  });
  await clinic.plan('2026-03-02T06:01:00Z');
  t.match(await clinic.journeys(), [{ occurrence: 'event:x-9', state: 'planned' }]);
  t.equal((await clinic.journeys()).length, 1);
  const other = await makePatient(clinic.db, clinic.id);
  t.match(await explain(clinic, rule.id, other), { outcome: 'not-due', reason: 'no-anchor' });
});

t.test('an event of a patient who was merged away is the survivor’s', async (t) => {
  const clinic = await rulesClinic(t);
  await makeRule(clinic.db, clinic.id, {
    ...transactional,
    trigger: { type: 'event', event: 'x-result' },
  });
  const [old, survivor] = [
    await makePatient(clinic.db, clinic.id),
    await makePatient(clinic.db, clinic.id),
  ] as [string, string];
  const at = '2026-03-02T06:01:00Z';
  await makeEvent(clinic.db, clinic.id, { id: 'x-1', type: 'x-result', patientId: old, at });
  await change(
    clinic.db,
    clinic.id,
    [survivor],
    sql`update patients set replaced_by = ${survivor}, merged_at = ${at}::timestamptz
      where clinic_id = ${clinic.id} and id = ${old}`,
  );
  await clinic.plan(at);
  t.match(await clinic.journeys(), [{ patientId: survivor, occurrence: 'event:x-1' }]);
});

t.test('a delay is told at once, and above fifteen minutes staff call', async (t) => {
  const clinic = await rulesClinic(t, {
    timeZone: 'Europe/Berlin',
    settings: { sendWindow: { start: '09:00', end: '21:00' } },
  });
  const notice = await makeRule(clinic.db, clinic.id, {
    ...transactional,
    trigger: { type: 'event', event: 'appointment.delayed' },
  });
  await makeRule(clinic.db, clinic.id, {
    purpose: 'transactional',
    trigger: { type: 'event', event: 'appointment.delayed', where: { minutes: { gt: 15 } } },
    steps: [{ channel: 'task', template: 'transactional' }],
  });
  const at = '2026-03-02T06:30:00Z';
  const delay = async (id: string, start: string, minutes: number) => {
    const patientId = await makePatient(clinic.db, clinic.id, { id });
    await makeAppointment(clinic.db, clinic.id, { id, patientId, start, bookedAt: now });
    const type = 'appointment.delayed';
    await makeEvent(clinic.db, clinic.id, { id, type, patientId, at, data: { id, minutes } });
    return patientId;
  };
  const ann = await delay('ann', '2026-03-02T07:00:00Z', 15);
  const bob = await delay('bob', '2026-03-02T07:00:00Z', 16);
  const cid = await delay('cid', '2026-03-03T07:00:00Z', 10);
  await clinic.plan(at);
  const rows = await withClinic(clinic.db, clinic.id, async (trx) => {
    const found = await sql<Record<string, unknown>>`
      select patient_id, channel, guard -> 'sendWindow' as window, guard -> 'anchor' ->> 'kind' as kind, expires_at::text as until
      from messages where clinic_id = ${clinic.id} order by patient_id, channel`.execute(trx);
    return found.rows;
  });
  t.match(rows, [
    { patient_id: ann, channel: 'sms', window: false, kind: 'appointment' },
    { patient_id: bob, channel: 'sms', window: false },
    { patient_id: bob, channel: 'task' },
    // The visit is tomorrow: that can wait until the morning.
    { patient_id: cid, channel: 'sms', window: null },
  ]);
  t.match(rows[0]?.until, /^2026-03-02 07:15:00/, 'by then the patient has been seen');
  await change(
    clinic.db,
    clinic.id,
    [ann],
    sql`update appointments set status = 'cancelled' where clinic_id = ${clinic.id} and external_id = 'ann'`,
  );
  await clinic.plan('2026-03-02T06:31:00Z');
  t.match((await clinic.messages())[0], {
    patientId: ann,
    state: 'cancelled',
    reason: 'appointment-changed',
  });
  t.match(await explain(clinic, notice.id, bob), { outcome: 'due', occurrence: 'event:bob' });
});

t.test('a patient’s own wish beats the cascade of reminders', async (t) => {
  const clinic = await rulesClinic(t);
  const rules: Record<string, string> = {};
  for (const before of ['P2D', 'PT2H']) {
    const trigger = { type: 'appointment' as const, before };
    rules[before] = (await makeRule(clinic.db, clinic.id, { ...transactional, trigger })).id;
  }
  // Another cascade, about appointments of its own.
  await makeRule(clinic.db, clinic.id, {
    ...transactional,
    trigger: { type: 'appointment', before: 'P1D', services: ['surgery'] },
  });
  const reminders = async (reminderPreference: unknown) => {
    const patientId = await makePatient(clinic.db, clinic.id, { reminderPreference });
    const id = await makeAppointment(clinic.db, clinic.id, {
      patientId,
      start: '2026-03-04T12:00:00Z',
      bookedAt: '2026-03-02T05:00:00Z',
    });
    await clinic.plan(now);
    const found = (await clinic.messages()).filter((message) => message.patientId === patientId);
    return found.map(
      ({ occurrence, scheduledAt }) =>
        `${occurrence.replace(`appointment:${id}:r1:`, '')} ${scheduledAt.slice(5, 16)}`,
    );
  };
  t.same(await reminders(undefined), ['P2D 03-02T12:00', 'PT2H 03-04T10:00']);
  t.same(await reminders('day-before'), ['P1D 03-03T12:00']);
  t.same(await reminders(['P1D', 'PT1H']), ['P1D 03-03T12:00', 'PT1H 03-04T11:00']);
  t.same(await reminders({ before: 'PT2H' }), ['PT2H 03-04T10:00']);
  t.same(await reminders('none'), []);
  t.same(await reminders('call me'), ['P2D 03-02T12:00', 'PT2H 03-04T10:00'], 'not understood');
  const patientId = await makePatient(clinic.db, clinic.id, { reminderPreference: 'P1D' });
  await makeAppointment(clinic.db, clinic.id, {
    patientId,
    start: '2026-03-04T12:00:00Z',
    bookedAt: '2026-03-02T05:00:00Z',
  });
  const why = await explain(clinic, rules.PT2H ?? '', patientId);
  t.match(why, { outcome: 'not-due' });
  t.match(
    why.checks.find(({ name }) => name === 'trigger/reminder-preference'),
    { passed: false, seen: 'P1D', wanted: 'PT2H' },
  );
});

t.test('a changed wish moves the reminders that have not left', async (t) => {
  const clinic = await rulesClinic(t);
  await makeRule(clinic.db, clinic.id, {
    ...transactional,
    trigger: { type: 'appointment', before: 'P1D' },
  });
  const patientId = await makePatient(clinic.db, clinic.id);
  await makeAppointment(clinic.db, clinic.id, {
    id: 'a-1',
    patientId,
    start: '2026-03-04T12:00:00Z',
    bookedAt: '2026-03-02T05:00:00Z',
  });
  await clinic.plan(now);
  await change(
    clinic.db,
    clinic.id,
    [patientId],
    sql`update patients set reminder_preference = '"PT3H"' where clinic_id = ${clinic.id}`,
  );
  await clinic.plan('2026-03-02T07:00:00Z');
  t.match(await clinic.messages(), [
    { occurrence: 'appointment:a-1:r1:P1D', state: 'cancelled' },
    { occurrence: 'appointment:a-1:r1:PT3H', scheduledAt: '2026-03-04T09:00:00Z' },
  ]);
});

t.test('the next step of a treatment is asked for when it is overdue', async (t) => {
  const clinic = await rulesClinic(t);
  const rule = await makeRule(clinic.db, clinic.id, {
    trigger: { type: 'treatment', services: ['crown'] },
  });
  const [ann, bob, cid] = [
    await makePatient(clinic.db, clinic.id),
    await makePatient(clinic.db, clinic.id),
    await makePatient(clinic.db, clinic.id),
  ] as [string, string, string];
  await putTreatment(clinic.db, clinic.id, { id: 't-1', patientId: ann, dueOn: '2026-03-03' });
  await putTreatment(clinic.db, clinic.id, {
    patientId: bob,
    dueOn: '2026-03-03',
    service: 'implant',
  });
  await putTreatment(clinic.db, clinic.id, { patientId: cid, dueOn: null });
  await clinic.plan(now);
  t.match(await clinic.messages(), [
    { patientId: ann, occurrence: 'treatment:t-1:s1', scheduledAt: '2026-03-04T10:00:00Z' },
  ]);
  t.equal((await clinic.messages()).length, 1);
  t.same(failed(await explain(clinic, rule.id, bob, { on: '2026-03-04' })), ['trigger/services']);
  t.match(await explain(clinic, rule.id, cid), { outcome: 'not-due', reason: 'no-anchor' });
  const next = { id: 't-1', patientId: ann, step: 's2', dueOn: '2026-03-02' };
  await putTreatment(clinic.db, clinic.id, next);
  await clinic.plan('2026-03-02T07:00:00Z');
  t.match(await clinic.messages(), [
    { occurrence: 'treatment:t-1:s1', state: 'cancelled', reason: 'treatment-changed' },
    { occurrence: 'treatment:t-1:s2', state: 'scheduled', scheduledAt: '2026-03-03T10:00:00Z' },
  ]);
});

t.test('data on file is asked about once, until it was confirmed long ago', async (t) => {
  const clinic = await rulesClinic(t);
  const rule = await makeRule(clinic.db, clinic.id, {
    trigger: { type: 'data-check', field: 'phone' },
  });
  const ann = await makePatient(clinic.db, clinic.id, { createdAt: '2025-03-03T08:00:00Z' });
  const bob = await makePatient(clinic.db, clinic.id, {
    createdAt: '2025-03-03T08:00:00Z',
    phone: null,
  });
  const cid = await makePatient(clinic.db, clinic.id, { createdAt: '2025-03-03T08:00:00Z' });
  const confirm = (patientId: string, at: string) =>
    change(
      clinic.db,
      clinic.id,
      [patientId],
      sql`insert into replies (clinic_id, id, channel, patient_id, text, meaning, dedupe_key, received_at)
        values (${clinic.id}, gen_random_uuid(), 'sms', ${patientId}, '', 'other',
          'link:' || gen_random_uuid() || ':verify', ${at}::timestamptz)`,
    );
  await confirm(cid, '2025-06-01T08:00:00Z');
  await clinic.plan(now);
  t.match(await clinic.messages(), [{ patientId: ann, scheduledAt: '2026-03-03T10:00:00Z' }]);
  t.equal((await clinic.messages()).length, 1);
  t.match(await explain(clinic, rule.id, bob), { outcome: 'not-due', reason: 'no-anchor' });
  t.match(await explain(clinic, rule.id, cid, { on: '2026-06-01' }), {
    dueAt: '2026-06-01T10:00:00Z',
  });
  await confirm(ann, '2026-03-02T07:00:00Z');
  await clinic.plan('2026-03-02T07:00:00Z');
  t.match(await clinic.messages(), [{ state: 'cancelled', reason: 'data-checked' }]);
});
