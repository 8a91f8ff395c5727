/** The rows of all countries, and where a clinic's data may lie. */
import t from 'tap';
import { testApi } from '../support/api.ts';

const russian = { country: 'RU', timeZone: 'Europe/Moscow', language: 'ru', currency: 'RUB' };
const live = { ...russian, mode: 'live', now: undefined };

t.test('any key of a clinic reads the rows, and what holds in it', async (t) => {
  const api = await testApi(t);
  const owner = await api.clinic();
  const { body } = await owner.post('/v1/keys', { name: 'Feed', scopes: ['intake'] });
  const feed = api.as(String(body.key));
  const listed = await feed.get('/v1/policies');
  t.equal(listed.status, 200, listed.text);
  const rows = listed.body.data as { country: string | null; dataRegion: string | null }[];
  t.same(
    rows.map(({ country }) => country),
    ['RU', 'KZ', 'BR', 'CO', 'MX', 'AR', 'CL', 'US', null],
  );
  t.same(
    rows.flatMap(({ dataRegion }) => dataRegion ?? []),
    ['RU'],
  );
  t.match(await feed.get('/v1/clinic/policy'), {
    status: 200,
    body: {
      country: { country: 'CO', isLaw: true },
      clinic: {},
      // The law's hours, narrowed by the usual send window.
      result: { allowedHours: { care: { mon: { start: '09:00', end: '19:00' }, sun: null } } },
      origin: { allowedHours: { care: { mon: 'default', sun: 'country' } } },
      warnings: [],
    },
  });
  t.equal((await api.as('rtn_live_nobody').get('/v1/policies')).status, 401);
});

t.test('a live Russian clinic is not kept abroad', async (t) => {
  const api = await testApi(t, { deps: (deps) => Object.assign(deps, { dataRegion: 'DE' }) });
  const refused = await api.operator.post('/v1/clinics', {
    name: 'Клиника',
    ...live,
  });
  t.equal(refused.status, 422, refused.text);
  t.match(refused.body.errors, [{ pointer: '/country', code: 'data-region' }]);
  const tried = await api.clinic(russian);
  t.match((await tried.get('/v1/clinic/policy')).body.warnings, [
    { pointer: '/country', code: 'data-region-elsewhere' },
  ]);
  const kazakh = await api.clinic({ ...live, country: 'KZ' });
  const moved = await kazakh.patch('/v1/clinic', { country: 'RU' });
  t.equal(moved.status, 422, moved.text);
  t.match(moved.body.errors, [{ pointer: '/country', code: 'data-region' }]);
  t.equal((await kazakh.patch('/v1/clinic', { name: 'Емхана' })).status, 200);
  const byOperator = await api.operator.patch(`/v1/clinics/${kazakh.id}`, { country: 'RU' });
  t.equal(byOperator.status, 422);
});

t.test('a live Russian clinic is kept in Russia', async (t) => {
  const api = await testApi(t, { deps: (deps) => Object.assign(deps, { dataRegion: 'RU' }) });
  const made = await api.operator.post('/v1/clinics', { name: 'Клиника', ...live });
  t.equal(made.status, 201, made.text);
  t.same(made.body.warnings, []);
});

t.test('where nobody said where the data lies, that is told and not refused', async (t) => {
  const api = await testApi(t);
  const made = await api.operator.post('/v1/clinics', { name: 'Клиника', ...live });
  t.equal(made.status, 201, made.text);
  t.match(made.body.warnings, [{ pointer: '/country', code: 'data-region-unknown' }]);
  t.ok(api.logLines.some((line) => line.includes('data-region-unknown')));
  const owner = api.as(String(made.body.key));
  t.match((await owner.get('/v1/clinic/policy')).body.warnings, [{ code: 'data-region-unknown' }]);
});

t.test('a provider that takes Russian data abroad is warned of', async (t) => {
  const api = await testApi(t, { deps: (deps) => Object.assign(deps, { dataRegion: 'RU' }) });
  const clinic = await api.clinic(russian);
  const apiKey = { credentials: { apiKey: 'SG.key' }, options: { sender: 'a@example.org' } };
  const abroad = await clinic.put('/v1/channels/email', { provider: 'sendgrid', ...apiKey });
  t.match(abroad.body.warnings, [{ pointer: '/provider', code: 'provider-outside-data-region' }]);
  const twilio = { credentials: { accountSid: `AC${'0'.repeat(32)}`, authToken: 'secret' } };
  const others = {
    telegram: { provider: 'telegram', credentials: { botToken: '1:a', secretToken: 'b' } },
    whatsapp: { provider: 'twilio', ...twilio, options: { sender: '+12025550100' } },
  };
  for (const [channel, body] of Object.entries(others)) {
    const answer = await clinic.put(`/v1/channels/${channel}`, body);
    t.match(answer.body.warnings, [{ code: 'provider-outside-data-region' }], answer.text);
  }
  const home = await clinic.put('/v1/channels/sms', {
    provider: 'smsc',
    credentials: { apiKey: 'key' },
  });
  t.same(home.body.warnings, [], home.text);
  const { warnings } = (await clinic.get('/v1/clinic/policy')).body;
  t.same((warnings as { pointer: string }[]).map(({ pointer }) => pointer).sort(), [
    '/channels/email',
    '/channels/telegram',
    '/channels/whatsapp',
  ]);
  const colombian = await api.clinic();
  const free = await colombian.put('/v1/channels/email', { provider: 'sendgrid', ...apiKey });
  t.same(free.body.warnings, [], free.text);
});
