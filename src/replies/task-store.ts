import type { Trx } from '../database/connect.ts';
import { AppError } from '../errors.ts';
import type { Task } from './task.ts';

export interface TaskPage {
  state?: Task['state'];
  assignee?: string;
  /** `taskKey` of the last row of the page before. */
  afterKey: string | null;
  limit: number;
}

/** By due instant; the API asks for one more than it shows. */
export async function listTasks(_trx: Trx, _clinicId: string, _page: TaskPage): Promise<Task[]> {
  throw new AppError('unavailable', 'Tasks are not kept yet.');
}

export async function findTask(_trx: Trx, _clinicId: string, _id: string): Promise<Task | null> {
  throw new AppError('unavailable', 'Tasks are not kept yet.');
}

/** Where a task stands in the list, for a cursor. */
export function taskKey({ dueAt, id }: Pick<Task, 'dueAt' | 'id'>): string {
  return `${dueAt.epochMilliseconds} ${id}`;
}

export function isTaskKey(key: string): boolean {
  return /^\d{1,15} [0-9a-f-]{36}$/.test(key);
}
