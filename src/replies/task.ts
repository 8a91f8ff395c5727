import { formatHostId, type HostId } from '../history/host-id.ts';

/** What staff are asked to do, and what came of it. */

export const taskOutcomes = ['reached', 'no-answer', 'wrong-number', 'refused', 'booked'] as const;
export type TaskOutcome = (typeof taskOutcomes)[number];

export interface Task {
  id: string;
  /** Null where it is open who asks. */
  patient: HostId | null;
  ruleId: string | null;
  messageId: string | null;
  /** What the patient asked for; null where a rule asks staff to call. */
  asks: 'answer' | 'cancel' | 'other-time' | 'rating' | 'details' | null;
  state: 'open' | 'done';
  dueAt: Temporal.Instant;
  assignee: string | null;
  text: string;
  outcome: TaskOutcome | null;
  note: string | null;
  lossReason: string | null;
  createdAt: Temporal.Instant;
}

/** As the API shows it to a key of that source. */
export function shownTask(
  { patient, asks: _asks, dueAt, createdAt, ...task }: Task,
  readerSource: string,
) {
  return {
    ...task,
    patientId: patient && formatHostId(patient, readerSource),
    dueAt: dueAt.toString(),
    createdAt: createdAt.toString(),
  };
}
