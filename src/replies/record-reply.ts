import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import { AppError } from '../errors.ts';
import type { Clinic } from '../history/clinic.ts';
import type { Meaning } from './reply.ts';

/** A text that came in from a patient. */
export interface IncomingReply {
  channel: ChannelName;
  /** The normalised address it came from. */
  from?: string;
  /** The message of ours it answers, where the provider tells. */
  messageId?: string;
  text: string;
  /** Unique on the channel: the provider's id of the text. */
  dedupeKey: string;
  receivedAt: Temporal.Instant;
}

export interface RecordedReply {
  /** Null when the same reply was recorded before: nothing is done again. */
  id: string | null;
  meaning: Meaning;
  patientId: string | null;
  messageId: string | null;
}

/** Stores a reply once, with all that follows from it, in the caller's transaction. */
export async function recordReply(
  _trx: Trx,
  _clinic: Clinic,
  _reply: IncomingReply,
  _now: Temporal.Instant,
): Promise<RecordedReply> {
  throw new AppError('unavailable', 'Replies are not taken yet.');
}
