import t from 'tap';
import type { RawRequest } from '../../src/channels/channel.ts';
import { webhookAdapter } from '../../src/channels/webhook/webhook.ts';
import { systemClock } from '../../src/clock.ts';
import { signWebhook } from '../../src/signature.ts';
import { startWebhookSimulator, type WebhookSimulator } from '../simulators/webhook.ts';
import { type AdapterUnderTest, setup, testAdapter } from './conformance.ts';
import { startReceiver } from './receiver.ts';

const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
const otherSecret = `whsec_${Buffer.alloc(32, 6).toString('base64')}`;

function webhookUnderTest(
  onStart: (simulator: WebhookSimulator) => void = () => {},
): AdapterUnderTest {
  return {
    adapter: webhookAdapter,
    address: (number) => `p-${number}`,
    start: async () => {
      const simulator = await startWebhookSimulator({ secrets: [secret] });
      onStart(simulator);
      const callbackUrl = 'https://clinic.example/v1/callbacks/c1';
      const configOf = (url: string, key = secret) => ({
        ...{ credentials: { secret: key }, options: { url }, callbackUrl },
      });
      return {
        config: configOf(simulator.url),
        accepted: () =>
          simulator
            .taken()
            .filter(({ json }) => json.type === 'message.send')
            .map(({ id, json }) => ({
              ...{ clientRef: id, address: String(json.data?.to), text: String(json.data?.text) },
            })),
        faults: simulator.faults,
        // Anybody can post; who does not know the secret is not believed.
        wrongConfig: configOf(simulator.url, otherSecret),
        elsewhere: (origin) => configOf(origin),
        close: simulator.close,
      };
    },
  };
}

t.test('the conformance suite', (t) => {
  testAdapter(t, webhookUnderTest());
  t.end();
});

async function stand(t: Parameters<typeof setup>[0]) {
  const held: { simulator?: WebhookSimulator } = {};
  const given = await setup(
    t,
    webhookUnderTest((started) => {
      held.simulator = started;
    }),
  );
  if (!held.simulator) throw new Error('No simulator was started.');
  return { ...given, simulator: held.simulator };
}

t.test('what was sent again is known by its id', async (t) => {
  const given = await stand(t);
  const batch = given.prepare(given.message());
  given.simulator.faults({ acceptThenDropReply: true, times: 1 });
  t.match(await given.adapter.send(batch, given.config, given.context), [{ kind: 'unknown' }]);
  t.match(await given.adapter.send(batch, given.config, given.context), [{ kind: 'accepted' }]);
  t.equal(given.simulator.calls().length, 2);
  t.equal(given.simulator.taken().length, 1);
  t.equal(given.adapter.capabilities(given.config).idempotency, 'receiver_key');
});

t.test('a receiver gets all that a push service or a voice bot needs', async (t) => {
  const given = await stand(t);
  const message = given.message({
    content: { subject: 'Visita', text: 'Le esperamos', html: '<p>Le esperamos</p>' },
    actions: [{ id: 'confirm', label: 'Confirmar' }],
    unsubscribeUrl: 'https://clinic.example/l/t',
  });
  await given.adapter.send(given.prepare(message), given.config, given.context);
  t.match(given.simulator.taken()[0]?.json, {
    type: 'message.send',
    data: {
      ...{ ref: message.clientRef, to: message.to, purpose: 'care', subject: 'Visita' },
      ...{ text: 'Le esperamos', html: '<p>Le esperamos</p>', unsubscribeUrl: String },
      actions: [{ id: 'confirm', label: 'Confirmar' }],
      expiresAt: message.expiresAt.toString(),
    },
  });
});

t.test('the receiver’s own id is kept where it has one', async (t) => {
  const given = await stand(t);
  given.simulator.answerWith({
    ...{ status: 201, headers: { 'content-type': 'application/json' }, body: '{"id":"push-17"}' },
  });
  const batch = given.prepare(given.message());
  t.match(await given.adapter.send(batch, given.config, given.context), [
    { kind: 'accepted', providerMessageId: 'push-17' },
  ]);
});

t.test('each status means what it says', async (t) => {
  const given = await stand(t);
  const meanings: [number, object][] = [
    [400, { kind: 'rejected', error: { class: 'message_permanent' } }],
    [404, { kind: 'rejected', error: { class: 'config', scope: 'channel' } }],
    [410, { kind: 'rejected', error: { class: 'config', scope: 'channel' } }],
    [307, { kind: 'rejected', error: { class: 'config', scope: 'channel' } }],
    [503, { kind: 'unknown' }],
  ];
  for (const [status, wanted] of meanings) {
    given.simulator.answerWith({ status, headers: { location: given.simulator.url } });
    const batch = given.prepare(given.message());
    t.match(await given.adapter.send(batch, given.config, given.context), [wanted], `${status}`);
  }
  t.equal(given.simulator.calls().length, meanings.length, 'no redirect was followed');
});

t.test('receipts and replies come back, signed with the same secret', async (t) => {
  const given = await stand(t);
  const receiver = await startReceiver();
  t.teardown(() => receiver.close());
  given.simulator.callbackTo(receiver.url);
  given.simulator.tell([
    { ref: 'm-1', status: 'delivered', at: '2026-03-01T10:00:00Z' },
    { ref: 'm-2', status: 'failed', code: 'no_device' },
    { ref: 'm-3', text: 'sí' },
    { ref: 'm-4', action: 'confirm' },
    { ref: 'm-5', status: 'not_found' },
    { status: 'delivered' },
    'nonsense',
  ]);
  given.simulator.tell({ ref: 'm-6', status: 'failed', code: 'Anna Petrova is out' });
  await given.simulator.settled();
  const [many, one] = receiver.requests;
  if (!many || !one) throw new Error('Nothing came.');
  t.same(given.adapter.verifyCallback(many, given.config), { ok: true });
  t.match(given.adapter.parseCallback(many, given.config).events, [
    {
      ...{ type: 'status', clientRef: 'm-1', status: 'delivered', dedupeKey: 'webhook:tell-1:0' },
    },
    {
      ...{ type: 'status', clientRef: 'm-2', status: 'failed' },
      error: { class: 'recipient_permanent', providerCode: 'no_device' },
    },
    { type: 'inbound', from: '', text: 'sí', inReplyTo: 'm-3' },
    { type: 'inbound', from: '', action: { id: 'confirm', inReplyTo: 'm-4' } },
  ]);
  const { events } = given.adapter.parseCallback(many, given.config);
  t.equal(events.length, 4);
  t.equal(String(events[0]?.occurredAt), '2026-03-01T10:00:00Z');
  const [failed] = given.adapter.parseCallback(one, given.config).events;
  t.match(failed, { error: { providerCode: null } }, 'a code that is none may name a person');
});

t.test('a callback that is forged, stale or unsigned is refused', async (t) => {
  const given = await stand(t);
  const receivedAt = systemClock.now();
  const body = '{"ref":"m-1","status":"delivered"}';
  const request = (headers: Record<string, string>): RawRequest => ({
    ...{ method: 'POST', url: 'https://clinic.example/v1/callbacks/c1', headers, receivedAt },
    ...{ rawBody: Buffer.from(body), remoteIp: '192.0.2.1' },
  });
  const signed = (key: string, at = receivedAt) => signWebhook({ id: 'c-1', at, body }, [key]);
  const verdict = (headers: Record<string, string>) =>
    given.adapter.verifyCallback(request(headers), given.config);
  t.same(verdict(signed(secret)), { ok: true });
  t.same(verdict(signed(otherSecret)), { ok: false, reason: 'bad' });
  t.same(verdict(signed(secret, receivedAt.subtract({ minutes: 6 }))), {
    ok: false,
    reason: 'stale',
  });
  t.same(verdict({}), { ok: false, reason: 'missing' });
});
