import { formatHostId, type HostId } from '../history/host-id.ts';

/** What staff are asked to do, and what came of it. */

export const taskOutcomes = ['reached', 'no-answer', 'wrong-number', 'refused', 'booked'] as const;
export type TaskOutcome = (typeof taskOutcomes)[number];

export const taskWishes = [
  'answer',
  'cancel',
  'other-time',
  'rating',
  'details',
  'callback',
] as const;

/** Why a patient will not come. A clinic may use words of its own; these are the ones that all understand. */
export const lossReasons = [
  'moved',
  'price',
  'dissatisfied',
  'competitor',
  'illness',
  'fear',
  'deceased',
  'other',
] as const;

export interface Task {
  id: string;
  /** Null where it is open who asks. */
  patient: HostId | null;
  ruleId: string | null;
  messageId: string | null;
  /** What the patient asked for; null where a rule asks staff to call. */
  asks: (typeof taskWishes)[number] | null;
  /** The conversation in which a patient waits. */
  threadId: string | null;
  /** Whom to call where no patient is known. */
  phone: string | null;
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
export function shownTask({ patient, dueAt, createdAt, ...task }: Task, readerSource: string) {
  return {
    ...task,
    patientId: patient && formatHostId(patient, readerSource),
    dueAt: dueAt.toString(),
    createdAt: createdAt.toString(),
  };
}
