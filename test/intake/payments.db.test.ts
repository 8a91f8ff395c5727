import t from 'tap';
import { type Answer, testApi } from '../support/api.ts';

const person = (phone: string) => ({
  name: { given: 'Ana' },
  telecom: [{ system: 'phone', value: phone }],
  consent: { care: { sms: 'granted', call: 'granted' } },
});

async function clinicThatIsOwed(t: Parameters<typeof testApi>[0]) {
  const api = await testApi(t);
  const owner = await api.clinic({
    now: '2026-01-05T12:00:00Z',
    country: 'MX',
    currency: 'MXN',
    timeZone: 'UTC',
  });
  let told = 0;
  const tell = async (type: string, data: object, occurredAt = '2026-01-05T12:00:00Z') => {
    told += 1;
    const answer = await owner.post('/v1/events', { id: `e${told}`, type, occurredAt, data });
    return answer;
  };
  const at = (now: string) => owner.post('/v1/test/clock', { now });
  const statesOf = async (patientId: string) => {
    const { body } = await owner.get(`/v1/messages?patientId=${patientId}`);
    return (body.data as { step: number; state: string; reason: string | null }[])
      .toSorted((one, other) => one.step - other.step)
      .map(({ state, reason }) => (reason === null ? state : `${state} ${reason}`));
  };
  return { owner, tell, at, statesOf };
}

const bill = {
  name: 'Open bill',
  purpose: 'care',
  trigger: { type: 'event', event: 'x-bill' },
  unlessBooked: false,
  stopOn: ['paid'],
  steps: [
    { channel: 'sms', template: 'recall' },
    { channel: 'sms', template: 'recall', after: 'P3D' },
    { channel: 'task', template: 'recall', after: 'P3D' },
  ],
};

t.test('who pays hears no more of the bill, and a refund is no payment', async (t) => {
  const { owner, tell, at, statesOf } = await clinicThatIsOwed(t);
  const rule = await owner.post('/v1/rules', bill);
  t.equal(rule.status, 201, rule.text);
  await owner.post(`/v1/rules/${rule.body.id}/activate`);
  await owner.put('/v1/patients/ana', person('+525512345678'));
  await owner.put('/v1/patients/eva', person('+525587654321'));
  await at('2026-01-05T13:00:00Z');
  for (const patientId of ['ana', 'eva'])
    await tell('x-bill', { patientId }, '2026-01-05T13:00:00Z');
  await at('2026-01-06T18:00:00Z');
  t.same(await statesOf('ana'), ['delivered', 'scheduled']);
  const paid = {
    id: 'p1',
    patientId: 'ana',
    amount: '100.00',
    kind: 'payment',
    paidAt: '2026-01-07T10:00:00Z',
  };
  await at('2026-01-07T12:00:00Z');
  t.match(await tell('payment.recorded', paid), { status: 202, body: { accepted: 1 } });
  await tell('payment.recorded', { ...paid, id: 'p2', patientId: 'eva', kind: 'refund' });
  await at('2026-01-20T12:00:00Z');
  t.same(
    (await statesOf('ana')).filter((state) => state !== 'cancelled paid'),
    ['delivered'],
  );
  t.equal((await statesOf('eva')).filter((state) => state.startsWith('delivered')).length, 3);
});

t.test(
  'a balance finds who owes, in the clinic’s currency, and nobody of whom nothing is known',
  async (t) => {
    const { owner, tell } = await clinicThatIsOwed(t);
    const visit = {
      status: 'finished',
      start: '2026-01-02T10:00:00Z',
      amount: '300.00',
      currency: 'MXN',
    };
    for (const id of ['owes', 'even', 'unknown', 'ahead']) {
      await owner.put(`/v1/patients/${id}`, { name: { given: id } });
      await owner.put(`/v1/visits/v-${id}`, { ...visit, patientId: id });
    }
    const pay = (id: string, patientId: string, amount: string, more: object = {}) =>
      tell('payment.recorded', { id, patientId, amount, paidAt: '2026-01-03T10:00:00Z', ...more });
    await pay('1', 'owes', '100.00');
    await pay('2', 'owes', '500.00', { currency: 'USD' });
    await pay('3', 'even', '350.00');
    await pay('4', 'even', '50.00', { kind: 'refund' });
    await pay('5', 'ahead', '1000.00', { kind: 'deposit' });
    const members = async (balance: object) => {
      const put = await owner.put('/v1/segments/balance', { audience: { balance } });
      t.ok(put.status < 300, put.text);
      const { body } = await owner.get('/v1/segments/balance/members');
      return (body.data as { patientId: string }[]).map(({ patientId }) => patientId).sort();
    };
    t.same(await members({ lte: '-0.01' }), ['owes']);
    t.same(await members({ gte: '0' }), ['ahead', 'even']);
    t.same(await members({ gte: '-200', lte: '-200.00' }), ['owes']);
  },
);

t.test('a payment is told once, may be corrected, and follows a merge', async (t) => {
  const { owner, tell } = await clinicThatIsOwed(t);
  await owner.put('/v1/patients/old', { name: { given: 'Ana' } });
  await owner.put('/v1/patients/new', { name: { given: 'Ana' } });
  const paid = { id: 'p1', patientId: 'old', amount: '100.00', paidAt: '2026-01-03T10:00:00Z' };
  await tell('payment.recorded', paid);
  await tell('payment.recorded', { ...paid, amount: '70.00' }, '2026-01-05T12:00:01Z');
  t.match(await tell('payment.recorded', paid), { body: { stale: 1 } });
  await tell('patient.merged', { id: 'old', into: 'new' });
  const rule = await owner.post('/v1/rules', {
    ...bill,
    trigger: { type: 'visit', after: 'P1D' },
    audience: { balance: { gte: '0' } },
  });
  const explained = await owner.get(
    `/v1/rules/${rule.body.id}/explain?patientId=new&on=2026-01-06`,
  );
  const checks = (explained.body.checks ?? []) as { name: string; seen: unknown }[];
  t.match(JSON.stringify(checks), /70\.0+/);
});

t.test('money that is none is refused at the field', async (t) => {
  const { tell } = await clinicThatIsOwed(t);
  const pointers = ({ status, body }: Answer) => [
    status,
    ...(body.errors ?? []).map(({ pointer }) => pointer),
  ];
  const paid = { id: 'p', patientId: 'ana', amount: '1.00' };
  t.same(pointers(await tell('payment.recorded', { ...paid, amount: '-1' })), [
    400,
    '/data/amount',
  ]);
  t.same(pointers(await tell('payment.recorded', { ...paid, amount: '1.001' })), [
    400,
    '/data/amount',
  ]);
  t.same(pointers(await tell('payment.recorded', { ...paid, kind: 'gift' })), [400, '/data/kind']);
  t.same(pointers(await tell('payment.recorded', { ...paid, paidAt: 'today' })), [
    400,
    '/data/paidAt',
  ]);
});
