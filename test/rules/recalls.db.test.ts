import { sql } from 'kysely';
import t from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { type RecallClinic, recallClinics, yearly } from './recall-clinic.ts';

t.setTimeout(120_000);
const clinicOf = recallClinics(t);

const put = (clinic: RecallClinic, patientId: string, ruleId: string, wish: object) =>
  clinic.must(clinic.put(`/v1/patients/${patientId}/recalls/${ruleId}`, wish));

/** 180 days after it, at 10:00: 10 January. */
const lastVisit = '2025-07-14T09:00:00Z';

t.test(
  'a day that is settled for one patient moves the waiting message, and it goes once',
  async (t) => {
    const clinic = await clinicOf({ now: '2026-01-08T12:00:00Z' });
    await clinic.patient('ana');
    await clinic.patient('bea');
    await clinic.rule({ name: 'Another', trigger: { type: 'birthday' } });
    await clinic.visit('v1', 'ana', lastVisit);
    await clinic.visit('v2', 'bea', lastVisit);
    const ruleId = await clinic.rule();
    t.match(await clinic.messages('&patientId=ana'), [
      { state: 'scheduled', scheduledAt: '2026-01-10T10:00:00Z' },
    ]);
    const recall = await put(clinic, 'ana', ruleId, { dueOn: '2026-01-20', reason: 'On holiday' });
    t.match(recall, {
      ruleId,
      dueOn: '2026-01-20',
      dueAt: '2026-01-20T10:00:00Z',
      lastAnchor: { occurrence: 'visit:v1', at: lastVisit },
      override: { after: null, dueOn: '2026-01-20', disabledUntil: null, reason: 'On holiday' },
    });
    t.match(await clinic.messages('&patientId=ana'), [
      { state: 'scheduled', scheduledAt: '2026-01-20T10:00:00Z' },
    ]);
    await clinic.at('2026-02-20T12:00:00Z');
    t.same(await clinic.sent(), ['bea 2026-01-10T10:00', 'ana 2026-01-20T10:00']);
    await put(clinic, 'ana', ruleId, { dueOn: '2026-02-25' });
    await clinic.at('2026-03-20T12:00:00Z');
    t.equal((await clinic.sent()).length, 2, 'what was sent is not sent again');
  },
);

t.test('a day is settled for the present recall: a later visit drops it', async (t) => {
  const clinic = await clinicOf({ now: '2026-01-08T12:00:00Z' });
  await clinic.patient('ana');
  await clinic.visit('v1', 'ana', lastVisit);
  const ruleId = await clinic.rule();
  await put(clinic, 'ana', ruleId, { dueOn: '2026-04-01' });
  await clinic.at('2026-02-02T12:00:00Z');
  await clinic.visit('v2', 'ana', '2026-02-02T09:00:00Z');
  const { data } = await clinic.must(clinic.get('/v1/patients/ana/recalls'));
  t.match(data, [
    { dueOn: '2026-08-01', lastAnchor: { occurrence: 'visit:v2' }, override: { dueOn: null } },
  ]);
  await clinic.at('2026-08-10T12:00:00Z');
  t.same(await clinic.sent(), ['ana 2026-08-01T10:00']);
});

t.test('a period of one patient replaces the rule’s, for each visit to come', async (t) => {
  const clinic = await clinicOf({ now: '2026-01-08T12:00:00Z' });
  await clinic.patient('braces');
  await clinic.patient('usual');
  const ruleId = await clinic.rule();
  await put(clinic, 'braces', ruleId, { after: 'P28D' });
  for (const patientId of ['braces', 'usual'])
    await clinic.visit(`v-${patientId}`, patientId, '2026-01-07T09:00:00Z');
  await clinic.at('2026-02-05T12:00:00Z');
  t.same(await clinic.sent(), ['braces 2026-02-04T10:00']);
  await clinic.visit('v2', 'braces', '2026-02-05T09:00:00Z');
  await clinic.at('2026-07-10T12:00:00Z');
  t.same(await clinic.sent(), [
    'braces 2026-02-04T10:00',
    'braces 2026-03-05T10:00',
    'usual 2026-07-06T10:00',
  ]);
});

t.test('preview, due list, backtest and diff see what is settled', async (t) => {
  const clinic = await clinicOf({ now: '2026-01-08T12:00:00Z' });
  await clinic.patient('ana');
  await clinic.visit('v1', 'ana', lastVisit);
  const ruleId = await clinic.rule();
  await put(clinic, 'ana', ruleId, { dueOn: '2026-03-05' });
  const on = (what: string, from: string, to: string) =>
    clinic.must(clinic.post(`/v1/rules/${ruleId}/${what}`, { from, to }));
  t.match(await on('preview', '2026-01-09', '2026-02-28'), { recipients: 0 });
  t.match(await on('preview', '2026-03-05', '2026-03-05'), { recipients: 1 });
  const due = await clinic.must(
    clinic.get(`/v1/rules/${ruleId}/due?from=2026-03-01&to=2026-03-31`),
  );
  t.match(due.data, [{ patientId: 'ana', dueAt: '2026-03-05T10:00:00Z' }]);
  await clinic.at('2026-03-20T12:00:00Z');
  t.match(await on('backtest', '2026-01-01', '2026-02-28'), { recipients: 0 });
  t.match(await on('backtest', '2026-03-01', '2026-03-10'), { recipients: 1 });
  const diff = await clinic.must(
    clinic.post(`/v1/rules/${ruleId}/diff`, { rule: { ...yearly, name: 'Other' } }),
  );
  t.match(diff, { gained: 0, lost: 0 });
});

t.test(
  'a recall that is switched off for a time waits for that day, and for ever never comes',
  async (t) => {
    const clinic = await clinicOf({ now: '2026-01-08T12:00:00Z' });
    const ruleId = await clinic.rule();
    for (const patientId of ['away', 'gone', 'back']) {
      await clinic.patient(patientId);
      await clinic.visit(`v-${patientId}`, patientId, lastVisit);
    }
    await put(clinic, 'away', ruleId, { disabledUntil: '2026-03-01' });
    for (const patientId of ['gone', 'back'])
      t.match(await put(clinic, patientId, ruleId, { disabledUntil: '9999-12-31' }), {
        dueOn: null,
      });
    t.match(await clinic.messages('&patientId=gone'), [
      { state: 'cancelled', reason: 'recall-settled' },
    ]);
    const explain = async (patientId: string) => {
      const url = `/v1/rules/${ruleId}/explain?patientId=${patientId}&on=2026-01-10`;
      const { outcome, reason, checks } = await clinic.must(clinic.get(url));
      const recall = (checks as { name: string }[]).find(({ name }) => name === 'recall');
      return { outcome, reason, recall };
    };
    t.match(await explain('gone'), {
      outcome: 'cancelled',
      reason: 'recall-settled',
      recall: { passed: false, seen: { disabledUntil: '9999-12-31' }, wanted: { after: 'P180D' } },
    });
    await clinic.at('2026-01-09T12:00:00Z');
    const url = `/v1/patients/back/recalls/${ruleId}`;
    t.equal((await clinic.delete(url)).status, 204);
    t.equal((await clinic.delete(url)).status, 404, 'there is nothing left to take back');
    await clinic.at('2026-12-20T12:00:00Z');
    t.same(await clinic.sent(), ['back 2026-01-10T10:00', 'away 2026-03-01T10:00']);
  },
);

t.test('an inactive patient and a treatment are settled in the same way', async (t) => {
  const clinic = await clinicOf({ now: '2026-01-08T12:00:00Z' });
  await clinic.patient('ana');
  await clinic.visit('v1', 'ana', '2025-12-01T09:00:00Z');
  const inactive = await clinic.rule({ trigger: { type: 'inactive', after: 'P12M' } });
  const treatment = await clinic.rule({ trigger: { type: 'treatment' } });
  await clinic.must(
    clinic.post('/v1/events', {
      id: 'e1',
      type: 'treatment.upserted',
      occurredAt: '2026-01-08T11:00:00Z',
      data: {
        id: 't1',
        patientId: 'ana',
        steps: [{ id: 'crown', service: 'crown', dueOn: '2026-02-10' }],
      },
    }),
  );
  await put(clinic, 'ana', inactive, { after: 'P2M' });
  await put(clinic, 'ana', treatment, { dueOn: '2026-02-20' });
  const { data } = await clinic.must(clinic.get('/v1/patients/ana/recalls'));
  t.match(data, [
    { ruleId: inactive, dueOn: '2026-02-01', lastAnchor: { occurrence: 'inactive:visit:v1' } },
    { ruleId: treatment, dueOn: '2026-02-20', lastAnchor: { at: '2026-02-10' } },
  ]);
  await clinic.at('2026-03-20T12:00:00Z');
  t.same(await clinic.sent(), ['ana 2026-02-01T10:00', 'ana 2026-02-20T10:00']);
});

t.test('what cannot be settled is refused, and says where', async (t) => {
  const clinic = await clinicOf({ now: '2026-01-08T12:00:00Z' });
  await clinic.patient('ana');
  const ruleId = await clinic.rule();
  const birthday = await clinic.rule({ trigger: { type: 'birthday' } });
  const refused = async (id: string, wish: object, status: number, pointer: string) => {
    const answer = await clinic.put(`/v1/patients/ana/recalls/${id}`, wish);
    t.equal(answer.status, status, JSON.stringify(wish));
    t.match(answer.body, { errors: [{ pointer }] });
  };
  await refused(birthday, { after: 'P90D' }, 422, '/ruleId');
  await refused(ruleId, { dueOn: '2026-02-01' }, 422, '/dueOn');
  await clinic.visit('v1', 'ana', '2025-12-01T09:00:00Z');
  await refused(ruleId, {}, 400, '');
  await refused(ruleId, { after: 'P10000D' }, 400, '/after');
  await refused(ruleId, { after: 'soon' }, 400, '/after');
  await refused(ruleId, { dueOn: '2026-02-30' }, 400, '/dueOn');
  await refused(ruleId, { dueOn: '2026-01-07' }, 400, '/dueOn');
  await refused(ruleId, { disabledUntil: '9999-12-30' }, 400, '/disabledUntil');
  const wish = { after: 'P90D' };
  t.equal((await clinic.put(`/v1/patients/nobody/recalls/${ruleId}`, wish)).status, 404);
  t.equal((await clinic.put('/v1/patients/ana/recalls/nothing', wish)).status, 404);
  t.match(await clinic.must(clinic.get('/v1/patients/ana/recalls')), {
    data: [{ override: null }],
  });
});

t.test('a merge takes the settled day along, but the survivor’s own wins', async (t) => {
  const clinic = await clinicOf({ now: '2026-01-08T12:00:00Z' });
  const ruleId = await clinic.rule();
  for (const id of ['old', 'new', 'old2', 'new2']) await clinic.patient(id);
  await clinic.visit('v1', 'old', lastVisit);
  await clinic.visit('v2', 'old2', lastVisit);
  await put(clinic, 'old', ruleId, { after: 'P200D' });
  await put(clinic, 'old2', ruleId, { after: 'P200D' });
  await put(clinic, 'new2', ruleId, { after: 'P210D' });
  for (const [index, from, to] of [
    [1, 'old', 'new'],
    [2, 'old2', 'new2'],
  ] as const)
    await clinic.must(
      clinic.post('/v1/events', {
        id: `e${index}`,
        type: 'patient.merged',
        occurredAt: '2026-01-08T12:00:00Z',
        data: { id: from, into: to },
      }),
    );
  await clinic.at('2026-03-20T12:00:00Z');
  t.same(await clinic.sent(), ['new 2026-01-30T10:00', 'new2 2026-02-09T10:00']);
});

t.test('the audit keeps which key settled what, and when', async (t) => {
  const clinic = await clinicOf({ now: '2026-01-08T12:00:00Z' });
  await clinic.patient('ana');
  const ruleId = await clinic.rule();
  await put(clinic, 'ana', ruleId, { after: 'P90D', reason: 'Gums' });
  await clinic.delete(`/v1/patients/ana/recalls/${ruleId}`);
  const { rows } = await withClinic(clinic.api.database.db, clinic.id, (trx) =>
    sql<{ actor: string; action: string; detail: object }>`
      select actor, action, detail from audit_entries
      where clinic_id = ${clinic.id} and action like 'recall.%' order by id`.execute(trx),
  );
  t.match(rows, [
    { action: 'recall.settled', detail: { ruleId, after: 'P90D' }, actor: /^key:/ },
    { action: 'recall.released', detail: { ruleId }, actor: /^key:/ },
  ]);
  t.notMatch(JSON.stringify(rows), /Gums/, 'but no reason of health');
});

t.test('a patient in another zone is recalled on the settled day of their own', async (t) => {
  const clinic = await clinicOf({ now: '2026-01-08T12:00:00Z' });
  await clinic.patient('far', { timeZone: 'Asia/Tokyo' });
  await clinic.visit('v1', 'far', lastVisit);
  const ruleId = await clinic.rule();
  t.match(await put(clinic, 'far', ruleId, { dueOn: '2026-01-20' }), {
    dueOn: '2026-01-20',
    dueAt: '2026-01-20T01:00:00Z',
  });
  await clinic.at('2026-02-20T12:00:00Z');
  t.same(await clinic.sent(), ['far 2026-01-20T01:00']);
});
