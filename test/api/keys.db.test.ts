import t from 'tap';
import { testApi } from '../support/api.ts';

t.test('a new clinic answers with its settings and a key of all scopes', async (t) => {
  const { operator, as } = await testApi(t);
  const made = await operator.post('/v1/clinics', {
    name: 'Стоматология',
    timeZone: 'Europe/Moscow',
    country: 'RU',
    language: 'ru',
    currency: 'RUB',
    mode: 'live',
  });
  t.equal(made.status, 201);
  t.match(made.body, {
    mode: 'live',
    key: /^rtn_live_[0-9a-z]{8}_[0-9A-Za-z_-]{43}_[0-9a-f]{8}$/,
    sendWindow: { start: '09:00', end: '21:00' },
    caps: { perDay: 1, perWeek: 3 },
  });
  const clinic = await as(String(made.body.key)).get('/v1/clinic');
  t.equal(clinic.status, 200);
  t.equal(clinic.body.id, made.body.id);
  t.notOk('key' in clinic.body);
});

t.test('a wrong key is unknown, whatever is wrong with it', async (t) => {
  const { as, clinic, operator } = await testApi(t);
  const { key } = await clinic();
  const flipped = key.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
  for (const wrong of [flipped, 'rtn_live_x', 'nonsense', '']) {
    const answer = await as(wrong).get('/v1/clinic');
    t.match(answer, { status: 401, body: { code: 'unauthorized' } });
  }
  t.equal((await as(key).get('/v1/clinics')).status, 401, "a clinic's key is not the operator's");
  t.equal((await operator.get('/v1/clinic')).status, 401, "the operator's key is no clinic's");
});

t.test('a key does what its scopes say and gives no more than it has', async (t) => {
  const { as, clinic } = await testApi(t);
  const owner = await clinic();
  const reader = await owner.post('/v1/keys', { name: 'Reports', scopes: ['read'] });
  t.equal(reader.status, 201);
  const asReader = as(String(reader.body.key));
  t.equal((await asReader.get('/v1/clinic')).status, 200);
  t.match(await asReader.patch('/v1/clinic', { name: 'Mine' }), {
    status: 403,
    body: { code: 'forbidden' },
  });
  const manager = await owner.post('/v1/keys', { scopes: ['manage'] });
  t.match(await as(String(manager.body.key)).post('/v1/keys', { scopes: ['erase'] }), {
    status: 400,
    body: { errors: [{ pointer: '/scopes' }] },
  });
});

t.test('a revoked key is unknown at once, and listed as revoked', async (t) => {
  const { as, clinic } = await testApi(t);
  const owner = await clinic({ mode: 'live', now: undefined });
  const made = await owner.post('/v1/keys', { name: 'Old desk' });
  const old = as(String(made.body.key));
  t.equal((await old.get('/v1/clinic')).status, 200);
  t.equal((await owner.delete(`/v1/keys/${made.body.id}`)).status, 204);
  t.equal((await old.get('/v1/clinic')).status, 401);
  const listed = await owner.get('/v1/keys');
  t.match(listed.body.data, [{ revokedAt: null }, { name: 'Old desk', revokedAt: String }]);
  t.notMatch(listed.text, /rtn_\w+_\w+_[0-9A-Za-z_-]{40}/);
});

t.test("another clinic's key id is not there", async (t) => {
  const { clinic, operator } = await testApi(t);
  const [one, other] = [await clinic(), await clinic()];
  const listed = await other.get('/v1/keys');
  const [key] = listed.body.data as { id: string }[];
  t.equal((await one.delete(`/v1/keys/${key?.id}`)).status, 404);
  t.equal((await operator.delete(`/v1/clinics/${one.id}/keys/${key?.id}`)).status, 404);
  t.equal((await other.get('/v1/clinic')).status, 200);
});

t.test('the operator changes, lists and removes clinics', async (t) => {
  const { clinic, operator } = await testApi(t);
  const [one, other] = [await clinic(), await clinic({ name: 'Other' })];
  const changed = await operator.patch(`/v1/clinics/${one.id}`, {
    name: 'Renamed',
    phone: '+57 1',
  });
  t.match(changed, { status: 200, body: { name: 'Renamed', phone: '+57 1' } });
  t.match(await operator.patch(`/v1/clinics/${one.id}`, { phone: null }), { status: 200 });
  t.notOk('phone' in (await one.get('/v1/clinic')).body);
  const first = await operator.get('/v1/clinics?limit=1');
  t.match(first.body, { data: [{ id: one.id }], nextCursor: String });
  const second = await operator.get(`/v1/clinics?limit=1&cursor=${first.body.nextCursor}`);
  t.match(second.body, { data: [{ id: other.id }], nextCursor: null });
  t.equal((await operator.delete(`/v1/clinics/${one.id}`)).status, 204);
  t.equal((await operator.get(`/v1/clinics/${one.id}`)).status, 404);
  t.equal((await one.get('/v1/clinic')).status, 401);
});
