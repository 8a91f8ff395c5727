import type { Trx } from '../database/connect.ts';
import { AppError, notFound } from '../errors.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import { lockPatients } from '../history/lock-store.ts';
import { markReplan } from '../history/replan-store.ts';
import type { Task, TaskOutcome } from './task.ts';
import { assignTask, closeTask, findTask, findTaskPatient } from './task-store.ts';
import { settleThread } from './thread-store.ts';

/** Whose work a task is. @throws AppError `not-found`. */
export async function changeAssignee(
  trx: Trx,
  clinicId: string,
  id: string,
  assignee: string | null,
  now: Temporal.Instant,
): Promise<Task> {
  await assignTask(trx, clinicId, id, assignee, now);
  const task = await findTask(trx, clinicId, id);
  if (task === null) throw notFound('task');
  return task;
}

export interface Settlement {
  outcome: TaskOutcome;
  note?: string;
  lossReason?: string;
}

/**
 * Closes a task and has its journey looked at: an answer stops it where its rule says so, and none lets
 * the ladder go on. The task's message stays delivered, as it was when staff got it; whether the patient was
 * reached stands in the outcome. The same outcome again changes nothing.
 * @throws AppError `not-found`, or `conflict` when it was settled otherwise.
 */
export async function settleTask(
  trx: Trx,
  clinicId: string,
  id: string,
  { outcome, note, lossReason }: Settlement,
  now: Temporal.Instant,
): Promise<Task> {
  if ((await findTask(trx, clinicId, id)) === null) throw notFound('task');
  const patientId = await findTaskPatient(trx, clinicId, id);
  const concerned = patientId === null ? [] : [patientId];
  await lockPatients(trx, clinicId, concerned, 'update');
  const settled = { outcome, note: note ?? null, lossReason: lossReason ?? null };
  const before = await findTask(trx, clinicId, id);
  // Who was reached some other way waits for no answer any more.
  if (before?.threadId && before.state === 'open' && outcome !== 'no-answer') {
    await settleThread(trx, clinicId, { id: before.threadId, patientId }, 'as-it-is', now);
  }
  if (await closeTask(trx, clinicId, id, settled, now)) {
    await markReplan(trx, clinicId, concerned);
    await wakeClinic(trx, clinicId, 'plan', now);
  }
  const task = await findTask(trx, clinicId, id);
  if (task === null) throw notFound('task');
  if (task.outcome !== outcome) {
    throw new AppError('conflict', 'The task was settled with another outcome.');
  }
  return task;
}
