import t, { type Test } from 'tap';
import { actionId } from '../../src/channels/action.ts';
import type { RawRequest } from '../../src/channels/channel.ts';
import { telegramAdapter } from '../../src/channels/telegram/telegram.ts';
import { systemClock } from '../../src/clock.ts';
import type { TelegramChat, TelegramOptions, TelegramSimulator } from '../simulators/telegram.ts';
import { setup as setUp } from './conformance.ts';
import { startReceiver } from './receiver.ts';
import { telegramUnderTest } from './stands.ts';

async function setup(t: Test, options: TelegramOptions = {}) {
  let simulator: TelegramSimulator | undefined;
  const given = await setUp(
    t,
    telegramUnderTest(options, (started) => {
      simulator = started;
    }),
  );
  if (!simulator) throw new Error('no simulator');
  return { ...given, simulator };
}

async function listen(t: Test) {
  const receiver = await startReceiver();
  t.teardown(receiver.close);
  const given = await setup(t, { webhookUrl: receiver.url });
  const parsed = () =>
    receiver.requests.map((it) => {
      t.same(given.adapter.verifyCallback(it, given.config), { ok: true });
      return given.adapter.parseCallback(it, given.config);
    });
  return { ...given, receiver, parsed, events: () => parsed().flatMap((it) => it.events) };
}

const config = {
  credentials: { botToken: '1:AAA', secretToken: 'se-cret_1' },
  options: {},
  callbackUrl: 'https://clinic.example/v1/callbacks/c1',
};

function request(update: unknown, headers: RawRequest['headers'] = {}): RawRequest {
  return {
    method: 'POST',
    url: config.callbackUrl,
    headers,
    rawBody: Buffer.from(JSON.stringify(update)),
    remoteIp: '192.0.2.1',
    receivedAt: systemClock.now(),
  };
}

t.test('an update is believed by the secret in its header', async (t) => {
  const verify = (secret: string | undefined, credentials: object = config.credentials) =>
    telegramAdapter.verifyCallback(request({}, { 'x-telegram-bot-api-secret-token': secret }), {
      ...config,
      credentials,
    } as never);
  t.same(verify('se-cret_1'), { ok: true });
  t.same(verify('se-cret_2'), { ok: false, reason: 'bad' });
  t.same(verify('se-cret_1 '), { ok: false, reason: 'bad' });
  t.same(verify(undefined), { ok: false, reason: 'missing' });
  t.same(verify('', { botToken: '1:AAA' }), { ok: false, reason: 'not_configured' });
});

t.test('buttons go under the text, as many and as long as Telegram takes', async (t) => {
  const given = await setup(t);
  const message = given.message();
  const actions = [
    { id: actionId('other-time', message.id), label: 'Другое время' },
    { id: 'x'.repeat(65), label: 'Too long' },
  ];
  const [prepared] = given.prepare({ ...message, actions });
  if (prepared) await given.adapter.send([prepared], given.config, given.context);
  t.match(given.simulator.messages(), [
    { text: message.content.text, buttons: [{ text: 'Другое время' }] },
  ]);
  t.equal(given.simulator.messages()[0]?.buttons.length, 1);
});

t.test('a text that is too long is refused for good', async (t) => {
  const given = await setup(t);
  const batch = given.prepare(given.message({ content: { text: 'я'.repeat(4097) } }));
  t.same(batch[0]?.warnings, ['too-long']);
  const [outcome] = await given.adapter.send(batch, given.config, given.context);
  t.match(outcome, { kind: 'rejected', error: { class: 'message_permanent', scope: 'message' } });
});

const refusals: [TelegramChat, string][] = [
  ['blocked', 'suppressed'],
  ['deactivated', 'suppressed'],
  ['never-started', 'recipient_permanent'],
  ['missing', 'recipient_permanent'],
];

for (const [chat, errorClass] of refusals) {
  t.test(`a chat that is ${chat} means ${errorClass}`, async (t) => {
    const given = await setup(t);
    const message = given.message();
    given.simulator.chat(message.to.replace('telegram:', ''), chat);
    const [outcome] = await given.adapter.send(given.prepare(message), given.config, given.context);
    t.match(outcome, { kind: 'rejected', error: { class: errorClass, scope: 'recipient' } });
  });
}

t.test('a bot whose webhook leads elsewhere is told so', async (t) => {
  const given = await setup(t);
  t.match(await given.adapter.health?.(given.config, given.context), { detail: /webhook/ });
  given.simulator.webhookTo(given.config.callbackUrl);
  t.same(await given.adapter.health?.(given.config, given.context), { ok: true });
});

t.test('a tap tells the button, its label and the message, and is answered', async (t) => {
  const given = await listen(t);
  const actions = [{ id: 'confirm:m1', label: 'Приду' }];
  const message = given.message({ actions });
  const [outcome] = await given.adapter.send(given.prepare(message), given.config, given.context);
  t.equal(outcome?.kind, 'accepted');
  const inReplyTo = outcome?.kind === 'accepted' ? outcome.providerMessageId : '';
  given.simulator.tap(message.to.replace('telegram:', ''), 'Приду');
  await given.simulator.settled();
  t.match(given.events(), [
    { type: 'inbound', from: message.to, text: 'Приду', action: { id: 'confirm:m1', inReplyTo } },
  ]);
  const [{ reply } = { reply: undefined }] = given.parsed();
  t.match(JSON.parse(reply?.body ?? ''), { method: 'answerCallbackQuery', callback_query_id: /./ });
});

t.test('what a patient writes comes with their chat, a start link’s word included', async (t) => {
  const given = await listen(t);
  const message = given.message();
  await given.adapter.send(given.prepare(message), given.config, given.context);
  const chatId = message.to.replace('telegram:', '');
  given.simulator.say(chatId, '/start cGF0aWVudA');
  given.simulator.say(chatId, 'Да', given.simulator.messages()[0]);
  await given.simulator.settled();
  t.match(given.events(), [
    { type: 'inbound', from: message.to, text: '/start cGF0aWVudA' },
    { type: 'inbound', from: message.to, text: 'Да', inReplyTo: `${chatId}/1` },
  ]);
  const raw = JSON.stringify(given.events().map((event) => event.raw));
  t.notOk(raw.includes(chatId));
});

t.test('who blocks the bot is written to no more', async (t) => {
  const given = await listen(t);
  given.simulator.block('77');
  await given.simulator.settled();
  t.match(given.events(), [
    { type: 'suppression', address: 'telegram:77', purposes: 'all', reason: 'blocked' },
  ]);
});

t.test('updates may come twice, in any order, and forged', async (t) => {
  const given = await listen(t);
  given.simulator.faults({ callbackDuplicate: true, callbackReorder: true });
  for (const text of ['раз', 'два', 'три']) given.simulator.say('77', text);
  await given.simulator.settled();
  const keys = given.events().map(({ dedupeKey }) => dedupeKey);
  t.equal(keys.length, 6);
  t.equal(new Set(keys).size, 3);

  given.receiver.requests.length = 0;
  given.simulator.faults({ callbackBadSignature: true });
  given.simulator.say('77', 'STOP');
  await given.simulator.settled();
  for (const forged of given.receiver.requests) {
    t.same(given.adapter.verifyCallback(forged, given.config), { ok: false, reason: 'bad' });
  }
});

t.test('what is said in a group, edited, or about others is nobody’s answer', async (t) => {
  const chat = { id: -100, type: 'supergroup' };
  const updates = [
    { update_id: 1, message: { message_id: 1, chat, text: 'STOP' } },
    { update_id: 2, edited_message: { message_id: 1, chat: { id: 7, type: 'private' } } },
    { update_id: 3, my_chat_member: { chat, new_chat_member: { status: 'kicked' } } },
    { update_id: 4, my_chat_member: { chat: { id: 7, type: 'private' }, new_chat_member: {} } },
    { message: { message_id: 1, chat: { id: 7, type: 'private' }, text: 'no number' } },
    null,
    [],
  ];
  for (const update of updates) {
    t.same(telegramAdapter.parseCallback(request(update), config).events, []);
  }
});
