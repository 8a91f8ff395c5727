import t, { type Test } from 'tap';
import { testApi } from '../support/api.ts';

/** Five patients who are due tomorrow, in a clinic where an sms costs ten. */
async function fiveDue(t: Test, limits: object) {
  const api = await testApi(t);
  const owner = await api.clinic({
    ...{ now: '2026-03-02T06:00:00Z', timeZone: 'Asia/Almaty', country: 'KZ' },
    ...{ language: 'ru', currency: 'KZT' },
  });
  const sms = { provider: 'smsc', credentials: { apiKey: 'k' }, tariff: { default: '10' } };
  await owner.put('/v1/channels/sms', sms);
  const text = 'Пора на осмотр';
  await owner.put('/v1/templates/care', { purpose: 'care', bodies: { sms: { ru: { text } } } });
  for (const id of ['a', 'b', 'c', 'd', 'e']) {
    const telecom = [{ system: 'phone', value: `+7705000000${id.charCodeAt(0) - 97}` }];
    await owner.put(`/v1/patients/${id}`, { name: { given: id }, telecom });
    await owner.put(`/v1/visits/v-${id}`, {
      ...{ patientId: id, status: 'finished', start: '2025-09-04T06:00:00Z' },
    });
  }
  const made = await owner.post('/v1/rules', {
    name: 'Recall',
    purpose: 'care',
    trigger: { type: 'visit', after: 'P180D' },
    steps: [{ channel: 'sms', template: 'care' }],
    limits,
  });
  t.equal(made.status, 201, made.text);
  await owner.post(`/v1/rules/${made.body.id}/activate`);
  const days = { from: '2026-03-03', to: '2026-03-03' };
  const preview = () => owner.post(`/v1/rules/${made.body.id}/preview`, days);
  return { owner, preview };
}

const budgets = {
  money: { limits: { budget: { amount: '35.00', per: 'P7D' } }, goes: 3 },
  messages: { limits: { messages: { count: 2, per: 'P7D' } }, goes: 2 },
};

for (const [name, { limits, goes }] of Object.entries(budgets)) {
  t.test(`a preview tells how far a budget in ${name} goes, and so it goes`, async (t) => {
    const { owner, preview } = await fiveDue(t, limits);
    const { body } = await preview();
    t.match(body, { recipients: goes, suppressed: { budget: 5 - goes } });
    await owner.post('/v1/test/clock', { now: '2026-03-03T18:00:00Z' });
    const { body: sent } = await owner.get('/v1/messages?limit=50');
    const states = (sent.data as { state: string }[]).map(({ state }) => state).toSorted();
    t.same(states, [
      ...Array.from({ length: goes }, () => 'delivered'),
      ...Array.from({ length: 5 - goes }, () => 'held'),
    ]);
  });
}
