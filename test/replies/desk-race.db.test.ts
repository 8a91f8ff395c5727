import t from 'tap';
import { serveDesk } from '../../src/replies/serve-desk.ts';
import { testApi } from '../support/api.ts';

/** Monday 10:00 in Bogotá. */
const monday = Temporal.Instant.from('2026-03-02T15:00:00Z');
const processes = 4;
const calls = 12;

t.test(
  'several processes at one desk make one task of each call, while the host hears of them',
  async (t) => {
    const api = await testApi(t, { now: monday.toString() });
    const clinic = await api.clinic({ mode: 'live', now: undefined });
    const hook = { url: 'http://127.0.0.1:9/desk', events: ['*'] };
    await clinic.put('/v1/webhooks/mis', hook);
    await clinic.put('/v1/staff/vera', { email: 'vera@example.org', notify: ['task'] });
    const ask = (id: number) =>
      clinic.post('/v1/events', {
        ...{ id: `cb-${id}`, type: 'callback.requested', occurredAt: monday.toString() },
        data: { phone: `+5730177777${10 + id}` },
      });
    await Promise.all([
      ...Array.from({ length: calls }, (_, id) => ask(id)),
      ...Array.from({ length: processes }, () => serveDesk(api.deps, clinic.id, monday)),
    ]);
    await Promise.all(
      Array.from({ length: processes }, () => serveDesk(api.deps, clinic.id, monday)),
    );
    const { body } = await clinic.get('/v1/tasks?limit=200');
    const phones = (body.data as { phone: string }[]).map(({ phone }) => phone);
    t.equal(phones.length, calls);
    t.equal(new Set(phones).size, calls);
    const notices = (await clinic.get('/v1/staff/vera/notices')).body.data as object[];
    t.match(notices, [{ state: 'waiting' }]);
    t.equal(notices.length, 1, 'what waits goes with it');
    t.notMatch(api.logLines.join(''), 'desk failed', 'nobody waited for another in a circle');
  },
);
