import net from 'node:net';
import t, { type Test } from 'tap';
import { createCallers } from '../../src/api/callers.ts';
import { connect } from '../../src/database/connect.ts';
import { mintKey } from '../../src/history/key.ts';
import { type Answer, testApi } from '../support/api.ts';

const json = { 'content-type': 'application/json' };
const event = {
  id: 'e-1',
  type: 'visit.upserted',
  occurredAt: '2026-03-02T10:00:00Z',
  data: { id: 'v-1', patientId: '1', status: 'finished', start: '2026-03-02T09:00:00Z' },
};

function isProblem(t: Test, answer: Answer, status: number, code: string, pointer?: string): void {
  t.equal(answer.status, status, answer.text);
  t.match(String(answer.headers['content-type']), /^application\/problem\+json/);
  t.match(answer.body, { code, status, title: String, type: String, detail: String });
  if (pointer !== undefined) {
    t.ok(
      answer.body.errors?.some((fault) => fault.pointer === pointer),
      `${pointer} in ${answer.text}`,
    );
  }
}

t.test('what is no JSON, or not said to be, is refused', async (t) => {
  const { clinic, app } = await testApi(t);
  const { key } = await clinic();
  const send = async (headers: Record<string, string>, payload: string) => {
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/events',
      headers: { authorization: `Bearer ${key}`, ...headers },
      payload,
    });
    return { status: answer.statusCode, text: answer.body };
  };
  t.equal((await send({}, JSON.stringify(event))).status, 415, 'no content type');
  t.equal((await send({ 'content-type': 'text/plain' }, JSON.stringify(event))).status, 415);
  t.equal((await send({ 'content-type': 'application/json garbage' }, '{"id":1}')).status, 415);
  t.equal((await send({ 'content-type': 'application/json\ta' }, '{"id":1}')).status, 415);
  t.equal((await send(json, '')).status, 400, 'empty');
  t.equal((await send(json, '{"id":')).status, 400, 'broken');
  t.equal((await send({ 'content-type': ' application/json' }, '{"id":1}')).status, 400);
});

t.test('a field that is wrong is pointed at', async (t) => {
  const { clinic } = await testApi(t);
  const owner = await clinic();
  isProblem(
    t,
    await owner.post('/v1/events', { ...event, opted_out: true }),
    400,
    'validation',
    '/opted_out',
  );
  isProblem(
    t,
    await owner.post('/v1/events', { ...event, occurredAt: '2026-02-30T10:00:00Z' }),
    400,
    'validation',
    '/occurredAt',
  );
  isProblem(t, await owner.put('/v1/patients/1', { active: 'true' }), 400, 'validation', '/active');
  isProblem(t, await owner.put('/v1/patients/1', { active: null }), 400, 'validation', '/active');
  isProblem(
    t,
    await owner.put('/v1/patients/1', { clinicId: owner.id }),
    400,
    'validation',
    '/clinicId',
  );
  isProblem(
    t,
    await owner.put('/v1/visits/1', { status: 'finished', timeZone: 'Mars/Base' }),
    400,
    'validation',
    '/timeZone',
  );
  isProblem(t, await owner.put('/v1/patients/1', { id: '2' }), 400, 'validation', '/id');
  isProblem(
    t,
    await owner.patch('/v1/clinic', { timeZone: 'Nowhere' }),
    400,
    'validation',
    '/timeZone',
  );
  isProblem(
    t,
    await owner.patch('/v1/clinic', { sendWindow: { start: '21:00', end: '09:00' } }),
    400,
    'validation',
    '/sendWindow',
  );
  isProblem(t, await owner.get('/v1/patients?limit=0'), 400, 'validation', '/limit');
  isProblem(t, await owner.get('/v1/patients?limit=-1'), 400, 'validation', '/limit');
  isProblem(t, await owner.get('/v1/patients?limit=1e9'), 400, 'validation', '/limit');
  isProblem(t, await owner.get('/v1/patients?limit=NaN'), 400, 'validation', '/limit');
  isProblem(t, await owner.get('/v1/patients?sort=name'), 400, 'validation', '/sort');
  isProblem(t, await owner.get('/v1/patients?tag=a&tag=b'), 400, 'validation', '/tag');
  isProblem(t, await owner.get('/v1/patients?tag[]=a'), 400, 'validation', '/tag[]');
  isProblem(t, await owner.get('/v1/patients?cursor=bm9uc2Vuc2U'), 400, 'validation', '/cursor');
  isProblem(t, await owner.get('/v1/patients?tag=%00'), 400, 'validation', '/tag');
});

t.test('hostile JSON is refused by what is wrong with it', async (t) => {
  const { clinic } = await testApi(t);
  const owner = await clinic();
  const put = (payload: string) =>
    owner.send({ method: 'PUT', url: '/v1/patients/1', headers: json, payload });
  const twice = await put(
    '{"active":true,"consent":{"care":{"sms":"denied"}},"consent":{"care":{"sms":"granted"}}}',
  );
  isProblem(t, twice, 400, 'validation');
  t.match(twice.body.errors, [{ code: 'duplicate-field' }]);
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    isProblem(
      t,
      await put(`{"attributes":{"${name}":{"x":1}}}`),
      400,
      'validation',
      `/attributes/${name}`,
    );
  }
  isProblem(t, await put('{"name":{"given":"a\\u0000b"}}'), 400, 'validation', '/name/given');
  isProblem(t, await put('{"name":{"given":"a\\ud800b"}}'), 400, 'validation', '/name/given');
  isProblem(
    t,
    await put(`{"attributes":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
    422,
    'unprocessable',
  );
  isProblem(t, await put(`{"tags":[${'"a",'.repeat(6_000)}"b"]}`), 422, 'unprocessable');
  isProblem(t, await put(`{"city":"${'x'.repeat(300_000)}"}`), 413, 'too-large');
  for (const value of ['"true"', '1', '0', '["x"]']) {
    isProblem(t, await put(`{"active":${value}}`), 400, 'validation', '/active');
  }
});

t.test('one bad item of five hundred loses nothing of the rest', async (t) => {
  const { clinic } = await testApi(t);
  const owner = await clinic();
  const items: unknown[] = Array.from({ length: 500 }, (_, index) => ({
    ...event,
    id: `e-${index}`,
    data: { ...event.data, id: `v-${index}` },
  }));
  items[7] = {
    ...event,
    id: 'e-7',
    data: { id: 'v-7', status: 'finished', start: '2026-13-01T00:00:00Z' },
  };
  const answer = await owner.post('/v1/events', items);
  t.match(answer, {
    status: 202,
    body: { accepted: 499, duplicates: 0, stale: 0 },
  });
  t.match(answer.body.rejected, [
    { index: 7, id: 'e-7', problem: { code: 'validation', errors: [{ pointer: '/data/start' }] } },
  ]);
  isProblem(
    t,
    await owner.post(
      '/v1/events',
      Array.from({ length: 1_001 }, () => event),
    ),
    413,
    'too-large',
  );
});

t.test('a broken line of a stream is told and the others are kept', async (t) => {
  const { clinic } = await testApi(t);
  const owner = await clinic();
  const line = (id: string) => JSON.stringify({ ...event, id, data: { ...event.data, id } });
  const answer = await owner.send({
    method: 'POST',
    url: '/v1/events',
    headers: { 'content-type': 'application/x-ndjson' },
    payload: [line('a'), '{"id":', '', line('b'), line('a')].join('\n'),
  });
  t.match(answer, { status: 202, body: { accepted: 2, duplicates: 1, rejectedCount: 1 } });
  t.match(answer.body.rejected, [{ index: 1 }]);
});

t.test('a CloudEvent counts as the event in it', async (t) => {
  const { clinic } = await testApi(t);
  const owner = await clinic();
  const { id, type, occurredAt, data } = event;
  const structured = await owner.post(
    '/v1/events',
    { specversion: '1.0', source: '/mis', id, type, time: occurredAt, data },
    { 'content-type': 'application/cloudevents+json' },
  );
  t.match(structured, { status: 202, body: { accepted: 1 } });
  const binary = await owner.post('/v1/events', data, {
    'ce-specversion': '1.0',
    'ce-source': '/mis',
    'ce-id': id,
    'ce-type': type,
    'ce-time': occurredAt,
  });
  t.match(binary, { status: 202, body: { accepted: 0, duplicates: 1 } });
});

t.test('paths and methods that do not exist say so', async (t) => {
  const { clinic } = await testApi(t);
  const owner = await clinic();
  isProblem(t, await owner.get('/v1/nothing'), 404, 'not-found');
  isProblem(t, await owner.get(`/v1/patients/${'9'.repeat(10_000)}`), 404, 'not-found');
  const patched = await owner.patch('/v1/events', {});
  isProblem(t, patched, 405, 'method-not-allowed');
  t.equal(patched.headers.allow, 'POST');
  t.equal((await owner.send({ method: 'HEAD', url: '/v1/clinic' })).status, 200);
  isProblem(
    t,
    await owner.send({ method: 'OPTIONS', url: '/v1/clinic' }),
    405,
    'method-not-allowed',
  );
  isProblem(t, await owner.get('/v1/patients/%E0%A4%A'), 400, 'validation');
});

t.test('a key that asks too often is told to wait', async (t) => {
  const { clinic, app } = await testApi(t, { requestsPerSecond: 5 });
  const { key } = await clinic({ mode: 'live', now: undefined });
  const headers = { authorization: `Bearer ${key}` };
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => app.inject({ url: '/v1/clinic', headers })),
  );
  const refused = answers.find((answer) => answer.statusCode === 429);
  t.match(refused?.json(), { code: 'rate-limited' });
  t.equal(refused?.headers['retry-after'], '1');
});

t.test('a database that is away gives 503 and when to try again, never a reason', async (t) => {
  const away = await connect({ url: 'postgres://somebody:secret@127.0.0.1:1/nowhere' });
  t.teardown(() => away.close());
  const { operator, as } = await testApi(t, {
    deps: (deps) => ({ ...deps, db: away.db, callers: createCallers(away.db) }),
  });
  const { key } = mintKey('live');
  for (const answer of [await operator.get('/v1/clinics'), await as(key).get('/v1/clinic')]) {
    isProblem(t, answer, 503, 'unavailable');
    t.equal(answer.headers['retry-after'], '2');
    t.notMatch(answer.text, /ECONNREFUSED|127\.0\.0\.1|secret/);
  }
  const ready = await operator.get('/readyz');
  t.match(ready, { status: 503, body: { status: 'not-ready', database: false } });
  t.equal((await operator.get('/healthz')).status, 200);
});

t.test('a client that sends half a head is cut off by itself', async (t) => {
  const { app } = await testApi(t);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const [address] = app.addresses();
  const socket = net.connect(typeof address === 'object' ? address.port : 0, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.end('GET /healthz HTTP/1.1\r\nhost: x\r\n');
  const heard: Buffer[] = [];
  for await (const chunk of socket) heard.push(chunk as Buffer);
  t.match(Buffer.concat(heard).toString(), /^HTTP\/1\.1 400/);
});
