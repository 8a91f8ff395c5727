/** A reminder with buttons, and what a tap on one does: over the real API and the providers' own HTTP. */
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { planClinic } from '../../src/rules/plan.ts';
import { startTelegramSimulator } from '../simulators/telegram.ts';
import { startWhatsappSimulator } from '../simulators/whatsapp.ts';
import { type Client, testApi } from '../support/api.ts';

async function must(
  asked: Promise<{ status: number; text: string; body: Record<string, unknown> }>,
) {
  const answer = await asked;
  if (answer.status >= 300) throw new Error(answer.text);
  return answer.body;
}

/** A live clinic on a listening service, with a reminder a day before. */
async function stage(t: Test, channel: 'telegram' | 'whatsapp') {
  const api = await testApi(t, { now: '2026-03-02T12:00:00Z' });
  await api.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = api.app.server.address() as AddressInfo;
  const clinic = await api.clinic({
    ...{ mode: 'live', now: undefined, country: 'RU', language: 'ru' },
    ...{ timeZone: 'Europe/Moscow', currency: 'RUB' },
  });
  const text = '{{patient.name.given}}, ждём вас {{appointment.date}} в {{appointment.time}}.';
  await must(
    clinic.put('/v1/templates/remind', {
      ...{ purpose: 'transactional', bodies: { [channel]: { ru: { text } } } },
    }),
  );
  const rule = await must(
    clinic.post('/v1/rules', {
      ...{ name: 'Reminder', purpose: 'transactional' },
      trigger: { type: 'appointment', before: 'P1D' },
      steps: [{ channel, template: 'remind' }],
    }),
  );
  await must(clinic.post(`/v1/rules/${rule.id}/activate`));
  const now = () => api.clock.now();
  const run = async () => {
    await planClinic(api.deps, clinic.id, now());
    await dispatchClinic(api.deps, clinic.id, now());
  };
  /** The day before, when the reminders go. */
  const remind = async () => {
    await run();
    api.clock.set('2026-03-04T12:00:00Z');
    await run();
  };
  /** Where that channel's provider calls us. */
  const callbackOf = (url: unknown) => `http://127.0.0.1:${port}${new URL(String(url)).pathname}`;
  return { api, clinic, run, remind, callbackOf };
}

async function book(clinic: Client, id: string, telecom: object): Promise<void> {
  await must(clinic.put(`/v1/patients/p-${id}`, { name: { given: 'Анна' }, telecom: [telecom] }));
  await must(
    clinic.put(`/v1/appointments/a-${id}`, {
      ...{ patientId: `p-${id}`, status: 'booked', minutes: 30 },
      start: '2026-03-05T12:00:00Z',
    }),
  );
}

const confirmation = async (clinic: Client, id: string) =>
  (await must(clinic.get(`/v1/appointments/a-${id}`))).confirmation;

t.test(
  'a patient confirms, asks for another time or cancels in Telegram with one tap',
  async (t) => {
    const { api, clinic, remind, callbackOf } = await stage(t, 'telegram');
    const credentials = { botToken: '1234567:AAA', secretToken: 'se-cret' };
    const telegram = await startTelegramSimulator({ ...credentials, clock: api.clock });
    t.teardown(() => telegram.close());
    const { callbackUrl } = await must(
      clinic.put('/v1/channels/telegram', { credentials, options: { baseUrl: telegram.url } }),
    );
    telegram.webhookTo(callbackOf(callbackUrl));
    for (const id of ['1', '2', '3']) {
      await book(clinic, id, { system: 'telegram', value: `70${id}` });
    }
    await remind();
    t.match(telegram.messages()[0], { text: /^Анна, ждём вас 5 марта/ });
    t.same(
      telegram.messages()[0]?.buttons.map((button) => button.text),
      ['Приду', 'Другое время', 'Не смогу прийти'],
    );

    telegram.tap('701', 'Приду');
    telegram.tap('702', 'Другое время');
    telegram.tap('703', 'Не смогу прийти');
    await telegram.settled();
    t.equal(await confirmation(clinic, '1'), 'accepted');
    t.notOk(['accepted', 'declined'].includes(String(await confirmation(clinic, '2'))));
    t.equal(await confirmation(clinic, '3'), 'declined');
    const { data } = await must(clinic.get('/v1/tasks?state=open'));
    const tasks = (data as { patientId: string; text: string }[]).map((it) => [
      it.patientId,
      it.text,
    ]);
    t.strictSame(tasks.sort(), [
      ['p-2', 'Пациент просит другое время.'],
      ['p-3', 'Пациент просит отменить запись.'],
    ]);
    const sent = await must(clinic.get('/v1/messages?patientId=p-1'));
    t.match(sent.data, [{ state: 'read' }], 'a tap proves that the message came');

    telegram.tap('701', 'Не смогу прийти');
    await telegram.settled();
    t.equal(await confirmation(clinic, '1'), 'declined', 'who changes their mind may');

    telegram.faults({ callbackBadSignature: true });
    telegram.tap('701', 'Приду');
    await telegram.settled();
    t.equal(await confirmation(clinic, '1'), 'declined', 'a forged tap does nothing');
  },
);

t.test('a button counts from its own recipient alone', async (t) => {
  const { api, clinic, remind, callbackOf } = await stage(t, 'telegram');
  const credentials = { botToken: '1234567:AAA', secretToken: 'se-cret' };
  const telegram = await startTelegramSimulator({ ...credentials, clock: api.clock });
  t.teardown(() => telegram.close());
  const { callbackUrl } = await must(
    clinic.put('/v1/channels/telegram', { credentials, options: { baseUrl: telegram.url } }),
  );
  telegram.webhookTo(callbackOf(callbackUrl));
  await book(clinic, '1', { system: 'telegram', value: '701' });
  await remind();
  const id = telegram.messages()[0]?.buttons[0]?.callback_data;
  const tapFrom = async (chatId: number) => {
    telegram.tell({ callback_query: { id: 'q', from: { id: chatId }, data: id } });
    await telegram.settled();
  };
  await tapFrom(999);
  t.not(await confirmation(clinic, '1'), 'accepted', 'somebody else knows the id');
  await tapFrom(701);
  t.equal(
    await confirmation(clinic, '1'),
    'accepted',
    'an old message, of which Telegram tells no more',
  );
});

t.test('a reminder goes by WhatsApp as approved, and as a text to who wrote lately', async (t) => {
  const { api, clinic, run, remind, callbackOf } = await stage(t, 'whatsapp');
  const account = { accessToken: 'EAA', phoneNumberId: '106540352242922', appSecret: 'app-secret' };
  const buttons = ['Приду', 'Не смогу прийти'];
  const whatsapp = await startWhatsappSimulator({
    ...account,
    clock: api.clock,
    templates: { visit_v1: { languages: ['ru'], parameters: 3, buttons } },
  });
  t.teardown(() => whatsapp.close());
  const { callbackUrl } = await must(
    clinic.put('/v1/channels/whatsapp', {
      credentials: { ...account, verifyToken: 'verify-me' },
      options: {
        baseUrl: whatsapp.url,
        templates: { remind: { name: 'visit_v1', buttons: ['confirm', 'cancel'] } },
      },
    }),
  );
  const ours = callbackOf(callbackUrl);
  const shake = (token: string) =>
    fetch(`${ours}?hub.mode=subscribe&hub.challenge=115820&hub.verify_token=${token}`);
  const shaken = await shake('verify-me');
  t.match(shaken.headers.get('content-type'), /^text\/plain/);
  t.equal(await shaken.text(), '115820');
  t.equal((await shake('guess')).status, 403);
  whatsapp.webhookTo(ours);

  const telecom = { system: 'whatsapp', value: '+7 916 123-45-67' };
  await book(clinic, '1', telecom);
  await remind();
  await whatsapp.settled();
  const [reminder] = whatsapp.messages();
  t.match(reminder, { to: '+79161234567', type: 'template', text: /^Анна\n5 марта\n/ });
  t.match((await must(clinic.get('/v1/messages?patientId=p-1'))).data, [{ state: 'delivered' }]);
  whatsapp.tap('+79161234567', 'Приду', false);
  await whatsapp.settled();
  t.equal(await confirmation(clinic, '1'), 'accepted');

  const write = (text: string) =>
    must(
      clinic.post('/v1/messages', {
        ...{ patientId: 'p-1', purpose: 'transactional', channel: 'whatsapp', text },
      }),
    );
  // Meta takes one message to a person every six seconds.
  api.clock.advance({ minutes: 1 });
  await write('Возьмите, пожалуйста, снимок.');
  await run();
  await whatsapp.settled();
  t.match(whatsapp.messages()[1], { type: 'text', text: 'Возьмите, пожалуйста, снимок.' });

  api.clock.set('2026-03-05T12:30:00Z');
  const late = await write('Как вы себя чувствуете?');
  await run();
  t.match(await must(clinic.get(`/v1/messages/${late.id}`)), { state: 'failed' });
  t.equal(whatsapp.messages().length, 2, 'after 24 hours only what Meta approved');
  t.notMatch(api.logLines.join(''), /Анна|79161234567|снимок/, 'nothing of a person is logged');
});
