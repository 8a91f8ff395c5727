import t from 'tap';
import { templateCharactersMax } from '../../src/outbox/template.ts';
import { testApi } from '../support/api.ts';

t.test('half of a setting may be changed, and what is wrong is told once', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic();
  t.match(await owner.patch('/v1/clinic', { caps: { perDay: 2 }, sendWindow: { end: '20:00' } }), {
    status: 200,
    body: { caps: { perDay: 2, perWeek: 3 }, sendWindow: { start: '09:00', end: '20:00' } },
  });
  t.match(await owner.patch('/v1/clinic', { sendWindow: { start: '20:00' } }), {
    status: 400,
    body: { errors: [{ pointer: '/sendWindow', code: 'not-a-window' }] },
  });
  const wrong = await owner.patch('/v1/clinic', { caps: { perDay: 0 } });
  t.same(
    wrong.body.errors?.map(({ pointer, code }) => `${pointer} ${code}`),
    ['/caps/perDay out-of-range'],
  );
  const cleared = await owner.patch('/v1/clinic', { caps: null, sendWindow: null });
  t.match(cleared.body, { caps: { perDay: 1 }, sendWindow: { end: '21:00' } });
});

t.test('what is over a limit is a 413 or 422 that names the limit', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic();
  const long = { purpose: 'care', bodies: { sms: { es: { text: 'a'.repeat(10_001) } } } };
  t.match(await owner.put('/v1/templates/long', long), {
    status: 422,
    body: { errors: [{ pointer: '/bodies/sms/es/text', detail: /10000/ }] },
  });
  long.bodies.sms.es.text = 'a'.repeat(templateCharactersMax);
  t.equal((await owner.put('/v1/templates/long', long)).status, 201);
  const huge = await owner.put('/v1/patients/1', { name: { text: 'a'.repeat(300_000) } });
  t.match(huge, { status: 413, body: { detail: /262144/ } });
  const many = { id: '1', type: 'x-a', occurredAt: '2026-03-02T15:00:00Z', data: {} };
  const values = Array.from({ length: 5_001 }, () => 1);
  t.match(await owner.post('/v1/events', { ...many, data: { patientId: '1', values } }), {
    status: 422,
    body: { detail: /5000/ },
  });
});

t.test('a day that no calendar has is refused with its field', async (t) => {
  const owner = await (await testApi(t)).clinic();
  t.match(await owner.put('/v1/patients/1', { birthDate: '1980-02-30' }), {
    status: 400,
    body: { errors: [{ pointer: '/birthDate', code: 'impossible-date' }] },
  });
});

t.test('all opt-outs of a clinic are listed page by page, each with its patient', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic();
  for (const id of ['1', '2']) {
    await owner.put(`/v1/patients/${id}`, { name: { text: 'A' } });
    await owner.post('/v1/opt-outs', { patientId: id });
  }
  await owner.post('/v1/opt-outs', { address: '+573001234567', channel: 'sms' });
  const first = await owner.get('/v1/opt-outs?limit=2');
  t.match(first.body, { data: [{ patientId: '1' }, { patientId: '2' }], nextCursor: String });
  const second = await owner.get(`/v1/opt-outs?limit=2&cursor=${first.body.nextCursor}`);
  t.match(second.body, { data: [{ patientId: null, address: '+573001234567' }], nextCursor: null });
  t.match((await owner.get('/v1/opt-outs?patientId=2')).body, { data: [{ patientId: '2' }] });
});

t.test("in a test clinic the host's message is answered with what became of it", async (t) => {
  const owner = await (await testApi(t)).clinic();
  const telecom = [{ system: 'phone', value: '300 123 4567' }];
  await owner.put('/v1/patients/1', { name: { text: 'A' }, telecom });
  const wish = { patientId: '1', purpose: 'care', text: 'Hola' };
  for (const channel of ['sms', 'inbox', 'task']) {
    t.match(await owner.post('/v1/messages', { ...wish, channel }), {
      status: 201,
      body: { channel, state: 'delivered', text: 'Hola' },
    });
  }
});

t.test('a channel is set up with its first provider where none is named', async (t) => {
  const owner = await (await testApi(t)).clinic();
  t.match((await owner.put('/v1/channels/inbox', { enabled: true })).body, { provider: 'inbox' });
  t.match(await owner.put('/v1/channels/whatsapp', { enabled: true }), { status: 400 });
});

t.test('explain tells times in UTC, and of what left that it was due and in time', async (t) => {
  const owner = await (await testApi(t)).clinic();
  const telecom = [{ system: 'phone', value: '300 123 4567' }];
  await owner.put('/v1/patients/1', { name: { text: 'A' }, telecom });
  const rule = await owner.post('/v1/rules', {
    name: 'R',
    purpose: 'care',
    trigger: { type: 'visit', after: 'P1D' },
    steps: [{ channel: 'sms', template: 'recall' }],
  });
  const { id, steps } = rule.body;
  await owner.post(`/v1/rules/${id}/activate`);
  const versions = (await owner.get(`/v1/rules/${id}/versions`)).body.data;
  t.match(versions, [{ definition: { steps } }], 'a version looks as the rule does');
  const start = '2026-03-02T09:00:00';
  await owner.put('/v1/visits/v', { patientId: '1', status: 'finished', start });
  await owner.post('/v1/test/clock', { now: '2026-06-01T15:00:00Z' });
  const explained = await owner.get(`/v1/rules/${id}/explain?patientId=1`);
  t.match(explained.body, { outcome: 'sent', on: '2026-03-03', dueAt: '2026-03-03T15:00:00Z' });
  const checks = explained.body.checks as { passed: boolean }[];
  t.same(
    checks.filter(({ passed }) => !passed),
    [],
  );
  t.notMatch(explained.text, '+00:00');
});

t.test('a follow-up goes although its appointment was told after the hour', async (t) => {
  const owner = await (await testApi(t)).clinic();
  await owner.put('/v1/patients/1', { name: { text: 'A' } });
  const text = { inbox: { es: { text: 'Hola' } } };
  await owner.put('/v1/templates/hello', { purpose: 'care', bodies: text });
  const rule = await owner.post('/v1/rules', {
    name: 'F',
    purpose: 'care',
    trigger: { type: 'visit' },
    sendAt: '19:00',
    steps: [{ channel: 'inbox', template: 'hello' }],
  });
  await owner.post(`/v1/rules/${rule.body.id}/activate`);
  await owner.post('/v1/test/clock', { now: '2026-03-03T00:30:00Z' });
  const day = { status: 'fulfilled', start: '2026-03-02T17:00:00', minutes: 60 };
  await owner.put('/v1/appointments/a', { patientId: '1', ...day });
  const messages = (await owner.get('/v1/messages')).body.data;
  t.match(messages, [{ occurrence: 'visit:a/a', state: 'delivered' }]);
});

t.test('the connection waits for as long as the move of a clock may take', async (t) => {
  const api = await testApi(t);
  const { key } = await api.clinic();
  const base = await api.app.listen({ port: 0 });
  const patience = new Promise((resolve) =>
    api.app.server.once('request', (request, response) =>
      response.once('finish', () => resolve(request.socket.timeout)),
    ),
  );
  const answer = await fetch(`${base}/v1/test/clock`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      connection: 'close',
    },
    body: JSON.stringify({ now: '2026-03-02T15:00:00Z' }),
  });
  t.equal(answer.status, 200);
  t.ok(Number(await patience) > 5 * 60_000);
});

t.test('a recall follows its visit to another day, also to one far ahead', async (t) => {
  const owner = await (await testApi(t)).clinic();
  const text = { inbox: { es: { text: 'Hola' } } };
  await owner.put('/v1/templates/hello', { purpose: 'care', bodies: text });
  const rule = await owner.post('/v1/rules', {
    name: 'R',
    purpose: 'care',
    trigger: { type: 'visit', after: 'P30D' },
    steps: [{ channel: 'inbox', template: 'hello' }],
  });
  await owner.post(`/v1/rules/${rule.body.id}/activate`);
  const visit = (id: string, day: string) =>
    owner.put(`/v1/visits/${id}`, {
      patientId: id,
      status: 'finished',
      start: `2026-03-${day}T09:00:00`,
    });
  for (const id of ['moved', 'restored']) {
    await owner.put(`/v1/patients/${id}`, { name: { text: 'A' } });
    await visit(id, '02');
  }
  await owner.post('/v1/test/clock', { now: '2026-03-31T15:00:00Z' });
  await visit('moved', '10');
  await owner.delete('/v1/visits/restored');
  t.match((await owner.get('/v1/messages')).body.data, [
    { state: 'cancelled', reason: 'visit-changed' },
    { state: 'cancelled', reason: 'visit-changed' },
  ]);
  await visit('restored', '15');
  await owner.post('/v1/test/clock', { now: '2026-04-30T15:00:00Z' });
  const sent = async (id: string) => (await owner.get(`/v1/messages?patientId=${id}`)).body.data;
  t.match(await sent('moved'), [{ state: 'delivered', sentAt: '2026-04-09T15:00:00Z' }]);
  t.match(await sent('restored'), [{ state: 'delivered', sentAt: '2026-04-14T15:00:00Z' }]);
});
