import type { DeliveryStatus } from '../channels/channel.ts';
import type { Clock } from '../clock.ts';
import type { Db } from '../database/connect.ts';
import { AppError } from '../errors.ts';
import type { RecordedReply } from './record-reply.ts';

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

/** Lets a patient of a test clinic answer. @throws AppError `conflict` for a live clinic, `not-found`, `validation`. */
export async function recordTestReply(
  _deps: TestReplyDeps,
  _clinicId: string,
  _reply: TestReply,
): Promise<RecordedReply> {
  throw new AppError('unavailable', 'Replies are not taken yet.');
}

/** Lets a provider of a test clinic report on a message. */
export async function recordTestReceipt(
  _deps: TestReplyDeps,
  _clinicId: string,
  _receipt: { messageId: string; status: DeliveryStatus },
): Promise<void> {
  throw new AppError('unavailable', 'Receipts are not taken yet.');
}
