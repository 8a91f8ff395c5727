import t from 'tap';
import { recordTestReceipt, recordTestReply } from '../../src/replies/test-replies.ts';
import { phone, replyClinic } from './reply-clinic.ts';

const absent = '019a2b3c-4d5e-7f60-8123-456789abcdef';

t.test('an integrator answers for a patient, by message or by address', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const messageId = await clinic.message({ patientId });
  const tell = (reply: { messageId?: string; from?: string; text: string }) =>
    recordTestReply(clinic.deps, clinic.id, reply);
  t.match(await tell({ messageId, text: 'ok' }), { meaning: 'confirm', patientId, messageId });
  t.match(await tell({ from: '301 234 5678', text: 'STOP' }), { meaning: 'stop', patientId });
  t.equal(await clinic.mayGet(patientId, 'sms', phone), false);
  await t.rejects(tell({ messageId: absent, text: 'ok' }), { code: 'not-found' });
  await t.rejects(tell({ text: 'ok' }), { code: 'validation' });
  await t.rejects(tell({ from: '12', text: 'ok' }), { code: 'validation' });
});

t.test('an integrator reports for a provider', async (t) => {
  const clinic = await replyClinic(t);
  const messageId = await clinic.message({ patientId: await clinic.patient() });
  const tell = (status: 'read' | 'not_found', id = messageId) =>
    recordTestReceipt(clinic.deps, clinic.id, { messageId: id, status });
  await tell('read');
  const { state } = await clinic.run((trx) =>
    trx
      .selectFrom('messages')
      .select('state')
      .where('clinic_id', '=', clinic.id)
      .where('id', '=', messageId)
      .executeTakeFirstOrThrow(),
  );
  t.equal(state, 'read');
  await t.rejects(tell('not_found'), { code: 'validation' });
  await t.rejects(tell('read', absent), { code: 'not-found' });
});

t.test('nobody plays patient or provider of a live clinic', async (t) => {
  const clinic = await replyClinic(t, { mode: 'live' });
  const messageId = await clinic.message({ patientId: await clinic.patient() });
  const reply = { messageId, text: 'stop' };
  await t.rejects(recordTestReply(clinic.deps, clinic.id, reply), { code: 'unprocessable' });
  const receipt = { messageId, status: 'read' } as const;
  await t.rejects(recordTestReceipt(clinic.deps, clinic.id, receipt), { code: 'unprocessable' });
  t.strictSame(await clinic.optOuts(), []);
});
