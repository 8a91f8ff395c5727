import t from 'tap';
import { findClinic } from '../../src/history/clinic-store.ts';
import { cancelMessage } from '../../src/outbox/cancel-message.ts';
import {
  callbackId,
  getChannel,
  parseCallbackId,
  putChannel,
} from '../../src/outbox/channel-store.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { findMessage, listInbox, markInboxRead } from '../../src/outbox/message-list-store.ts';
import { previewTemplate } from '../../src/outbox/preview-template.ts';
import { type HostMessage, sendHostMessage } from '../../src/outbox/send-host-message.ts';
import { findTemplate, putTemplate, seedTemplates } from '../../src/outbox/template-store.ts';
import { readTimeline } from '../../src/outbox/timeline-store.ts';
import { noon, type OutboxClinic, outboxClinic } from './outbox-clinic.ts';

t.test('the host’s message leaves with the next round', async (t) => {
  const clinic = await outboxClinic(t);
  const patientId = await clinic.addPatient();
  const message = await send(clinic, { patientId, text: 'The results are in.' });
  t.match(message, { state: 'scheduled', reason: null });
  await run(clinic);
  t.match(await clinic.message(message.id), { state: 'sent', text: 'The results are in.' });
  await t.rejects(
    clinic.in((trx) => cancelMessage(trx, clinic.clinicId, message.id, noon)),
    { code: 'conflict' },
  );
});

t.test('the host’s message is under the same checks, and the answer says so', async (t) => {
  const clinic = await outboxClinic(t, { withChannel: false });
  const patientId = await clinic.addPatient({ consent: { care: 'denied' } });
  const care = await send(clinic, { patientId, purpose: 'care', text: 'Come again.' });
  t.match(care, { state: 'held', reason: 'no-consent' });
  const reminder = await send(clinic, { patientId, text: 'Tomorrow at ten.' });
  t.match(reminder, { state: 'held', reason: 'channel-paused', text: null });
  const dead = await clinic.addPatient({ deceased: true });
  t.match(await send(clinic, { patientId: dead, text: 'x' }), {
    state: 'suppressed',
    reason: 'deceased',
  });
  const back = await clinic.in((trx) => cancelMessage(trx, clinic.clinicId, reminder.id, noon));
  t.match(back, { state: 'cancelled' });
});

t.test('a held message leaves once a provider is set up', async (t) => {
  const clinic = await outboxClinic(t, { withChannel: false });
  const { id } = await send(clinic, { patientId: await clinic.addPatient(), text: 'x' });
  await run(clinic);
  t.match(await clinic.message(id), { state: 'held', reason: 'channel-paused' });
  await setUp(clinic, { provider: 'counting', credentials: { apiKey: 'secret' } });
  await run(clinic);
  t.equal((await clinic.message(id)).state, 'sent');
  const view = await clinic.in((trx) => getChannel(trx, clinic.clinicId, 'sms'));
  t.match(view, { provider: 'counting', hasCredentials: true });
  t.notMatch(JSON.stringify(view), /secret/);
});

t.test('an account is checked when it is set up', async (t) => {
  const clinic = await outboxClinic(t, { withChannel: false });
  await t.rejects(setUp(clinic, { provider: 'nobody' }), { code: 'validation' });
  await t.rejects(setUp(clinic, { provider: 'sandbox' }), { code: 'validation' });
  await t.rejects(setUp(clinic, { provider: 'smsc' }), { code: 'validation' });
  const refused = setUp(clinic, { provider: 'counting', tariff: { ru: '1' } });
  const error: unknown = await refused.catch((thrown: unknown) => thrown);
  t.match(error, { faults: [{ pointer: '/tariff/ru' }] });
});

t.test('a callback names its clinic and its channel', async (t) => {
  const clinicId = '01912345-6789-7abc-8def-0123456789ab';
  t.same(parseCallbackId(callbackId(clinicId, 'whatsapp')), { clinicId, channel: 'whatsapp' });
  t.equal(parseCallbackId('nonsense'), null);
});

t.test('a template speaks the patient’s language, and waits for what it needs', async (t) => {
  const clinic = await outboxClinic(t);
  const patientId = await clinic.addPatient();
  const put = (text: string) =>
    clinic.in((trx) =>
      putTemplate(
        trx,
        clinic.clinicId,
        'note',
        { purpose: 'transactional', bodies: { sms: { en: { text } } } },
        clinic.clock.now(),
      ),
    );
  await put('Dear {{patient.name.given}}, see you on {{appointment.date}}.');
  const { id, ...message } = await send(clinic, { patientId, template: 'note' });
  t.match(message, { state: 'held', reason: 'template-data' });
  await put('Dear {{patient.name.given}}, see you soon at {{clinic.name}}.');
  await run(clinic);
  t.match(await clinic.message(id), {
    state: 'sent',
    text: 'Dear Ann, see you soon at Clinic.',
    language: 'en',
  });
  await t.rejects(put('{{patient.diagnosis}}'), { code: 'validation' });
  await t.rejects(send(clinic, { patientId, purpose: 'care', template: 'note' }), {
    code: 'unprocessable',
  });
});

t.test('every ready-made text can be previewed with its price', async (t) => {
  const clinic = await outboxClinic(t);
  const preview = await clinic.in(async (trx) => {
    await seedTemplates(trx, clinic.clinicId, noon);
    const template = await findTemplate(trx, clinic.clinicId, 'reminder');
    const found = await findClinic(trx, clinic.clinicId);
    if (!template || !found) throw new Error('They were just made.');
    return previewTemplate(clinic.deps, trx, found, template, { channel: 'sms' }, noon);
  });
  t.match(preview, { language: 'en', cost: { currency: 'USD' } });
  t.match(preview?.text, /Maria/);
});

t.test('a task and the inbox are delivered by rows of ours, once', async (t) => {
  const clinic = await outboxClinic(t);
  const patientId = await clinic.addPatient({ phone: null });
  await setUp(clinic, { provider: 'inbox' }, 'inbox');
  const task = await send(clinic, { patientId, channel: 'task', text: 'Call back.' });
  const note = await send(clinic, { patientId, channel: 'inbox', text: 'Welcome.' });
  await run(clinic);
  await run(clinic);
  const tasks = await clinic.in((trx) =>
    trx.selectFrom('tasks').selectAll().where('clinic_id', '=', clinic.clinicId).execute(),
  );
  t.match(tasks, [{ message_id: task.id, state: 'open', text: 'Call back.' }]);
  const inbox = await clinic.in((trx) =>
    listInbox(trx, clinic.clinicId, patientId, { afterId: null, limit: 10 }),
  );
  t.match(inbox, [{ id: note.id, state: 'delivered', text: 'Welcome.' }]);
  t.ok(await clinic.in((trx) => markInboxRead(trx, clinic.clinicId, patientId, note.id, noon)));
  t.match(await clinic.in((trx) => findMessage(trx, clinic.clinicId, note.id)), {
    state: 'read',
    attempts: [{ outcome: 'accepted' }],
  });
  const timeline = await clinic.in((trx) =>
    readTimeline(trx, clinic.clinicId, patientId, { before: null, limit: 10 }),
  );
  t.same(timeline.map(({ kind }) => kind).sort(), ['message', 'message', 'task']);
});

const run = (clinic: OutboxClinic) =>
  dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());

function send(clinic: OutboxClinic, message: Partial<HostMessage> & { patientId: string }) {
  return clinic.in(async (trx) => {
    const found = await findClinic(trx, clinic.clinicId);
    if (found === null) throw new Error('The clinic is missing.');
    const input = { purpose: 'transactional', channel: 'sms', ...message } as const;
    return sendHostMessage(clinic.deps, trx, found, input, clinic.clock.now());
  });
}

function setUp(
  clinic: OutboxClinic,
  input: Parameters<typeof putChannel>[4],
  channel: 'sms' | 'inbox' = 'sms',
) {
  return clinic.in(async (trx) => {
    const found = await findClinic(trx, clinic.clinicId);
    if (found === null) throw new Error('The clinic is missing.');
    return putChannel(clinic.deps, trx, found, channel, input, clinic.clock.now());
  });
}
