import type { DeliveryStatus } from '../channels/channel.ts';
import type { Clock } from '../clock.ts';
import type { Db, Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import { withClinic } from '../database/with-clinic.ts';
import { AppError, invalid, notFound } from '../errors.ts';
import { type Clinic, clinicNow } from '../history/clinic.ts';
import { findClinic } from '../history/clinic-store.ts';
import { readTelecom } from '../history/telecom.ts';
import { recordTestReceipt as tellReceipt } from '../outbox/receipts.ts';
import { uuidv7 } from '../uuid.ts';
import { type RecordedReply, recordReply } from './record-reply.ts';
import { findAnsweredMessage } from './reply-store.ts';

/** In a test clinic the integrator plays patient and provider. */

export interface TestReplyDeps {
  db: Db;
  clock: Clock;
}

/** Either the message it answers, or whence it comes. */
export interface TestReply {
  messageId?: string;
  from?: string;
  text: string;
}

/** Lets a patient of a test clinic answer. @throws AppError `unprocessable` for a live clinic, `not-found`, `validation`. */
export async function recordTestReply(
  { db, clock }: TestReplyDeps,
  clinicId: string,
  reply: TestReply,
): Promise<RecordedReply> {
  return withClinic(db, clinicId, async (trx) => {
    const clinic = await testClinic(trx, clinicId);
    const now = clinicNow(clinic, clock);
    const sender = await senderOf(trx, clinic, reply);
    const incoming = { ...sender, text: reply.text, dedupeKey: uuidv7(now), receivedAt: now };
    return recordReply(trx, clinic, incoming, now);
  });
}

/** Lets a provider of a test clinic report on a message. @throws AppError as `recordTestReply`. */
export async function recordTestReceipt(
  { db, clock }: TestReplyDeps,
  clinicId: string,
  { messageId, status }: { messageId: string; status: DeliveryStatus },
): Promise<void> {
  if (status === 'not_found') {
    throw invalid('/status', 'not-a-receipt', 'That is an answer to a question, not a receipt.');
  }
  await withClinic(db, clinicId, async (trx) => {
    const clinic = await testClinic(trx, clinicId);
    const now = clinicNow(clinic, clock);
    const isKnown = (await findAnsweredMessage(trx, clinicId, messageId)) !== null;
    if (!isKnown) throw notFound('message');
    if (!(await tellReceipt(trx, clinicId, messageId, status, now))) {
      throw new AppError('conflict', 'The message has not left yet.');
    }
  });
}

async function testClinic(trx: Trx, clinicId: string): Promise<Clinic> {
  const clinic = await findClinic(trx, clinicId);
  if (clinic?.mode !== 'test') {
    throw new AppError('unprocessable', 'Only in a test clinic can answers be played.');
  }
  return clinic;
}

interface Sender {
  channel: ChannelName;
  from?: string;
  messageId?: string;
}

async function senderOf(trx: Trx, clinic: Clinic, reply: TestReply): Promise<Sender> {
  if (reply.messageId === undefined) return senderAt(reply.from, clinic);
  const message = await findAnsweredMessage(trx, clinic.id, reply.messageId);
  if (message === null) throw notFound('message');
  const sender = { channel: message.channel, messageId: message.id };
  return reply.from === undefined
    ? sender
    : { ...sender, from: addressOf(reply.from, clinic).address };
}

function senderAt(from: string | undefined, clinic: Clinic): Sender {
  if (from === undefined) {
    throw invalid('/messageId', 'required', 'Either messageId or from is needed.');
  }
  const { address, channel } = addressOf(from, clinic);
  return { channel, from: address };
}

const telegramPrefix = 'telegram:';

function addressOf(from: string, clinic: Clinic): { address: string; channel: ChannelName } {
  const [system, value] = readSystem(from);
  const [point] = readTelecom([{ system, value }], clinic.country).points;
  if (!point) throw invalid('/from', 'not-an-address', 'This is no phone or e-mail address.');
  return { address: point.address, channel: system === 'phone' ? 'sms' : system };
}

function readSystem(from: string): ['email' | 'phone' | 'telegram', string] {
  if (from.includes('@')) return ['email', from];
  if (from.startsWith(telegramPrefix)) return ['telegram', from.slice(telegramPrefix.length)];
  return ['phone', from];
}
