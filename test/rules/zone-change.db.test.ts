import t from 'tap';
import { testApi } from '../support/api.ts';

t.test(
  'a clinic that moves to another zone sends at its new hours, once, and skips no day',
  async (t) => {
    const api = await testApi(t);
    const owner = await api.clinic({
      now: '2026-01-05T12:00:00Z',
      country: 'KZ',
      timeZone: 'America/Bogota',
      language: 'en',
    });
    const made = await owner.post('/v1/rules', {
      name: 'Recall',
      purpose: 'care',
      trigger: { type: 'visit', after: 'P10D' },
      sendAt: '10:00',
      steps: [{ channel: 'sms', template: 'recall' }],
    });
    await owner.post(`/v1/rules/${made.body.id}/activate`);
    const visitAt = async (id: string, phone: string, start: string) => {
      await owner.put(`/v1/patients/${id}`, {
        name: { given: id },
        telecom: [{ system: 'phone', value: phone }],
        consent: { care: { sms: 'granted' } },
      });
      await owner.put(`/v1/visits/v-${id}`, { patientId: id, status: 'finished', start });
    };
    // Due on the 16th, the 17th and the 18th, whose days differ from zone to zone.
    await owner.post('/v1/test/clock', { now: '2026-01-08T20:00:00Z' });
    await visitAt('ana', '+77051234561', '2026-01-06T20:00:00Z');
    await visitAt('eva', '+77051234562', '2026-01-07T20:00:00Z');
    await visitAt('ida', '+77051234563', '2026-01-08T19:00:00Z');
    await owner.post('/v1/test/clock', { now: '2026-01-15T12:00:00Z' });
    const moved = await owner.patch('/v1/clinic', { timeZone: 'Asia/Tokyo' });
    t.equal(moved.status, 200);
    await owner.post('/v1/test/clock', { now: '2026-01-25T12:00:00Z' });
    const { body } = await owner.get('/v1/messages?limit=200');
    const rows = body.data as { patientId: string; sentAt: string | null }[];
    const sent = rows
      .filter(({ sentAt }) => sentAt !== null)
      .map(({ patientId, sentAt }) => `${patientId} ${sentAt}`)
      .sort();
    t.same(sent, [
      'ana 2026-01-17T01:00:00Z',
      'eva 2026-01-18T01:00:00Z',
      'ida 2026-01-19T01:00:00Z',
    ]);
    await owner.patch('/v1/clinic', { timeZone: 'America/Bogota' });
    await owner.post('/v1/test/clock', { now: '2026-02-10T12:00:00Z' });
    const later = await owner.get('/v1/messages?limit=200');
    t.equal(
      (later.body.data as { sentAt: string | null }[]).filter(({ sentAt }) => sentAt !== null)
        .length,
      3,
    );
  },
);

t.test('what falls due earlier in the new zone is not left behind the horizon', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic({
    now: '2026-01-05T12:00:00Z',
    country: 'KZ',
    timeZone: 'America/Bogota',
    language: 'en',
  });
  const made = await owner.post('/v1/rules', {
    name: 'Recall',
    purpose: 'care',
    trigger: { type: 'visit', after: 'P10D' },
    sendAt: '10:00',
    steps: [
      { channel: 'sms', template: 'recall' },
      { channel: 'sms', template: 'recall', after: 'P2D' },
    ],
  });
  await owner.post(`/v1/rules/${made.body.id}/activate`);
  const visitAt = async (id: string, phone: string, start: string) => {
    await owner.put(`/v1/patients/${id}`, {
      name: { given: id },
      telecom: [{ system: 'phone', value: phone }],
      consent: { care: { sms: 'granted' } },
    });
    await owner.put(`/v1/visits/v-${id}`, { patientId: id, status: 'finished', start });
  };
  await owner.post('/v1/test/clock', { now: '2026-01-08T20:00:00Z' });
  // Its second step waits for the 17th when the clinic moves.
  await visitAt('ana', '+77051234561', '2026-01-05T14:00:00Z');
  // Planned is what is due before the 18th at 05:00Z: here it is due at 15:00Z, in Tokyo at 01:00Z.
  await visitAt('ida', '+77051234563', '2026-01-08T14:00:00Z');
  await owner.post('/v1/test/clock', { now: '2026-01-15T16:00:00Z' });
  t.equal((await owner.patch('/v1/clinic', { timeZone: 'Asia/Tokyo' })).status, 200);
  await owner.post('/v1/test/clock', { now: '2026-01-25T12:00:00Z' });
  const { body } = await owner.get('/v1/messages?limit=200');
  const sent = (body.data as { patientId: string; step: number; sentAt: string }[])
    .map(({ patientId, step, sentAt }) => `${patientId} ${step} ${sentAt}`)
    .sort();
  t.same(sent, [
    'ana 0 2026-01-15T15:00:00Z',
    'ana 1 2026-01-18T01:00:00Z',
    'ida 0 2026-01-18T01:00:00Z',
    'ida 1 2026-01-20T01:00:00Z',
  ]);
});
