import t from 'tap';
import { testApi } from '../support/api.ts';

t.test('forty requests at once under one key make one thing', async (t) => {
  const { clinic } = await testApi(t);
  const owner = await clinic();
  const key = { 'idempotency-key': 'one-desk' };
  const ask = () => owner.post('/v1/keys', { name: 'Desk' }, key);
  const answers = await Promise.all(Array.from({ length: 40 }, ask));
  for (const answer of answers) t.ok([201, 409].includes(answer.status), answer.text);
  const inFlight = answers.filter((answer) => answer.status === 409);
  for (const answer of inFlight) t.match(answer.body, { code: 'idempotency-in-flight' });
  const again = await ask();
  t.equal(again.status, 201);
  t.equal(again.headers['idempotency-replayed'], 'true');
  const made = answers.filter((answer) => answer.status === 201);
  t.ok(made.length > 0);
  for (const answer of made) t.same(answer.body, again.body);
  const { data } = (await owner.get('/v1/keys')).body as { data: { name: string }[] };
  t.equal(data.filter(({ name }) => name === 'Desk').length, 1);
});

t.test('the same key with another body, object or route is another matter', async (t) => {
  const { clinic } = await testApi(t);
  const owner = await clinic();
  const key = { 'idempotency-key': 'a' };
  t.equal((await owner.post('/v1/keys', { name: 'One' }, key)).status, 201);
  t.match(await owner.post('/v1/keys', { name: 'Two' }, key), {
    status: 422,
    body: { code: 'idempotency-mismatch' },
  });
  t.equal((await owner.post('/v1/events', [], key)).status, 202, 'another route');
});

t.test('a stream may have a key too', async (t) => {
  const { clinic } = await testApi(t);
  const owner = await clinic();
  const stream = () =>
    owner.send({
      method: 'POST',
      url: '/v1/events',
      headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': 'stream' },
      payload: '{"id":"e-1","type":"x-a","occurredAt":"2026-03-02T15:00:00Z","data":{}}',
    });
  const first = await stream();
  t.match(first, { status: 202, body: { accepted: 1 } });
  t.match(await stream(), {
    status: 202,
    body: first.body,
    headers: { 'idempotency-replayed': 'true' },
  });
});

t.test('two clinics may use the same key', async (t) => {
  const { clinic } = await testApi(t);
  const [one, other] = [await clinic(), await clinic()];
  const key = { 'idempotency-key': 'shared' };
  const [first, second] = [
    await one.post('/v1/keys', { name: 'Desk' }, key),
    await other.post('/v1/keys', { name: 'Desk' }, key),
  ];
  t.equal(second.status, 201);
  t.not(first.body.id, second.body.id);
});

t.test('a refusal is repeated too, a wrong key is refused', async (t) => {
  const { clinic } = await testApi(t);
  const owner = await clinic();
  const key = { 'idempotency-key': 'refused' };
  const ask = () =>
    owner.post('/v1/rules/00000000-0000-7000-8000-000000000000/pause', undefined, key);
  t.equal((await ask()).status, 404);
  t.match(await ask(), { status: 404, headers: { 'idempotency-replayed': 'true' } });
  for (const wrong of ['', 'x'.repeat(256), 'a b', 'ключ']) {
    const answer = await owner.post('/v1/keys', {}, { 'idempotency-key': wrong });
    t.match(answer, { status: 400, body: { code: 'validation' } }, wrong);
  }
});

t.test('what is kept of an answer cannot be read without the secret key', async (t) => {
  const { clinic, database } = await testApi(t);
  const owner = await clinic();
  await owner.post('/v1/keys', { name: 'Desk' }, { 'idempotency-key': 'sealed' });
  const rows = await database.db
    .selectFrom('idempotency_keys')
    .select(['answer', 'status'])
    .execute();
  t.match(rows, [{ status: 201 }]);
  t.notMatch(Buffer.from(rows[0]?.answer ?? []).toString('latin1'), /Desk|rtn_/);
});

t.test('a request that a process left behind is in flight until it is abandoned', async (t) => {
  const { clinic, database } = await testApi(t);
  const owner = await clinic();
  const key = { 'idempotency-key': 'left-behind' };
  await owner.post('/v1/keys', { name: 'Desk' }, key);
  await database.db.updateTable('idempotency_keys').set({ answer: null, status: null }).execute();
  t.equal((await owner.post('/v1/keys', { name: 'Desk' }, key)).status, 409);
  await database.db
    .updateTable('idempotency_keys')
    .set({ created_at: Temporal.Instant.from('2026-01-01T00:00:00Z') })
    .execute();
  t.equal((await owner.post('/v1/keys', { name: 'Desk' }, key)).status, 201);
});
