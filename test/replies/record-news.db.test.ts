import t from 'tap';
import { recordNews } from '../../src/replies/record-news.ts';
import { now, phone, replyClinic } from './reply-clinic.ts';

const base = { occurredAt: now, raw: null };

t.test('what people wrote comes with reports in one call, and each counts once', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const messageId = await clinic.message({ patientId });
  const events = [
    { ...base, type: 'status', dedupeKey: 's1', clientRef: messageId, status: 'read' },
    { ...base, type: 'inbound', dedupeKey: 'i1', from: phone, text: 'стоп' },
    { ...base, type: 'inbound', dedupeKey: 'i2', from: '', text: 'hello' },
  ] as const;
  for (const _ of [1, 2]) await recordNews(clinic.db, clinic.clinic, 'sms', events, now);
  t.equal(await clinic.mayGet(patientId), false);
  t.strictSame(
    (await clinic.replies()).map((reply) => [reply.meaning, reply.message_id]),
    [
      ['stop', messageId],
      ['other', null],
    ],
  );
});

t.test('a button answers the message that it stands under', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const meant = await clinic.appointment({ patientId });
  const messageId = await clinic.message({
    patientId,
    channel: 'whatsapp',
    guard: clinic.anchor(meant),
  });
  await clinic.message({ patientId, channel: 'whatsapp', at: now.subtract({ minutes: 1 }) });
  await clinic.run((trx) =>
    trx
      .updateTable('messages')
      .set({ provider_message_id: 'wamid.1' })
      .where('clinic_id', '=', clinic.id)
      .where('id', '=', messageId)
      .execute(),
  );
  const tap = { id: 'confirm', inReplyTo: 'wamid.1' };
  const event = {
    ...base,
    type: 'inbound',
    dedupeKey: 'i1',
    from: phone,
    text: 'Приду',
    action: tap,
  } as const;
  await recordNews(clinic.db, clinic.clinic, 'whatsapp', [event], now);
  t.match(await clinic.confirmation(meant), { confirmation: 'accepted' });
});

t.test('copies of one answer that arrive at once count once', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const meant = await clinic.appointment({ patientId });
  await clinic.message({ patientId, guard: clinic.anchor(meant) });
  const event = { ...base, type: 'inbound', dedupeKey: 'i1', from: phone, text: 'отмена' } as const;
  const copies = Array.from({ length: 6 }, () =>
    recordNews(clinic.db, clinic.clinic, 'sms', [event], now),
  );
  await Promise.all(copies);
  t.equal((await clinic.replies()).length, 1);
  t.equal((await clinic.tasks()).length, 1);
});

t.test('stops and yeses of people who share numbers, all at once, block nobody', async (t) => {
  const clinic = await replyClinic(t);
  const numbers = [phone, '+573012345679', '+573012345670'];
  for (const address of [...numbers, ...numbers]) {
    const patientId = await clinic.patient({ address });
    const meant = await clinic.appointment({ patientId });
    await clinic.message({ patientId, address, guard: clinic.anchor(meant) });
  }
  const words = ['стоп', 'start', 'да', 'отмена', '?'];
  const answers = Array.from({ length: 30 }, (_, at) => {
    const from = numbers[at % numbers.length] ?? phone;
    return clinic.answer({ from, text: words[at % words.length] ?? '', dedupeKey: `k${at}` });
  });
  await Promise.all(answers);
  t.equal((await clinic.replies()).length, 30);
});
