/** A provider refuses the account: the host hears of it, the messages are kept, and staff can say that it is put right. */
import t from 'tap';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { startSmscSimulator } from '../simulators/smsc.ts';
import { startWebhookSimulator } from '../simulators/webhook.ts';
import { testApi } from '../support/api.ts';

async function must(
  asked: Promise<{ status: number; text: string; body: Record<string, unknown> }>,
) {
  const answer = await asked;
  if (answer.status >= 300) throw new Error(answer.text);
  return answer.body;
}

t.test('a channel without money rests, tells the host, and is resumed on demand', async (t) => {
  const api = await testApi(t);
  const clinic = await api.clinic({ mode: 'live', now: undefined });
  const smsc = await startSmscSimulator({ balance: 0 });
  const host = await startWebhookSimulator();
  t.teardown(() => Promise.all([smsc.close(), host.close()]));
  await must(clinic.put('/v1/webhooks/mis', { url: host.url, events: ['channel.*'] }));
  await must(
    clinic.put('/v1/channels/sms', {
      ...{ provider: 'smsc', credentials: { apiKey: 'clinic' } },
      options: { baseUrl: smsc.url },
    }),
  );
  await must(
    clinic.put('/v1/patients/p-1', { telecom: [{ system: 'phone', value: '+573001234567' }] }),
  );
  const { id } = await must(
    clinic.post('/v1/messages', {
      ...{ patientId: 'p-1', purpose: 'transactional', channel: 'sms', text: 'Le esperamos' },
    }),
  );
  const serve = async () => {
    const share = await dispatchClinic(api.deps, clinic.id, api.clock.now());
    api.deps.onShare?.(share);
  };
  const told = async () => {
    const rows = await api.database.db
      .selectFrom('host_events')
      .select(['type', 'data'])
      .where('clinic_id', '=', clinic.id)
      .orderBy('id')
      .execute();
    return rows.map(({ type, data }) => ({ type, data }));
  };

  await serve();
  t.match(await must(clinic.get(`/v1/messages/${id}`)), {
    state: 'held',
    reason: 'channel-paused',
  });
  t.match(await must(clinic.get('/v1/channels/sms')), { paused: { reason: 'refused' } });
  t.match(await told(), [
    { type: 'channel.paused', data: { channel: 'sms', provider: 'smsc', reason: 'refused' } },
  ]);
  const metrics = await api.deps.metrics.registry.metrics();
  t.match(metrics, /^retorno_channel_pauses_total\{reason="refused"\} 1$/m);
  t.ok(api.logLines.some((line) => line.includes('A channel rests.')));

  smsc.topUp(100);
  await serve();
  t.equal(smsc.messages().length, 0, 'it rests until its time, or until somebody says so');
  t.match(await must(clinic.post('/v1/channels/sms/resume')), { paused: null });
  await serve();
  t.equal(smsc.messages().length, 1);
  t.equal((await must(clinic.get(`/v1/messages/${id}`))).state, 'sent');
  t.match((await told()).slice(1), [{ type: 'channel.resumed' }]);

  t.equal((await clinic.post('/v1/channels/email/resume')).status, 404, 'it was never set up');
  t.equal((await clinic.post('/v1/channels/fax/resume')).status, 404);
  t.equal((await clinic.post('/v1/channels/sms/resume')).status, 200, 'what works goes on working');
});
