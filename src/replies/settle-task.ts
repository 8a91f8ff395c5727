import type { Trx } from '../database/connect.ts';
import { AppError } from '../errors.ts';
import type { Task, TaskOutcome } from './task.ts';

export interface Settlement {
  outcome: TaskOutcome;
  note?: string;
  lossReason?: string;
}

/**
 * Closes a task with what follows for its message and journey. The same outcome again is harmless.
 * @throws AppError `not-found`, or `conflict` when it was settled otherwise.
 */
export async function settleTask(
  _trx: Trx,
  _clinicId: string,
  _id: string,
  _settlement: Settlement,
  _now: Temporal.Instant,
): Promise<Task> {
  throw new AppError('unavailable', 'Tasks are not kept yet.');
}
