import type { ChannelName, MessageState } from '../database/tables.ts';
import { formatHostId, type HostId } from '../history/host-id.ts';

/** A conversation with one patient, over whatever channels they write and are written to. */

export const threadStates = ['open', 'closed'] as const;
export type ThreadState = (typeof threadStates)[number];

/** Staff write by these; a task is for themselves. */
export type ThreadChannel = Exclude<ChannelName, 'task'>;

export interface Thread {
  id: string;
  /** Null while it is open who writes. */
  patient: HostId | null;
  address: string | null;
  channel: ThreadChannel | null;
  state: ThreadState;
  waitingSince: Temporal.Instant | null;
  answerBy: Temporal.Instant | null;
  lastAt: Temporal.Instant;
  createdAt: Temporal.Instant;
}

export interface ThreadMessage {
  id: string;
  direction: 'in' | 'out';
  channel: ChannelName;
  at: Temporal.Instant;
  /** Null where nothing was rendered yet. */
  text: string | null;
  /** Where a message of ours stands; null for what the patient wrote. */
  state: MessageState | null;
}

/** As the API shows it to a key of that source. */
export function shownThread(thread: Thread, readerSource: string) {
  const { patient, waitingSince, answerBy, lastAt, createdAt, ...rest } = thread;
  return {
    ...rest,
    patientId: patient && formatHostId(patient, readerSource),
    waitingSince: waitingSince?.toString() ?? null,
    answerBy: answerBy?.toString() ?? null,
    lastAt: lastAt.toString(),
    createdAt: createdAt.toString(),
  };
}
