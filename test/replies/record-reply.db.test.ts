import t from 'tap';
import { now, phone, replyClinic } from './reply-clinic.ts';

t.test('a stop from one’s own number stops care and marketing everywhere, at once', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const messageId = await clinic.message({ patientId, purpose: 'care' });
  const told = await clinic.answer({ from: phone, text: 'Стоп!' });
  t.match(told, { meaning: 'stop', patientId, messageId });
  t.equal(await clinic.mayGet(patientId), false);
  t.equal(await clinic.mayGet(patientId, 'email', 'a@example.org'), false);
  t.equal(await clinic.mayGet(patientId, 'sms', phone, 'transactional'), true);
  t.strictSame(await clinic.stamps(messageId), { replied: true, clicked: false });
  t.ok((await clinic.marks()).has(patientId));
});

t.test(
  'a stop from a shared number holds for all who share it, and for no other address',
  async (t) => {
    const clinic = await replyClinic(t);
    const [mother, child] = [await clinic.patient(), await clinic.patient()];
    await clinic.message({ patientId: mother });
    await clinic.message({ patientId: child });
    t.match(await clinic.answer({ from: phone, text: 'SAIR' }), {
      meaning: 'stop',
      patientId: null,
    });
    t.equal(await clinic.mayGet(mother), false);
    t.equal(await clinic.mayGet(child), false);
    t.equal(await clinic.mayGet(child, 'email', 'a@example.org'), true);
    t.strictSame(await clinic.tasks(), [], 'a stop needs nobody to decide');
  },
);

t.test('a start lifts what the same number had stopped', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  await clinic.answer({ from: phone, text: 'stop' });
  await clinic.answer({ from: phone, text: 'stop' });
  t.equal((await clinic.optOuts()).length, 2, 'the person’s and the number’s, once each');
  await clinic.answer({ from: phone, text: 'START' });
  t.strictSame(await clinic.optOuts(), []);
  t.equal(await clinic.mayGet(patientId), true);
});

t.test('a stop from a number nobody has is kept for whoever will have it', async (t) => {
  const clinic = await replyClinic(t);
  t.match(await clinic.answer({ from: phone, text: 'baja' }), { patientId: null, messageId: null });
  const patientId = await clinic.patient();
  t.equal(await clinic.mayGet(patientId), false);
});

t.test('the same reply delivered twice counts once', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  await clinic.message({ patientId });
  const reply = { from: phone, text: 'stop', dedupeKey: 'smsc:1' };
  t.not((await clinic.answer(reply)).id, null);
  await clinic.answer({ from: phone, text: 'start' });
  t.match(await clinic.answer(reply), { id: null, meaning: 'stop' });
  t.equal(await clinic.mayGet(patientId), true, 'a late copy of the stop does not undo the start');
  t.equal((await clinic.replies()).length, 2);
});

t.test('a yes confirms the appointment that the message was about', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const other = await clinic.appointment({ patientId, start: now.add({ hours: 5 }) });
  const meant = await clinic.appointment({ patientId });
  const messageId = await clinic.message({ patientId, guard: clinic.anchor(meant) });
  await clinic.answer({ messageId, text: 'Да, приду' });
  t.match(await clinic.confirmation(meant), {
    confirmation: 'accepted',
    status: 'booked',
    start_revision: 1,
  });
  t.match(await clinic.confirmation(other), { confirmation: null });
  t.ok((await clinic.marks()).has(patientId));
  t.strictSame(await clinic.tasks(), []);
});

t.test('a yes to a time that has changed since confirms nothing, and staff call', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const moved = await clinic.appointment({ patientId });
  const messageId = await clinic.message({ patientId, guard: clinic.anchor(moved, 7) });
  await clinic.answer({ messageId, text: '1' });
  t.match(await clinic.confirmation(moved), { confirmation: null });
  t.match(await clinic.tasks(), [{ messageId, asks: 'answer', state: 'open' }]);
});

t.test('a yes to an invitation confirms no other booking, and staff call', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const booked = await clinic.appointment({ patientId });
  await clinic.message({ patientId, purpose: 'care' });
  await clinic.answer({ from: phone, text: 'да' });
  t.match(await clinic.confirmation(booked), { confirmation: null });
  t.match(await clinic.tasks(), [{ asks: 'answer', text: /«да»/ }]);
});

t.test(
  'whoever asks to cancel keeps the booking, is still written to, and staff learn of it once',
  async (t) => {
    const clinic = await replyClinic(t);
    const patientId = await clinic.patient();
    const meant = await clinic.appointment({ patientId });
    const messageId = await clinic.message({ patientId, guard: clinic.anchor(meant) });
    await clinic.answer({ from: phone, text: 'ОТМЕНА' });
    await clinic.answer({ from: phone, text: 'cancelar' });
    t.match(await clinic.confirmation(meant), { confirmation: 'declined', status: 'booked' });
    t.equal(await clinic.mayGet(patientId), true);
    const tasks = await clinic.tasks();
    t.equal(tasks.length, 1);
    t.match(tasks, [{ messageId, asks: 'cancel', patient: { source: 'mis', externalId: 'n1' } }]);
  },
);

t.test('free words only show that the patient answered', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const messageId = await clinic.message({ patientId });
  await clinic.answer({ from: phone, text: 'I will stop by at 5 \u0000\ud800' });
  t.equal(await clinic.mayGet(patientId), true);
  t.strictSame(await clinic.tasks(), []);
  t.strictSame(await clinic.stamps(messageId), { replied: true, clicked: false });
  t.match(await clinic.replies(), [
    { patient_id: patientId, message_id: messageId, meaning: 'other' },
  ]);
});

t.test('a shared number stays undecided and goes to staff', async (t) => {
  const clinic = await replyClinic(t);
  const [mother, child] = [await clinic.patient(), await clinic.patient()];
  const messages = [
    await clinic.message({ patientId: mother }),
    await clinic.message({ patientId: child }),
  ];
  const told = await clinic.answer({ from: phone, text: 'да' });
  t.match(told, { meaning: 'confirm', patientId: null, messageId: null });
  for (const id of messages) t.match(await clinic.stamps(id), { replied: false });
  t.match(await clinic.tasks(), [{ patient: null, messageId: null, text: /«да»/ }]);
});

t.test(
  'of those who share a number, the only one written to within three days answered',
  async (t) => {
    const clinic = await replyClinic(t);
    const [mother, child] = [await clinic.patient(), await clinic.patient()];
    await clinic.message({ patientId: mother, at: now.subtract({ hours: 73 }) });
    const messageId = await clinic.message({ patientId: child, at: now.subtract({ hours: 71 }) });
    t.match(await clinic.answer({ from: phone, text: 'ok' }), { patientId: child, messageId });
  },
);

t.test('a message to a child at the mother’s number is answered from there', async (t) => {
  const clinic = await replyClinic(t);
  await clinic.patient();
  const child = await clinic.patient({ address: null });
  const messageId = await clinic.message({ patientId: child });
  t.match(await clinic.answer({ from: phone, text: 'ok' }), { patientId: child, messageId });
});

t.test('the latest of a patient’s messages is the one answered', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const latest = await clinic.message({ patientId, at: now.subtract({ hours: 2 }) });
  await clinic.message({ patientId, at: now.subtract({ hours: 20 }) });
  await clinic.message({ patientId, at: now.subtract({ hours: 1 }), channel: 'whatsapp' });
  t.match(await clinic.answer({ from: phone, text: '?' }), { messageId: latest });
});

t.test('another clinic’s message is nobody’s here', async (t) => {
  const [here, there] = [await replyClinic(t), await replyClinic(t)];
  const messageId = await there.message({ patientId: await there.patient() });
  t.match(await here.answer({ messageId, text: 'stop' }), { patientId: null, messageId: null });
  t.strictSame(await there.optOuts(), []);
});

t.test('the embedded database takes replies alike', async (t) => {
  const clinic = await replyClinic(t, { engine: 'pglite' });
  const patientId = await clinic.patient();
  const meant = await clinic.appointment({ patientId });
  await clinic.message({ patientId, guard: clinic.anchor(meant) });
  await clinic.answer({ from: phone, text: '2' });
  await clinic.answer({ from: phone, text: '2' });
  t.equal((await clinic.tasks()).length, 1);
  await clinic.answer({ from: phone, text: 'стоп' });
  t.equal(await clinic.mayGet(patientId), false);
});
