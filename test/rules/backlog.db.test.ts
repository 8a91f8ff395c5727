import { sql } from 'kysely';
import t from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { planClinic } from '../../src/rules/plan.ts';
import { type RecallClinic, recallClinics, yearly } from './recall-clinic.ts';

t.setTimeout(120_000);
const clinicOf = recallClinics(t);

/** Patients whose recall fell due on 1 January, 2 January and so on of the year before. */
async function lostPatients(clinic: RecallClinic, ids: readonly string[]): Promise<void> {
  const first = Temporal.PlainDate.from('2025-01-01').subtract('P180D');
  for (const [index, id] of ids.entries()) {
    await clinic.patient(id);
    await clinic.visit(`v-${id}`, id, `${first.add({ days: index })}T09:00:00Z`);
  }
}

const backlog = { perDay: 2, order: 'most-overdue' };

t.test('those who were lost before enter day by day, the most overdue first', async (t) => {
  const clinic = await clinicOf();
  await lostPatients(clinic, ['a', 'b', 'c', 'd', 'e']);
  const ruleId = await clinic.rule({ backlog });
  t.match(await clinic.messages(), [{ scheduledAt: '2026-01-05T10:00:00Z' }, {}]);
  await clinic.at('2026-02-20T12:00:00Z');
  t.same(await clinic.sent(), [
    'a 2026-01-05T10:00',
    'b 2026-01-05T10:00',
    'c 2026-01-06T10:00',
    'd 2026-01-06T10:00',
    'e 2026-01-07T10:00',
  ]);
  await clinic.must(clinic.post(`/v1/rules/${ruleId}/pause`));
  await clinic.must(clinic.post(`/v1/rules/${ruleId}/activate`));
  await clinic.at('2026-03-20T12:00:00Z');
  t.equal((await clinic.sent()).length, 5, 'nobody twice');
});

t.test('without a backlog the past is left alone', async (t) => {
  const clinic = await clinicOf();
  await lostPatients(clinic, ['a', 'b']);
  await clinic.rule();
  await clinic.at('2026-02-20T12:00:00Z');
  t.same(await clinic.messages(), []);
});

t.test('the most recent enter first, and none who is lost for too long', async (t) => {
  const clinic = await clinicOf();
  await lostPatients(clinic, ['a', 'b', 'c', 'd', 'e']);
  await clinic.rule({ backlog: { perDay: 1, order: 'most-recent', within: 'P367D' } });
  await clinic.at('2026-02-20T12:00:00Z');
  t.same(await clinic.sent(), ['e 2026-01-05T10:00', 'd 2026-01-06T10:00', 'c 2026-01-07T10:00']);
});

t.test('who came, booked, died or may not be written to takes nobody’s place', async (t) => {
  const clinic = await clinicOf({ policy: { careNeedsConsent: true } });
  await lostPatients(clinic, ['came', 'booked', 'died', 'mute', 'a', 'b', 'c']);
  await clinic.visit('v9', 'came', '2026-01-02T09:00:00Z');
  await clinic.must(
    clinic.put('/v1/appointments/a1', {
      patientId: 'booked',
      status: 'booked',
      start: '2026-03-10T12:00:00Z',
      minutes: 30,
    }),
  );
  await clinic.patient('died', { deceased: true });
  await clinic.patient('mute', { consent: { care: { sms: 'denied' } } });
  await clinic.rule({ backlog });
  await clinic.at('2026-01-20T12:00:00Z');
  t.same(await clinic.sent(), ['a 2026-01-05T10:00', 'b 2026-01-05T10:00', 'c 2026-01-06T10:00']);
  t.equal((await clinic.messages()).length, 3, 'and of the others nothing is planned');
  await clinic.patient('mute');
  await clinic.at('2026-01-22T12:00:00Z');
  t.equal((await clinic.sent()).at(-1), 'mute 2026-01-21T10:00', 'who may be written to, enters');
});

t.test('the limit of a day holds on top, and who waits for it keeps the new day', async (t) => {
  const clinic = await clinicOf();
  await lostPatients(clinic, ['a', 'b', 'c', 'd', 'e']);
  await clinic.rule({ backlog: { ...backlog, perDay: 5 }, limits: { perDay: 1 }, catchUp: 'P3D' });
  await clinic.at('2026-01-05T12:00:00Z');
  // A mark plans everybody anew.
  for (const id of ['b', 'c', 'd', 'e']) await clinic.patient(id, { name: { given: `${id}2` } });
  await clinic.at('2026-01-20T12:00:00Z');
  t.same(await clinic.sent(), [
    'a 2026-01-05T10:00',
    'b 2026-01-06T09:00',
    'c 2026-01-07T09:00',
    'd 2026-01-08T09:00',
  ]);
  t.match(await clinic.messages('&patientId=e'), [{ state: 'suppressed', reason: 'daily-limit' }]);
});

t.test('who enters can still be called off by a visit, and is then not recalled', async (t) => {
  const clinic = await clinicOf({ now: '2026-01-05T06:00:00Z' });
  await lostPatients(clinic, ['a', 'b']);
  const ruleId = await clinic.rule({ backlog });
  await clinic.visit('v9', 'a', '2026-01-05T05:00:00Z');
  await clinic.at('2026-01-08T12:00:00Z');
  t.same(await clinic.sent(), ['b 2026-01-05T10:00']);
  const url = `/v1/rules/${ruleId}/explain?patientId=b&on=2026-01-05`;
  const explained = await clinic.must(clinic.get(url));
  t.match(explained, { outcome: 'sent', dueAt: '2026-01-05T10:00:00Z' });
  const failed = (explained.checks as { name: string; passed: boolean }[]).filter(
    ({ passed }) => !passed,
  );
  t.same(failed, []);
});

t.test('several planners at once let in no more than one would', async (t) => {
  const clinic = await clinicOf({ mode: 'live', now: undefined });
  const at = (now: string) => Temporal.Instant.from(now);
  await lostPatients(clinic, ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
  await clinic.rule({ backlog });
  const entered = () =>
    withClinic(clinic.api.database.db, clinic.id, async (trx) => {
      const { rows } = await sql<{ day: string; count: number }>`
        select due_at::date as day, count(*)::int as count from journeys
        where clinic_id = ${clinic.id} group by 1 order by 1`.execute(trx);
      return rows.map(({ count }) => count);
    });
  for (const now of ['2026-03-02T15:00:00Z', '2026-03-03T00:00:00Z', '2026-03-03T08:00:00Z'])
    await Promise.all([1, 2, 3, 4].map(() => planClinic(clinic.api.deps, clinic.id, at(now))));
  t.same(await entered(), [2, 2]);
});

t.test('preview and diff tell what the backlog would add', async (t) => {
  const clinic = await clinicOf();
  await lostPatients(clinic, ['a', 'b', 'c', 'd', 'e']);
  const { id } = await clinic.must(clinic.post('/v1/rules', { ...yearly, backlog }));
  const preview = (from: string, to: string) =>
    clinic.must(clinic.post(`/v1/rules/${id}/preview`, { from, to }));
  t.match(await preview('2026-01-05', '2026-01-05'), { recipients: 2, backlog: 3 });
  t.match(await preview('2026-01-06', '2026-01-06'), { recipients: 2, backlog: 1 });
  t.match(await preview('2026-01-05', '2026-01-09'), { recipients: 5, backlog: 0 });
  t.match(await clinic.must(clinic.get(`/v1/rules/${id}/due?from=2026-01-05&to=2026-01-05`)), {
    data: [{ patientId: 'a' }, { patientId: 'b' }],
  });
  await clinic.must(clinic.post(`/v1/rules/${id}/activate`));
  t.match(await preview('2026-01-06', '2026-01-06'), { recipients: 2, backlog: 1 });
  await clinic.at('2026-01-06T12:00:00Z');
  t.equal((await clinic.sent()).filter((row) => row.includes('01-06')).length, 2, 'and so it was');
  t.match(await preview('2026-01-07', '2026-01-07'), { recipients: 1, backlog: 0 });
  const slower = { ...yearly, backlog: { ...backlog, perDay: 1 } };
  t.match(await clinic.must(clinic.post(`/v1/rules/${id}/diff`, { rule: yearly })), {
    lost: 1,
    backlog: 0,
    beforeActivation: 0,
  });
  t.match(await clinic.must(clinic.post(`/v1/rules/${id}/diff`, { rule: slower })), { lost: 0 });
});

t.test(
  'what a changed trigger moves into the past is recorded, and enters by the backlog alone',
  async (t) => {
    const clinic = await clinicOf();
    for (const [id, start] of [
      ['old', '2025-03-01T09:00:00Z'],
      ['far', '2025-09-01T09:00:00Z'],
      ['farther', '2025-09-20T09:00:00Z'],
      ['ahead', '2025-12-20T09:00:00Z'],
    ] as const) {
      await clinic.patient(id);
      await clinic.visit(`v-${id}`, id, start);
    }
    const ruleId = await clinic.rule();
    const shorter = { trigger: { type: 'visit', after: 'P90D' } };
    const diff = await clinic.must(
      clinic.post(`/v1/rules/${ruleId}/diff`, { rule: { ...yearly, ...shorter } }),
    );
    t.match(diff, { beforeActivation: 2, gained: 0 });
    await clinic.must(clinic.patch(`/v1/rules/${ruleId}`, shorter));
    const explain = async (patientId: string) => {
      const url = `/v1/rules/${ruleId}/explain?patientId=${patientId}`;
      return clinic.must(clinic.get(url));
    };
    for (const id of ['far', 'farther'])
      t.match(await explain(id), {
        basis: 'recorded',
        outcome: 'suppressed',
        reason: 'before-activation',
      });
    t.match(await explain('old'), { basis: 'recomputed' }, 'who was past before was not moved');
    await clinic.at('2026-01-20T12:00:00Z');
    t.same(await clinic.sent(), []);
    await clinic.must(
      clinic.patch(`/v1/rules/${ruleId}`, { backlog: { ...backlog, within: 'P40D' } }),
    );
    await clinic.at('2026-03-25T12:00:00Z');
    t.same(await clinic.sent(), [
      'far 2026-01-20T12:00',
      'farther 2026-01-20T12:00',
      'ahead 2026-03-20T10:00',
    ]);
  },
);

t.test('a trigger that is changed back finds those again whom it had left behind', async (t) => {
  const clinic = await clinicOf();
  await clinic.patient('ana');
  await clinic.visit('v1', 'ana', '2025-09-01T09:00:00Z');
  const ruleId = await clinic.rule();
  await clinic.must(
    clinic.patch(`/v1/rules/${ruleId}`, { trigger: { type: 'visit', after: 'P90D' } }),
  );
  await clinic.must(clinic.patch(`/v1/rules/${ruleId}`, { trigger: yearly.trigger }));
  await clinic.at('2026-03-25T12:00:00Z');
  t.same(await clinic.sent(), ['ana 2026-02-28T10:00']);
});

t.test('a backlog of what is over with its day is refused', async (t) => {
  const clinic = await clinicOf();
  const refused = async (rule: object, pointer: string) => {
    const answer = await clinic.post('/v1/rules', { ...yearly, ...rule });
    t.equal(answer.status, 400);
    t.match(answer.body, { errors: [{ pointer }] });
  };
  await refused({ backlog, trigger: { type: 'birthday' } }, '/backlog');
  await refused({ backlog, trigger: { type: 'calendar', date: '03-08' } }, '/backlog');
  await refused({ backlog: { ...backlog, perDay: 0 } }, '/backlog/perDay');
  await refused({ backlog: { ...backlog, order: 'any' } }, '/backlog/order');
  await refused({ backlog: { ...backlog, within: 'P10000D' } }, '/backlog/within');
  await refused({ backlog: { ...backlog, within: 'PT5H' } }, '/backlog/within');
  const { id } = await clinic.must(clinic.post('/v1/rules', { ...yearly, backlog }));
  t.match(await clinic.must(clinic.get(`/v1/rules/${id}`)), { backlog });
  await clinic.must(clinic.patch(`/v1/rules/${id}`, { backlog: null }));
  t.match(await clinic.must(clinic.get(`/v1/rules/${id}`)), { backlog: null });
  t.match(await clinic.must(clinic.get(`/v1/rules/${id}/versions`)), {
    data: [{ definition: { backlog: null } }, { definition: { backlog } }],
  });
});
