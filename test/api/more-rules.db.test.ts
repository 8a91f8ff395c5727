import t from 'tap';
import { testApi } from '../support/api.ts';

const person = (phone: string) => ({
  name: { given: 'Ana' },
  telecom: [{ system: 'phone', value: phone }],
  consent: { care: { sms: 'granted' } },
});

t.test(
  'a delay reaches the appointment’s patient at seven, when the clinic is silent',
  async (t) => {
    const api = await testApi(t);
    const owner = await api.clinic({ now: '2026-01-05T12:00:00Z', country: 'MX', timeZone: 'UTC' });
    await owner.put('/v1/templates/late', {
      purpose: 'transactional',
      bodies: { sms: { en: { text: 'We are late for {{appointment.time}}' } } },
    });
    for (const [where, channel] of [
      [{}, 'sms'],
      [{ minutes: { gt: 15 } }, 'task'],
    ]) {
      const rule = await owner.post('/v1/rules', {
        name: 'Late',
        purpose: 'transactional',
        trigger: { type: 'event', event: 'appointment.delayed', where },
        steps: [{ channel, template: 'late' }],
      });
      t.equal(rule.status, 201);
      await owner.post(`/v1/rules/${rule.body.id}/activate`);
    }
    await owner.put('/v1/patients/ana', { ...person('+525512345678'), language: 'en' });
    await owner.post('/v1/test/clock', { now: '2026-01-06T07:00:00Z' });
    const told = await owner.post('/v1/events', [
      {
        id: 'late-1',
        type: 'appointment.delayed',
        occurredAt: '2026-01-06T07:00:00Z',
        data: { id: 'a-1', minutes: 20 },
      },
      {
        id: 'a-1',
        type: 'appointment.upserted',
        occurredAt: '2026-01-05T07:00:00Z',
        data: { id: 'a-1', patientId: 'ana', status: 'booked', start: '2026-01-06T07:30:00Z' },
      },
    ]);
    t.match(told.body, { accepted: 2 });
    const { body } = await owner.get('/v1/messages?patientId=ana');
    const rows = body.data as { channel: string }[];
    t.match(
      rows.toSorted((one, other) => (one.channel < other.channel ? -1 : 1)),
      [
        { channel: 'sms', occurrence: 'event:late-1', state: 'delivered', text: /7:30/ },
        { channel: 'task', occurrence: 'event:late-1' },
      ],
    );
  },
);

t.test('a treatment told by event is followed, also when its patient is merged', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-05T12:00:00Z', country: 'MX', timeZone: 'UTC' });
  const rule = await owner.post('/v1/rules', {
    name: 'Overdue',
    purpose: 'care',
    trigger: { type: 'treatment' },
    steps: [{ channel: 'sms', template: 'recall' }],
  });
  await owner.post(`/v1/rules/${rule.body.id}/activate`);
  await owner.put('/v1/patients/old', person('+525512345678'));
  await owner.put('/v1/patients/new', person('+525587654321'));
  const steps = [
    { id: 's1', service: 'implant', dueOn: '2026-01-05', doneOn: '2026-01-05' },
    { id: 's3', service: 'check', dueOn: '2026-01-20' },
    { id: 's2', service: 'crown', dueOn: '2026-01-08' },
  ];
  const tell = (id: string, type: string, occurredAt: string, data: object) =>
    owner.post('/v1/events', { id, type, occurredAt, data });
  const plan = { id: 't-1', patientId: 'old', steps };
  t.match(await tell('e1', 'treatment.upserted', '2026-01-05T12:00:00Z', plan), { status: 202 });
  const stale = await tell('e2', 'treatment.upserted', '2026-01-04T12:00:00Z', {
    ...plan,
    steps: [],
  });
  t.match(stale.body, { stale: 1 });
  const twice = { ...plan, steps: [steps[0], steps[0]] };
  t.match(await tell('e3', 'treatment.upserted', '2026-01-05T12:00:00Z', twice), { status: 400 });
  await tell('m', 'patient.merged', '2026-01-05T12:00:00Z', { id: 'old', into: 'new' });
  await owner.post('/v1/test/clock', { now: '2026-01-15T12:00:00Z' });
  const { body } = await owner.get('/v1/messages?patientId=new');
  t.match(body.data, [
    { occurrence: 'treatment:t-1:s2', state: 'delivered', scheduledAt: '2026-01-09T10:00:00Z' },
  ]);
});

t.test('a segment is stored, asked and removed', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic({ now: '2026-01-05T12:00:00Z', country: 'MX' });
  await owner.put('/v1/patients/ana', { ...person('+525512345678'), tags: ['vip'] });
  const audience = { tags: ['vip'] };
  t.match(await owner.put('/v1/segments/vips', { audience }), { status: 201 });
  t.match(await owner.put('/v1/segments/vips', { audience }), { status: 200 });
  t.match(await owner.get('/v1/segments/vips'), { body: { name: 'vips', audience } });
  t.match(await owner.get('/v1/segments/vips/members'), {
    body: { size: 1, data: [{ patientId: 'ana' }], nextCursor: null },
  });
  const itself = await owner.put('/v1/segments/vips', { audience: { segment: 'vips' } });
  t.match(itself, { status: 400, body: { errors: [{ pointer: '/audience/segment' }] } });
  t.match(await owner.delete('/v1/segments/vips'), { status: 204 });
  t.match(await owner.get('/v1/segments/vips'), { status: 404 });
});
