import t, { type Test } from 'tap';
import { testApi } from '../support/api.ts';

t.setTimeout(180_000);

/** A recall whose ladder takes ten days, and a reactivation that falls due in the middle of it. */
const recall = {
  name: 'Recall',
  purpose: 'care',
  trigger: { type: 'visit', after: 'P30D' },
  sendAt: '10:00',
  steps: [
    { channel: 'sms', template: 'recall' },
    { channel: 'sms', template: 'recall', after: 'P5D' },
    { channel: 'task', template: 'recall', after: 'P5D' },
  ],
};
const reactivation = {
  name: 'Reactivation',
  purpose: 'care',
  priority: 90,
  trigger: { type: 'inactive', after: 'P32D' },
  sendAt: '10:00',
  catchUp: 'P30D',
  steps: [
    { channel: 'sms', template: 'recall' },
    { channel: 'sms', template: 'recall', after: 'P3D' },
  ],
};

async function clinicWithBoth(t: Test, changes: object = {}, both: object = {}) {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-01T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  const ids: string[] = [];
  for (const rule of [
    { ...recall, ...both },
    { ...reactivation, ...both, ...changes },
  ]) {
    const made = await owner.post('/v1/rules', rule);
    t.equal(made.status, 201, made.text);
    ids.push(String(made.body.id));
    await owner.post(`/v1/rules/${made.body.id}/activate`);
  }
  await owner.put('/v1/patients/ana', {
    name: { given: 'Ana' },
    telecom: [{ system: 'phone', value: '+525512345671' }],
    consent: { care: { sms: 'granted', call: 'granted' } },
  });
  await owner.put('/v1/visits/v1', {
    patientId: 'ana',
    status: 'finished',
    start: '2026-01-01T10:00:00Z',
  });
  const [recallId = '', reactivationId = ''] = ids;
  const at = (day: string) => owner.post('/v1/test/clock', { now: `2026-${day}T12:00:00Z` });
  const standing = async (ruleId: string) => {
    const { body } = await owner.get(`/v1/messages?ruleId=${ruleId}&limit=200`);
    return (
      body.data as { step: number; state: string; reason: string | null; sentAt: string | null }[]
    )
      .toSorted((one, other) => one.step - other.step)
      .map(({ state, reason, sentAt }) => [state, reason ?? sentAt?.slice(5, 10)].join(' '));
  };
  return { owner, recallId, reactivationId, at, standing };
}

t.test(
  'a reactivation waits until the recall has come to its end, and says for which',
  async (t) => {
    const { owner, recallId, reactivationId, at, standing } = await clinicWithBoth(t);
    await at('02-03');
    t.same((await standing(recallId)).slice(0, 1), ['delivered 01-31']);
    t.same(await standing(reactivationId), ['held lower-priority']);
    const explained = await owner.get(
      `/v1/rules/${reactivationId}/explain?patientId=ana&on=2026-02-02`,
    );
    t.match(explained.body, { outcome: 'held', reason: 'lower-priority' });
    const checks = explained.body.checks as { name: string; seen: unknown }[];
    t.match(checks.find(({ name }) => name === 'one-invitation')?.seen, {
      ruleId: recallId,
      name: 'Recall',
    });
    await at('02-12');
    t.same(await standing(recallId), ['delivered 01-31', 'delivered 02-05', 'delivered 02-10']);
    t.same((await standing(reactivationId)).slice(0, 1), ['delivered 02-11'], 'the day after');
    await at('02-20');
    t.same(await standing(reactivationId), ['delivered 02-11', 'delivered 02-14']);
  },
);

t.test('who answers the recall hears nothing of the reactivation', async (t) => {
  const { owner, recallId, reactivationId, at, standing } = await clinicWithBoth(t);
  await at('02-03');
  await owner.put('/v1/appointments/a1', {
    patientId: 'ana',
    status: 'booked',
    start: '2026-02-20T10:00:00Z',
    createdAt: '2026-02-03T12:00:00Z',
  });
  await at('02-19');
  t.same((await standing(recallId)).at(0), 'delivered 01-31');
  t.same(await standing(reactivationId), ['held future-appointment']);
});

t.test('a recall that is switched off makes room', async (t) => {
  const { owner, recallId, reactivationId, at, standing } = await clinicWithBoth(t);
  await at('02-03');
  await owner.post(`/v1/rules/${recallId}/pause`);
  await at('02-05');
  t.same((await standing(reactivationId)).slice(0, 1), ['delivered 02-04']);
});

t.test(
  'a reactivation for which it is too late when its turn comes ends with the reason',
  async (t) => {
    const { reactivationId, at, standing } = await clinicWithBoth(t, { catchUp: 'P2D' });
    await at('02-12');
    t.same(await standing(reactivationId), ['suppressed lower-priority']);
  },
);

t.test('rules of one message never wait for each other beyond the day', async (t) => {
  const { owner, reactivationId, recallId, at, standing } = await clinicWithBoth(t);
  await owner.patch(`/v1/rules/${recallId}`, { steps: recall.steps.slice(0, 1) });
  await at('02-03');
  t.same((await standing(reactivationId)).slice(0, 1), ['delivered 02-02']);
});

t.test(
  'of two ladders that are due at once the better begins, also where caps see none',
  async (t) => {
    const call = [
      { channel: 'task', template: 'recall' },
      { channel: 'sms', template: 'recall', after: 'P1D' },
    ];
    const trigger = { type: 'inactive', after: 'P30D' };
    const { recallId, reactivationId, at, standing } = await clinicWithBoth(
      t,
      { trigger },
      { steps: call, catchUp: 'P30D' },
    );
    await at('01-31');
    t.same((await standing(reactivationId)).slice(0, 1), ['delivered 01-31'], 'by its priority');
    t.same(await standing(recallId), ['held lower-priority']);
    await at('02-04');
    t.same(await standing(reactivationId), ['delivered 01-31', 'delivered 02-01']);
    t.same(await standing(recallId), ['delivered 02-02', 'delivered 02-03'], 'then the other');
  },
);

t.test('on two channels with room for both the second waits all the same', async (t) => {
  const trigger = { type: 'inactive', after: 'P30D' };
  const steps = [
    { channel: 'email', template: 'recall' },
    { channel: 'sms', template: 'recall', after: 'P3D' },
  ];
  const { owner, recallId, reactivationId, at, standing } = await clinicWithBoth(t, {
    trigger,
    steps,
  });
  await owner.patch('/v1/clinic', { caps: { perDay: 5, perWeek: 30 } });
  await owner.put('/v1/patients/ana', {
    name: { given: 'Ana' },
    telecom: [
      { system: 'phone', value: '+525512345671' },
      { system: 'email', value: 'ana@example.com' },
    ],
    consent: { care: { sms: 'granted', call: 'granted', email: 'granted' } },
  });
  await at('01-31');
  const begun = [...(await standing(recallId)), ...(await standing(reactivationId))];
  t.equal(begun.filter((each) => each === 'delivered 01-31').length, 1, begun.join());
  t.equal(begun.filter((each) => each === 'held lower-priority').length, 1, begun.join());
});

t.test('a merge brings a running recall to the patient whose reactivation waits', async (t) => {
  const { owner, recallId, reactivationId, at, standing } = await clinicWithBoth(t);
  await at('02-01');
  await owner.put('/v1/patients/eva', {
    name: { given: 'Eva' },
    telecom: [{ system: 'phone', value: '+525512345679' }],
    consent: { care: { sms: 'granted', call: 'granted' } },
  });
  await owner.post('/v1/events', {
    id: 'm1',
    type: 'patient.merged',
    occurredAt: '2026-02-01T12:00:00Z',
    data: { id: 'ana', into: 'eva' },
  });
  await at('02-03');
  t.same((await standing(recallId)).slice(0, 1), ['delivered 01-31']);
  t.same(await standing(reactivationId), ['held lower-priority']);
  const { body } = await owner.get(
    `/v1/rules/${reactivationId}/explain?patientId=eva&on=2026-02-02`,
  );
  t.match(body, { outcome: 'held', reason: 'lower-priority' });
  await at('02-12');
  t.same((await standing(reactivationId)).slice(0, 1), ['delivered 02-11']);
});

t.test('a recall that is deleted makes room at once', async (t) => {
  const { owner, recallId, reactivationId, at, standing } = await clinicWithBoth(t);
  await at('02-03');
  await owner.delete(`/v1/rules/${recallId}`);
  await at('02-05');
  t.same((await standing(reactivationId)).slice(0, 1), ['delivered 02-04']);
});

t.test('a waiting reactivation that becomes no invitation waits no longer', async (t) => {
  const { owner, reactivationId, at, standing } = await clinicWithBoth(t, {
    trigger: { type: 'visit', after: 'P32D' },
  });
  await at('02-03');
  t.same(await standing(reactivationId), ['held lower-priority']);
  const changed = await owner.patch(`/v1/rules/${reactivationId}`, { unlessBooked: false });
  t.equal(changed.status, 200, changed.text);
  await at('02-04');
  t.same((await standing(reactivationId)).slice(0, 1), ['delivered 02-03']);
});
