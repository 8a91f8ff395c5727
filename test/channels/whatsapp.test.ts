import t, { type Test } from 'tap';
import { actionId } from '../../src/channels/action.ts';
import type { RawRequest } from '../../src/channels/channel.ts';
import { whatsappAdapter } from '../../src/channels/whatsapp/whatsapp.ts';
import {
  startWhatsappSimulator,
  type WhatsappOptions,
  type WhatsappSimulator,
} from '../simulators/whatsapp.ts';
import { setup as setUp } from './conformance.ts';
import { startReceiver } from './receiver.ts';
import { whatsappUnderTest } from './stands.ts';

async function setup(t: Test, options: WhatsappOptions = {}) {
  let simulator: WhatsappSimulator | undefined;
  const given = await setUp(
    t,
    whatsappUnderTest(options, (started) => {
      simulator = started;
    }),
  );
  if (!simulator) throw new Error('no simulator');
  return { ...given, simulator };
}

const config = {
  credentials: {
    accessToken: 'EAA',
    phoneNumberId: '200',
    appSecret: 'app-secret',
    verifyToken: 'verify-me',
  },
  options: {},
  callbackUrl: 'https://clinic.example/v1/callbacks/c1',
};

/** The vector of the signature over an empty delivery. */
const vector = {
  body: '{"object":"whatsapp_business_account","entry":[]}',
  signature: 'sha256=d3e4f9da0ce6c71ab3dba55929b8eeeee2455349e534924ead19f98d143e904f',
};

function request(overrides: Partial<RawRequest> = {}): RawRequest {
  return {
    method: 'POST',
    url: config.callbackUrl,
    headers: { 'x-hub-signature-256': vector.signature },
    rawBody: Buffer.from(vector.body),
    remoteIp: '192.0.2.1',
    receivedAt: Temporal.Instant.from('2026-03-02T12:00:00Z'),
    ...overrides,
  };
}

function told(value: object, phoneNumberId = '200'): RawRequest {
  const metadata = { phone_number_id: phoneNumberId };
  const entry = [{ id: '100', changes: [{ value: { metadata, ...value }, field: 'messages' }] }];
  const body = { object: 'whatsapp_business_account', entry };
  return request({ rawBody: Buffer.from(JSON.stringify(body)) });
}

t.test('news are believed by the signature over their bytes alone', async (t) => {
  const verify = (it: RawRequest) => whatsappAdapter.verifyCallback(it, config);
  t.same(verify(request()), { ok: true });
  t.same(verify(request({ rawBody: Buffer.from(`${vector.body} `) })), {
    ok: false,
    reason: 'bad',
  });
  t.same(verify(request({ headers: {} })), { ok: false, reason: 'missing' });
  const sha1 = { 'x-hub-signature-256': vector.signature.slice('sha256='.length) };
  t.same(verify(request({ headers: sha1 })), { ok: false, reason: 'bad' });
  const { appSecret: _secret, ...open } = config.credentials;
  t.same(whatsappAdapter.verifyCallback(request(), { ...config, credentials: open }), {
    ok: false,
    reason: 'not_configured',
  });
});

t.test('Meta is told its challenge where it knows the token, and nobody else is', async (t) => {
  const shake = (query: string, method = 'GET', credentials = config.credentials) =>
    whatsappAdapter.handshake?.(request({ method, url: `${config.callbackUrl}?${query}` }), {
      ...config,
      credentials,
    });
  const right = 'hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=1158201444';
  t.same(shake(right), { status: 200, body: '1158201444' });
  t.match(shake(right.replace('verify-me', 'verify-you')), { status: 403 });
  t.match(shake('hub.mode=subscribe&hub.challenge=1'), { status: 403 });
  t.equal(shake(right, 'POST'), null);
  t.equal(shake('anything=else'), null);
  const { verifyToken: _token, ...untold } = config.credentials;
  t.match(shake('hub.mode=subscribe&hub.verify_token=', 'GET', untold as never), { status: 403 });
});

const template = {
  name: 'visit-reminder',
  language: 'pt',
  values: [
    { name: 'patient.name.given', value: 'Ana' },
    { name: 'appointment.date', value: '3 de\nmarço' },
    { name: 'clinic.phone', value: '' },
  ],
};

const approvedAs = (mapping: object) => ({ 'visit-reminder': { name: 'visita_v2', ...mapping } });

t.test('outside the 24 hours an approved template goes, with the values of our text', async (t) => {
  const given = await setup(t, {
    templates: { visita_v2: { languages: ['pt_BR'], parameters: 3, buttons: ['Confirmo'] } },
  });
  const options = {
    ...given.config.options,
    templates: approvedAs({ languages: { pt: 'pt_BR' }, buttons: ['confirm'] }),
  };
  const message = given.message({ mayWriteFreely: false, template });
  const prepared = given.adapter.prepare(message, { ...given.config, options });
  t.same(prepared.warnings, []);
  const [outcome] = await given.adapter.send([prepared], given.config, given.context);
  t.match(outcome, { kind: 'accepted', providerMessageId: /^wamid\./ });
  t.match(given.simulator.messages(), [
    {
      template: 'visita_v2',
      language: 'pt_BR',
      text: 'Ana\n3 de março\n-',
      clientRef: message.clientRef,
      buttons: [{ id: actionId('confirm', message.id), title: 'Confirmo' }],
    },
  ]);
});

t.test('parameters go in the order, or under the names, that the mapping gives', async (t) => {
  const bodyOf = (parameters: object, language = 'pt-BR') => {
    const options = { templates: approvedAs({ parameters }) };
    const message = { id: '0', clientRef: '0', purpose: 'care', to: '+1', content: { text: 'x' } };
    return whatsappAdapter.prepare(
      {
        ...message,
        expiresAt: Temporal.Instant.fromEpochMilliseconds(0),
        template: { ...template, language },
      } as never,
      { ...config, options } as never,
    );
  };
  t.match(bodyOf(['appointment.date', 'patient.name.given']).wire, {
    template: {
      language: { code: 'pt_BR' },
      components: [{ parameters: [{ text: '3 de março' }, { text: 'Ana' }] }],
    },
  });
  t.match(bodyOf({ first_name: 'patient.name.given' }).wire, {
    template: {
      components: [{ parameters: [{ type: 'text', parameter_name: 'first_name', text: 'Ana' }] }],
    },
  });
  t.same(bodyOf(['link.confirm']).warnings, ['approved-template-unfit']);
});

t.test('a text that Meta would not take is refused here, without a call', async (t) => {
  const given = await setup(t);
  for (const words of [{}, { template }]) {
    const [outcome] = await given.adapter.send(
      given.prepare(given.message({ mayWriteFreely: false, ...words })),
      given.config,
      given.context,
    );
    t.match(outcome, {
      kind: 'rejected',
      error: { class: 'message_permanent', providerCode: 'no-approved-template' },
    });
  }
  t.same(given.simulator.messages(), []);
});

t.test('who wrote lately gets buttons under the text', async (t) => {
  const given = await setup(t);
  const actions = ['Приду', 'Другое время, пожалуйста', 'Не приду', 'Четвёртая'].map(
    (label, at) => ({ id: `id-${at}`, label }),
  );
  const long = given.message({ content: { text: 'я'.repeat(1025) }, actions });
  for (const message of given.prepare(given.message({ actions }), long)) {
    await given.adapter.send([message], given.config, given.context);
  }
  t.match(given.simulator.messages(), [
    {
      type: 'interactive',
      buttons: [{ title: 'Приду' }, { title: 'Другое время, пожалу' }, { title: 'Не приду' }],
    },
    { type: 'text', buttons: [] },
  ]);
  t.equal(given.simulator.messages()[0]?.buttons.length, 3);
});

const classes: [number, string, string][] = [
  [130429, 'rate_limited', 'channel'],
  [131056, 'rate_limited', 'recipient'],
  [131049, 'rate_limited', 'recipient'],
  [131026, 'recipient_permanent', 'recipient'],
  [131047, 'message_permanent', 'message'],
  [131050, 'suppressed', 'recipient'],
  [130472, 'message_permanent', 'message'],
  [132001, 'message_permanent', 'message'],
  [132015, 'message_permanent', 'message'],
  [190, 'config', 'channel'],
  [10, 'config', 'channel'],
  [200, 'config', 'channel'],
  [299, 'config', 'channel'],
  [131042, 'config', 'channel'],
  [368, 'config', 'channel'],
  [131000, 'temporary', 'message'],
  [131016, 'temporary', 'message'],
  [100, 'message_permanent', 'message'],
];

for (const [code, errorClass, scope] of classes) {
  t.test(`code ${code} means ${errorClass}`, async (t) => {
    const given = await setup(t);
    const message = given.message();
    given.simulator.outcome(message.to, { refuse: code });
    const [outcome] = await given.adapter.send(given.prepare(message), given.config, given.context);
    const error = { class: errorClass, scope, providerCode: String(code) };
    t.match(outcome, { kind: 'rejected', error });
    t.same(given.simulator.messages(), []);
  });
}

t.test('an error that Meta calls passing is tried again, whatever its code', async (t) => {
  const given = await setup(t);
  const message = given.message();
  given.simulator.outcome(message.to, { refuse: 999_999, isTransient: true });
  const [outcome] = await given.adapter.send(given.prepare(message), given.config, given.context);
  t.match(outcome, { kind: 'rejected', error: { class: 'temporary' } });
});

t.test('an account that cannot pay pauses the channel', async (t) => {
  const given = await setup(t);
  given.simulator.refuseAll(131042);
  const [outcome] = await given.adapter.send(
    given.prepare(given.message()),
    given.config,
    given.context,
  );
  t.match(outcome, { kind: 'rejected', error: { class: 'config', scope: 'channel' } });
});

async function listen(t: Test, options: WhatsappOptions = {}) {
  const receiver = await startReceiver();
  t.teardown(receiver.close);
  const given = await setup(t, { webhookUrl: receiver.url, ...options });
  const events = () =>
    receiver.requests.flatMap((it) => {
      t.same(given.adapter.verifyCallback(it, given.config), { ok: true });
      return given.adapter.parseCallback(it, given.config).events;
    });
  return { ...given, receiver, events };
}

t.test('statuses come back under our reference, and tell of no patient in the raw', async (t) => {
  const given = await listen(t);
  const message = given.message();
  given.simulator.say(message.to, 'Oi');
  given.simulator.outcome(message.to, 'read');
  await given.adapter.send(given.prepare(message), given.config, given.context);
  await given.simulator.settled();
  const statuses = given.events().filter(({ type }) => type === 'status');
  const { clientRef, to: address } = message;
  t.match(statuses, [
    { status: 'sent', clientRef, address, providerMessageId: 'wamid.SIM1' },
    { status: 'read', clientRef, address, providerMessageId: 'wamid.SIM1' },
  ]);
  t.notOk(JSON.stringify(statuses.map(({ raw }) => raw)).includes(address.slice(1)));
});

t.test('a free text to who has not written fails after it was taken', async (t) => {
  const given = await listen(t);
  const [message] = given.prepare(given.message());
  if (message) await given.adapter.send([message], given.config, given.context);
  await given.simulator.settled();
  t.match(given.events(), [
    { status: 'failed', error: { class: 'message_permanent', providerCode: '131047' } },
  ]);
});

t.test('news may come twice, in any order, and forged', async (t) => {
  const given = await listen(t);
  given.simulator.faults({ callbackDuplicate: true, callbackReorder: true });
  const message = given.message();
  given.simulator.say(message.to, 'Oi');
  await given.adapter.send(given.prepare(message), given.config, given.context);
  await given.simulator.settled();
  const keys = given.events().map(({ dedupeKey }) => dedupeKey);
  t.equal(keys.length, 6);
  t.equal(new Set(keys).size, 3);

  given.receiver.requests.length = 0;
  given.simulator.faults({ callbackBadSignature: true });
  given.simulator.say(message.to, 'STOP');
  await given.simulator.settled();
  const [forged] = given.receiver.requests;
  t.ok(forged);
  if (forged) {
    t.same(given.adapter.verifyCallback(forged, given.config), { ok: false, reason: 'bad' });
  }
});

t.test('a tap tells the button and the message, in either kind of message', async (t) => {
  const given = await listen(t);
  const options = { ...given.config.options, templates: approvedAs({ buttons: ['cancel'] }) };
  const invited = given.message({ mayWriteFreely: false, template });
  const asked = given.message({
    actions: [{ id: actionId('confirm', 'm1'), label: 'Confirmo' }],
  });
  for (const message of [invited, asked]) {
    const prepared = given.adapter.prepare(message, { ...given.config, options });
    await given.adapter.send([prepared], given.config, given.context);
  }
  given.simulator.tap(invited.to, 'button 0', false);
  given.simulator.tap(asked.to, 'Confirmo');
  await given.simulator.settled();
  const inbound = given.events().filter(({ type }) => type === 'inbound');
  t.match(inbound, [
    { from: invited.to, text: 'button 0', action: { id: actionId('cancel', invited.id) } },
    { from: asked.to, text: 'Confirmo', action: { id: 'confirm:m1', inReplyTo: 'wamid.SIM2' } },
  ]);
});

t.test('a patient is known by their number, by whatever name WhatsApp knows it', async (t) => {
  const from = (waId: string | undefined) => {
    const message = { id: 'wamid.1', from: waId, timestamp: '1767225600', type: 'text' };
    const { events } = whatsappAdapter.parseCallback(
      told({ messages: [{ ...message, text: { body: 'Oi' } }] }),
      config,
    );
    return events[0]?.type === 'inbound' ? events[0].from : null;
  };
  t.equal(from('556187654321'), '+5561987654321', 'Brazil without the ninth digit');
  t.equal(from('5215512345678'), '+525512345678', 'Mexico with the old 1');
  t.equal(from('5491123456789'), '+5491123456789', 'Argentina');
  t.equal(from('79161234567'), '+79161234567');
  t.equal(from(undefined), '', 'a user without a number');
});

t.test('whatever is said reaches the staff, and what nobody said does not', async (t) => {
  const said = (message: object) =>
    whatsappAdapter.parseCallback(
      told({ messages: [{ id: 'wamid.1', from: '79161234567', ...message }] }),
      config,
    ).events;
  t.match(said({ type: 'audio', audio: { id: '1' } }), [{ text: '[audio]' }]);
  t.match(said({ type: 'image', image: { caption: 'Meu dente' } }), [{ text: 'Meu dente' }]);
  t.match(said({ type: 'reaction', reaction: { message_id: 'wamid.9', emoji: '👍' } }), [
    { text: '👍', inReplyTo: 'wamid.9' },
  ]);
  t.match(said({ type: 'text', text: { body: 'Да' }, context: { id: 'wamid.8' } }), [
    { text: 'Да', inReplyTo: 'wamid.8' },
  ]);
  t.same(said({ type: 'reaction', reaction: { message_id: 'wamid.9' } }), []);
  t.same(said({ type: 'system', system: { body: 'changed number' } }), []);
});

t.test('news of another clinic’s number under the same app are left alone', async (t) => {
  const value = { messages: [{ id: 'w', from: '79161234567', type: 'text', text: { body: 'x' } }] };
  t.equal(whatsappAdapter.parseCallback(told(value), config).events.length, 1);
  t.same(whatsappAdapter.parseCallback(told(value, '201'), config).events, []);
});

t.test('who stops marketing in WhatsApp gets none, and keeps their reminders', async (t) => {
  const failed = {
    ...{ id: 'wamid.1', status: 'failed', timestamp: '1767225600', recipient_id: '79161234567' },
    errors: [{ code: 131050 }],
  };
  const wish = { wa_id: '79161234567', value: 'stop', timestamp: '1767225600' };
  const stop = { type: 'suppression', address: '+79161234567', purposes: ['marketing'] };
  t.match(whatsappAdapter.parseCallback(told({ statuses: [failed] }), config).events, [
    { status: 'failed', error: { class: 'suppressed' } },
    stop,
  ]);
  t.match(whatsappAdapter.parseCallback(told({ user_preferences: [wish] }), config).events, [stop]);
});

t.test('a simulator for developers keeps the number it was given', async (t) => {
  const simulator = await startWhatsappSimulator({ phoneNumberId: '7' });
  t.teardown(simulator.close);
  const answer = await fetch(`${simulator.url}/v23.0/8`, {
    headers: { authorization: 'Bearer x' },
  });
  t.match(await answer.json(), { error: { code: 100, error_subcode: 33 } });
});
