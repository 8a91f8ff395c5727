/** A patient opens the chat with the clinic's bot by a link: over the API, and Telegram's own updates. */
import t, { type Test } from 'tap';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { startTelegramSimulator } from '../simulators/telegram.ts';
import { testApi } from '../support/api.ts';

const secretToken = 'se-cret';

async function must(
  asked: Promise<{ status: number; text: string; body: Record<string, unknown> }>,
) {
  const answer = await asked;
  if (answer.status >= 300) throw new Error(answer.text);
  return answer.body;
}

async function stand(t: Test, now?: string) {
  const api = await testApi(t, now === undefined ? {} : { now });
  const clinic = await api.clinic({ mode: 'live', now: undefined });
  const bot = await startTelegramSimulator({ botToken: '1234567:AAright', secretToken });
  t.teardown(() => bot.close());
  const channel = await must(
    clinic.put('/v1/channels/telegram', {
      credentials: { botToken: '1234567:AAright', secretToken },
      ...{ provider: 'telegram', options: { baseUrl: bot.url, botName: 'sonrisa_bot' } },
    }),
  );
  for (const id of ['p-1', 'p-2']) await must(clinic.put(`/v1/patients/${id}`, {}));
  let update = 0;
  const say = async (chatId: number, text: string, secret = secretToken) => {
    update += 1;
    const chat = { id: chatId, type: 'private' };
    const message = { message_id: update, date: 1_772_463_600, chat, from: { id: chatId }, text };
    const answer = await api.app.inject({
      method: 'POST',
      url: new URL(String(channel.callbackUrl)).pathname,
      headers: {
        'content-type': 'application/json',
        'x-telegram-bot-api-secret-token': secret,
      },
      payload: JSON.stringify({ update_id: update, message }),
    });
    return { status: answer.statusCode, body: answer.body };
  };
  const tokenFor = async (patientId: string) => {
    const link = await must(
      clinic.post(`/v1/patients/${patientId}/links`, { channel: 'telegram' }),
    );
    const [, token] =
      /^https:\/\/t\.me\/sonrisa_bot\?start=([\w-]{1,64})$/.exec(String(link.url)) ?? [];
    if (token === undefined) throw new Error(String(link.url));
    return token;
  };
  const write = async (patientId: string) => {
    // Telegram takes one message a second for one chat.
    api.clock.advance({ seconds: 5 });
    const { id } = await must(
      clinic.post('/v1/messages', {
        ...{ patientId, purpose: 'transactional', channel: 'telegram', text: 'Le esperamos' },
      }),
    );
    await dispatchClinic(api.deps, clinic.id, api.clock.now());
    return must(clinic.get(`/v1/messages/${id}`));
  };
  const telecomOf = async (id: string) => (await must(clinic.get(`/v1/patients/${id}`))).telecom;
  return { api, clinic, bot, say, tokenFor, write, telecomOf };
}

const chat = (value: string) => [{ system: 'telegram', value }];

t.test('a patient who opens the chat by their link is written to there', async (t) => {
  const { api, clinic, bot, say, tokenFor, write, telecomOf } = await stand(t);
  t.notMatch(await write('p-1'), { state: 'sent' });
  const token = await tokenFor('p-1');
  t.equal((await say(700, `/start ${token}`, 'forged')).status, 401);
  t.equal(await telecomOf('p-1'), undefined);
  const said = await say(700, `/start ${token}`);
  t.match(JSON.parse(said.body), {
    ...{ method: 'sendMessage', chat_id: '700' },
    text: '¡Gracias! Los mensajes de Clínica Sonrisa llegarán a este chat.',
  });
  t.same(await telecomOf('p-1'), chat('700'));
  t.match(await write('p-1'), { state: 'sent', to: 'telegram:700' });
  t.match(bot.messages().at(-1), { chatId: '700', text: 'Le esperamos' });
  t.same((await must(clinic.get('/v1/threads'))).data, [], 'a link is no text to answer');
  t.same((await must(clinic.get('/v1/opt-outs?patientId=p-1'))).data, []);
  t.equal((await must(clinic.get('/v1/patients/p-1'))).consent, undefined);
  t.notOk(api.logLines.some((line) => line.includes(token) || line.includes('telegram:700')));
});

t.test('what the host tells later of the patient leaves the linked chat theirs', async (t) => {
  const { clinic, say, tokenFor, write, telecomOf } = await stand(t);
  await say(700, `/start ${await tokenFor('p-1')}`);
  await must(
    clinic.put('/v1/patients/p-1', {
      ...{ name: { given: 'Ana' }, telecom: [{ system: 'email', value: 'ana@example.com' }] },
    }),
  );
  t.match(await write('p-1'), { state: 'sent', to: 'telegram:700' });
  t.match(await telecomOf('p-1'), [{ system: 'email' }, { system: 'telegram', value: '700' }]);
  await must(
    clinic.post('/v1/events', {
      ...{ id: 'e-1', type: 'patient.merged', occurredAt: '2026-03-02T15:00:00Z' },
      data: { id: 'p-1', into: 'p-2' },
    }),
  );
  t.match(await write('p-2'), { state: 'sent', to: 'telegram:700' }, 'also after a merge');
});

t.test('a link that is unknown, expired or used links nobody else', async (t) => {
  const { api, say, tokenFor, telecomOf } = await stand(t);
  const refused = async (chatId: number, token: string) => {
    const { status, body } = await say(chatId, `/start ${token}`);
    t.equal(status, 200);
    t.match(JSON.parse(body), { method: 'sendMessage', text: /ya no es válido/ });
  };
  const old = await tokenFor('p-1');
  await refused(700, 'promo');
  await refused(700, `${old.slice(0, -1)}${old.endsWith('A') ? 'B' : 'A'}`);
  const other = await stand(t);
  await refused(700, await other.tokenFor('p-1'));
  api.clock.advance({ hours: 24 * 32 });
  await refused(700, old);
  t.equal(await telecomOf('p-1'), undefined);

  const token = await tokenFor('p-1');
  await say(700, `/start ${token}`);
  t.match((await say(700, `/start ${token}`)).body, /Gracias/, 'a second tap is the same');
  await refused(701, token);
  t.same(await telecomOf('p-1'), chat('700'));
  await say(701, `/start ${await tokenFor('p-1')}`);
  t.same(await telecomOf('p-1'), chat('701'), 'a new link moves the patient to a new chat');
});

t.test('a chat that a family shares is the address of each of them', async (t) => {
  const { clinic, say, tokenFor, write } = await stand(t);
  await say(700, `/start ${await tokenFor('p-1')}`);
  await say(700, `/start ${await tokenFor('p-2')}`);
  t.match(await write('p-1'), { to: 'telegram:700' });
  t.match(await write('p-2'), { to: 'telegram:700' });
  await say(700, 'STOP');
  t.match(await clinic.get('/v1/opt-outs'), { status: 200 });
  t.match(
    await must(
      clinic.post('/v1/messages', {
        ...{ patientId: 'p-2', purpose: 'care', channel: 'telegram', text: 'Venga' },
      }),
    ),
    { state: 'suppressed', reason: 'opted-out' },
  );
});

t.test('no link is made for nobody, or where the clinic has named no bot', async (t) => {
  const { clinic, api } = await stand(t);
  const ask = (id: string) => clinic.post(`/v1/patients/${id}/links`, { channel: 'telegram' });
  t.equal((await ask('p-9')).status, 404);
  t.equal((await clinic.post('/v1/patients/p-1/links', { channel: 'sms' })).status, 400);
  const other = await api.clinic();
  await must(other.put('/v1/patients/p-1', {}));
  t.equal((await other.post('/v1/patients/p-1/links', { channel: 'telegram' })).status, 409);
});
