import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import {
  type AnsweredMessage,
  findAnsweredMessage,
  findMessagesTo,
  findPatientsAt,
} from './reply-store.ts';

/** Finds who answered, and what. A shared address leaves it open unless only one person was written to lately. */

export interface ReplyMatch {
  /** Whence it came. */
  address: string | null;
  patientId: string | null;
  message: AnsweredMessage | null;
  /** Several persons may have written. */
  isUndecided: boolean;
  /** The only person who has the address. */
  ownerId: string | null;
}

const freshFor = Temporal.Duration.from({ hours: 72 });
/** A text that comes later answers no message of ours any more. */
const answeredWithin = Temporal.Duration.from({ hours: 24 * 30 });
/** More than one leaves it open; how many more does not matter. */
const candidatesMax = 2;

export async function matchReply(
  trx: Trx,
  clinicId: string,
  reply: { channel: ChannelName; from?: string; messageId?: string },
  now: Temporal.Instant,
): Promise<ReplyMatch> {
  const named =
    reply.messageId === undefined
      ? null
      : await findAnsweredMessage(trx, clinicId, reply.messageId);
  const address = reply.from ?? named?.address ?? null;
  const sharers =
    address === null ? [] : await findPatientsAt(trx, clinicId, address, candidatesMax);
  const ownerId = sharers.length === 1 ? (sharers[0] ?? null) : null;
  const found =
    named !== null || address === null
      ? { message: named, patientId: named?.patientId ?? null, isUndecided: false }
      : await matchAddress(trx, clinicId, { channel: reply.channel, address }, sharers, now);
  return { address, ownerId, ...found };
}

async function matchAddress(
  trx: Trx,
  clinicId: string,
  to: { channel: ChannelName; address: string },
  sharers: readonly string[],
  now: Temporal.Instant,
): Promise<Pick<ReplyMatch, 'message' | 'patientId' | 'isUndecided'>> {
  const since = (age: Temporal.Duration) =>
    findMessagesTo(trx, clinicId, { ...to, since: now.subtract(age), limit: candidatesMax });
  const fresh = await since(freshFor);
  const messages = fresh.length > 0 ? fresh : await since(answeredWithin);
  const [message] = messages;
  const written = messages.map((each) => each.patientId);
  const candidates = new Set(fresh.length === 1 ? written : [...written, ...sharers]);
  const [patientId = null] = candidates;
  if (candidates.size > 1) return { message: null, patientId: null, isUndecided: true };
  return { message: message ?? null, patientId, isUndecided: false };
}
