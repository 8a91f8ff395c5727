import t, { type Test } from 'tap';
import { testApi } from '../support/api.ts';

const recall = {
  name: 'Hygiene',
  purpose: 'care',
  trigger: { type: 'visit', after: 'P10D', services: ['hygiene'] },
  sendAt: '10:00',
  catchUp: 'P30D',
  steps: [
    { channel: 'sms', template: 'recall' },
    { channel: 'sms', template: 'recall', after: 'P3D' },
  ],
};

async function clinicWithSlots(t: Test) {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-05T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  const rule = await owner.post('/v1/rules', recall);
  t.equal(rule.status, 201, rule.text);
  await owner.post(`/v1/rules/${rule.body.id}/activate`);
  let told = 0;
  const slots = (free: number, more: object = {}, at = '2026-01-05T12:00:00Z') => {
    told += 1;
    const data = { day: '2026-01-20', service: 'hygiene', free, ...more };
    return owner.post('/v1/events', {
      id: `s${told}`,
      type: 'capacity.updated',
      occurredAt: at,
      data,
    });
  };
  for (let one = 1; one <= 5; one += 1) {
    await owner.put(`/v1/patients/p${one}`, {
      name: { given: 'Ana' },
      telecom: [{ system: 'phone', value: `+52551234560${one}` }],
      consent: { care: { sms: 'granted' } },
    });
    await owner.put(`/v1/visits/v${one}`, {
      patientId: `p${one}`,
      status: 'finished',
      start: `2026-01-06T1${one}:00:00Z`,
      services: [{ id: 'hygiene' }],
    });
  }
  await owner.post('/v1/test/clock', { now: '2026-01-05T12:30:00Z' });
  const invited = async () => {
    const { body } = await owner.get('/v1/messages?state=delivered&limit=200');
    const rows = body.data as { patientId: string; step: number }[];
    return rows
      .filter(({ step }) => step === 0)
      .map(({ patientId }) => patientId)
      .sort();
  };
  const waiting = async () => {
    const { body } = await owner.get('/v1/messages?state=held&limit=200');
    return (body.data as { patientId: string; reason: string }[])
      .map(({ patientId, reason }) => `${patientId} ${reason}`)
      .sort();
  };
  const at = (now: string) => owner.post('/v1/test/clock', { now });
  return { owner, ruleId: String(rule.body.id), slots, invited, waiting, at };
}

t.test(
  'no more are invited than slots are free, and a new slot lets the next one go at once',
  async (t) => {
    const { owner, ruleId, slots, invited, waiting, at } = await clinicWithSlots(t);
    await slots(2);
    await slots(40, { service: 'implant' });
    await at('2026-01-16T12:00:00Z');
    t.same(await invited(), ['p1', 'p2']);
    t.same(await waiting(), ['p3 capacity', 'p4 capacity', 'p5 capacity']);
    const asked = `/v1/rules/${ruleId}/explain?patientId=p3&on=2026-01-16`;
    const { body: explained } = await owner.get(asked);
    t.match(explained, { outcome: 'held', reason: 'capacity' });
    t.match(
      (explained.checks as { name: string }[]).filter(({ name }) => name === 'capacity'),
      [{ passed: false, seen: { free: 42, invited: 2 } }],
    );
    await at('2026-01-17T12:00:00Z');
    t.same(await invited(), ['p1', 'p2'], 'the invited keep their slots');
    t.match((await slots(3, {}, '2026-01-17T12:00:00Z')).body, { accepted: 1 });
    t.same(await invited(), ['p1', 'p2', 'p3']);
    t.match((await slots(9, {}, '2026-01-10T12:00:00Z')).body, { stale: 1 });
    t.same((await invited()).length, 3);
    // One books, and the host says so: a slot less, and an open invitation less.
    await owner.put('/v1/appointments/a1', {
      patientId: 'p1',
      status: 'booked',
      start: '2026-01-20T10:00:00Z',
      createdAt: '2026-01-17T12:10:00Z',
    });
    await slots(2, {}, '2026-01-17T12:10:00Z');
    t.same(await invited(), ['p1', 'p2', 'p3']);
    await at('2026-01-24T12:00:00Z');
    t.same(await waiting(), [], 'the days that were told of are over: nothing limits');
    t.equal((await invited()).length, 5);
  },
);

t.test('a clinic that tells of no slots is not held back', async (t) => {
  const { invited, at } = await clinicWithSlots(t);
  await at('2026-01-16T12:00:00Z');
  t.equal((await invited()).length, 5);
});
