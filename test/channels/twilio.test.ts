import t, { type Test } from 'tap';
import type { RawRequest } from '../../src/channels/channel.ts';
import { twilioAdapter } from '../../src/channels/twilio/twilio.ts';
import { systemClock } from '../../src/clock.ts';
import { type TwilioOptions, type TwilioSimulator, twilioSignature } from '../simulators/twilio.ts';
import { setup as setUp } from './conformance.ts';
import { startReceiver } from './receiver.ts';
import { twilioUnderTest } from './stands.ts';

type Kind = 'sms' | 'whatsapp';

async function setup(
  t: Test,
  kind: Kind = 'sms',
  options: TwilioOptions & { callbackUrl?: string } = {},
) {
  let simulator: TwilioSimulator | undefined;
  const given = await setUp(
    t,
    twilioUnderTest(kind, options, (started) => {
      simulator = started;
    }),
  );
  if (!simulator) throw new Error('no simulator');
  return { ...given, simulator };
}

async function listen(t: Test, kind: Kind = 'sms') {
  const receiver = await startReceiver();
  t.teardown(receiver.close);
  const given = await setup(t, kind, { callbackUrl: receiver.url, webhookUrl: receiver.url });
  const { origin } = new URL(receiver.url);
  const requests = () =>
    receiver.requests.map((it) => ({
      ...it,
      url: it.url.replace('https://clinic.example', origin),
    }));
  const events = () =>
    requests().flatMap((it) => {
      t.same(given.adapter.verifyCallback(it, given.config), { ok: true });
      return given.adapter.parseCallback(it, given.config).events;
    });
  return { ...given, receiver, requests, events };
}

const config = {
  credentials: { accountSid: `AC${'0'.repeat(32)}`, authToken: '12345' },
  options: { sender: '+15005550006' },
  callbackUrl: 'https://example.com/hooks/twilio',
};
const adapter = twilioAdapter('sms');

/** The vector of the signature over an address and a form. */
const vector = {
  url: 'https://example.com/hooks/twilio?m=1',
  fields: { MessageSid: 'SM1', MessageStatus: 'delivered', To: '+15550001111' },
  signature: '+vgMFCdKKFt9gGLbOi8oly/DLlQ=',
};

function request(overrides: Partial<RawRequest> = {}, fields: object = vector.fields): RawRequest {
  return {
    method: 'POST',
    url: vector.url,
    headers: { 'x-twilio-signature': vector.signature },
    rawBody: Buffer.from(new URLSearchParams({ ...fields }).toString()),
    remoteIp: '192.0.2.1',
    receivedAt: systemClock.now(),
    ...overrides,
  };
}

t.test(
  'a callback is believed by its signature, with the port in the address or without',
  async (t) => {
    const verify = (it: RawRequest) => adapter.verifyCallback(it, config);
    t.equal(twilioSignature('12345', vector.url, vector.fields), vector.signature);
    t.same(verify(request()), { ok: true });
    t.same(verify(request({ url: 'https://example.com:443/hooks/twilio?m=1' })), { ok: true });
    const ported = twilioSignature(
      '12345',
      'https://example.com:443/hooks/twilio?m=1',
      vector.fields,
    );
    t.same(verify(request({ headers: { 'x-twilio-signature': ported } })), { ok: true });
    const bad = { ok: false, reason: 'bad' };
    t.same(verify(request({ url: vector.url.replace('m=1', 'm=2') })), bad);
    t.same(verify(request({}, { ...vector.fields, MessageStatus: 'read' })), bad);
    t.same(verify(request({}, { ...vector.fields, More: '1' })), bad);
    t.same(verify(request({ headers: {} })), { ok: false, reason: 'missing' });
  },
);

t.test('a body that is no form is believed by the hash in the signed address', async (t) => {
  const body = '{"a":1}';
  const hash = '015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862';
  const url = `https://example.com/hooks/twilio?bodySHA256=${hash}`;
  const headers = { 'x-twilio-signature': twilioSignature('12345', url, {}) };
  const verify = (rawBody: string) =>
    adapter.verifyCallback(request({ url, headers, rawBody: Buffer.from(rawBody) }), config);
  t.same(verify(body), { ok: true });
  t.same(verify('{"a":2}'), { ok: false, reason: 'bad' });
});

const classes: [number, string, string][] = [
  [20003, 'config', 'channel'],
  [20429, 'rate_limited', 'channel'],
  [21211, 'recipient_permanent', 'recipient'],
  [21408, 'recipient_permanent', 'recipient'],
  [21606, 'recipient_permanent', 'recipient'],
  [21612, 'recipient_permanent', 'recipient'],
  [21614, 'recipient_permanent', 'recipient'],
  [21610, 'suppressed', 'recipient'],
  [63016, 'message_permanent', 'message'],
  [99999, 'message_permanent', 'message'],
];

for (const [code, errorClass, scope] of classes) {
  t.test(`code ${code} means ${errorClass}`, async (t) => {
    const given = await setup(t);
    const message = given.message();
    given.simulator.outcome(message.to, { refuse: code });
    const [outcome] = await given.adapter.send(given.prepare(message), given.config, given.context);
    const error = { class: errorClass, scope, providerCode: String(code) };
    t.match(outcome, { kind: 'rejected', error });
  });
}

t.test('a suspended account pauses the channel', async (t) => {
  const given = await setup(t);
  given.simulator.suspend(true);
  const [outcome] = await given.adapter.send(
    given.prepare(given.message()),
    given.config,
    given.context,
  );
  t.match(outcome, { kind: 'rejected', error: { class: 'config', scope: 'channel' } });
  t.match(await given.adapter.health?.(given.config, given.context), { ok: false });
});

t.test(
  'an SMS leaves with its life, its sender and no more characters than it was given',
  async (t) => {
    const given = await setup(t);
    const expiresAt = systemClock.now().add({ hours: 2 });
    const [message] = given.prepare(given.message({ content: { text: 'Olá, está?' }, expiresAt }));
    const folded = given.adapter.prepare(given.message({ content: { text: 'Olá, está?' } }), {
      ...given.config,
      options: { ...given.config.options, textTransform: 'gsm7-fold' },
    });
    t.match(folded, { encoding: 'gsm7', segments: 1 });
    if (message) await given.adapter.send([message], given.config, given.context);
    await given.adapter.send([folded], given.config, given.context);
    const [plain, second] = given.simulator.messages();
    t.match(plain, { body: 'Olá, está?', from: '+15005550006' });
    t.ok(Number(plain?.validity) > 7100 && Number(plain?.validity) <= 7200);
    t.equal(second?.body, 'Ola, esta?');
  },
);

t.test('a lost answer is found again by recipient, time and text, with its price', async (t) => {
  const given = await setup(t);
  const sentAt = systemClock.now();
  const [first, twin, other] = given.prepare(given.message(), given.message(), given.message());
  if (!first || !twin || !other) throw new Error('no message');
  const to = first.to;
  const same = { ...twin, to, content: first.content, wire: first.wire };
  for (const each of [first, same]) await given.adapter.send([each], given.config, given.context);
  const ref = ({ id, clientRef, content }: typeof first) => ({
    ...{ id, clientRef, to, sentAt, text: content.text },
  });
  const ask = (refs: ReturnType<typeof ref>[]) =>
    given.adapter.reconcile?.(refs, given.config, given.context);
  t.match(await ask([ref(first)]), [
    { kind: 'accepted', status: 'delivered', cost: { micros: 7500, currency: 'USD' } },
  ]);
  const both = (await ask([ref(first), ref(same)])) ?? [];
  t.equal(new Set(both.map((it) => it.kind === 'accepted' && it.providerMessageId)).size, 2);
  t.match(await ask([ref(other)]), [{ kind: 'unknown' }], 'something else went there at the time');
  const early = { ...ref(first), sentAt: sentAt.subtract({ hours: 1 }) };
  t.match(await ask([early]), [{ kind: 'not_found' }]);
});

t.test('statuses come back under our reference', async (t) => {
  const given = await listen(t);
  const message = given.message();
  await given.adapter.send(given.prepare(message), given.config, given.context);
  const failed = given.message();
  given.simulator.outcome(failed.to, { fail: 30005 });
  await given.adapter.send(given.prepare(failed), given.config, given.context);
  await given.simulator.settled();
  const { clientRef, to: address } = message;
  t.match(given.events(), [
    { type: 'status', status: 'sent', clientRef, address, providerMessageId: /^SM/ },
    { type: 'status', status: 'delivered', clientRef },
    { status: 'sent', clientRef: failed.clientRef },
    { status: 'failed', clientRef: failed.clientRef, error: { class: 'recipient_permanent' } },
  ]);
  t.notOk(JSON.stringify(given.events().map(({ raw }) => raw)).includes(address.slice(1)));
});

t.test('what a patient writes comes once, and their STOP is Twilio’s too', async (t) => {
  const given = await listen(t);
  given.simulator.faults({ callbackDuplicate: true });
  const { to: from } = given.message();
  given.simulator.say(from, 'Да');
  given.simulator.say(from, 'STOP');
  await given.simulator.settled();
  const events = given.events();
  t.equal(events.length, 6);
  t.equal(new Set(events.map(({ dedupeKey }) => dedupeKey)).size, 3);
  t.match(
    events.find((it) => it.type === 'suppression'),
    { address: from, purposes: 'all', reason: 'user_stop' },
  );
  t.match(
    events
      .filter((it) => it.type === 'inbound')
      .map((it) => [it.from, it.text])
      .sort()[1],
    [from, /./],
  );
  const [outcome] = await given.adapter.send(
    given.prepare(given.message({ to: from })),
    given.config,
    given.context,
  );
  t.match(outcome, { kind: 'rejected', error: { class: 'suppressed' } });
});

t.test('a forged callback is refused', async (t) => {
  const given = await listen(t);
  given.simulator.faults({ callbackBadSignature: true });
  given.simulator.say('+15550001111', 'STOP');
  await given.simulator.settled();
  for (const forged of given.requests()) {
    t.same(given.adapter.verifyCallback(forged, given.config), { ok: false, reason: 'bad' });
  }
  t.ok(given.requests().length > 0);
});

const template = {
  name: 'visit-reminder',
  language: 'pt-BR',
  values: [
    { name: 'patient.name.given', value: 'Ana' },
    { name: 'appointment.date', value: '3 de março' },
  ],
};

t.test('in WhatsApp approved content goes outside the 24 hours, and nothing else', async (t) => {
  const given = await listen(t, 'whatsapp');
  const contentSid = `HX${'a'.repeat(32)}`;
  const withTemplates = {
    ...given.config,
    options: {
      ...given.config.options,
      templates: { 'visit-reminder': { contentSid: { pt: contentSid } } },
    },
  };
  const message = given.message({ mayWriteFreely: false, template });
  const prepared = given.adapter.prepare(message, withTemplates);
  await given.adapter.send([prepared], withTemplates, given.context);
  t.match(given.simulator.messages(), [
    {
      to: `whatsapp:${message.to}`,
      from: 'whatsapp:+15005550006',
      contentSid,
      variables: { 1: 'Ana', 2: '3 de março' },
    },
  ]);
  const sentAt = systemClock.now();
  const { id, clientRef, to, content } = message;
  const ref = { id, clientRef, to, sentAt, text: content.text };
  t.match(
    await given.adapter.reconcile?.([ref], withTemplates, given.context),
    [{ kind: 'unknown' }],
    'Twilio remembers other words than ours',
  );
  const [unmapped] = given.prepare(given.message({ mayWriteFreely: false, template }));
  const [refused] = unmapped
    ? await given.adapter.send([unmapped], given.config, given.context)
    : [];
  t.match(refused, { kind: 'rejected', error: { providerCode: 'no-approved-template' } });
  const free = given.message();
  await given.adapter.send(given.prepare(free), given.config, given.context);
  await given.simulator.settled();
  t.match(given.events().at(-1), {
    status: 'failed',
    clientRef: free.clientRef,
    error: { class: 'message_permanent', providerCode: '63016' },
  });
});

t.test('a tap in WhatsApp tells the button and the message', async (t) => {
  const given = await listen(t, 'whatsapp');
  given.simulator.say('whatsapp:+5215512345678', 'Confirmo', {
    ButtonText: 'Confirmo',
    ButtonPayload: 'confirm',
    OriginalRepliedMessageSid: 'SM1',
  });
  await given.simulator.settled();
  t.match(given.events(), [
    {
      from: '+525512345678',
      text: 'Confirmo',
      action: { id: 'confirm', inReplyTo: 'SM1' },
    },
  ]);
});
