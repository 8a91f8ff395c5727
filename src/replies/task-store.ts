import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { nextAtDesk } from '../history/opening-hours.ts';
import { isUuid, uuidv7 } from '../uuid.ts';
import type { Task, TaskOutcome } from './task.ts';

/** What a patient asked for; a task of a rule asks for a call and has none. */
export type Asked = NonNullable<Task['asks']>;

export interface NewTask {
  patientId: string | null;
  messageId: string | null;
  ruleId: string | null;
  asks: Asked;
  text: string;
  /** Whom to call where no patient is known. */
  phone?: string;
}

/** Opens a task. While one about the same message and wish is open, it is that one, with the new words. */
export async function openTask(
  trx: Trx,
  clinic: Clinic,
  task: NewTask,
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    insert into tasks (clinic_id, id, patient_id, rule_id, message_id, asks, phone, state, due_at, text, created_at, updated_at)
    values (${clinic.id}, ${uuidv7(now)}, ${task.patientId}, ${task.ruleId}, ${task.messageId}, ${task.asks},
      ${task.phone ?? null}, 'open', ${nextAtDesk(clinic, now)}, ${task.text}, ${now}, ${now})
    on conflict (clinic_id, message_id, asks) where state = 'open' and message_id is not null
    do update set text = excluded.text, updated_at = excluded.updated_at`.execute(trx);
}

/** Opens the task to answer in a thread; while one is open it is that one, with the new words. */
export async function openThreadTask(
  trx: Trx,
  clinic: Clinic,
  task: { threadId: string; patientId: string | null; text: string },
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    insert into tasks (clinic_id, id, patient_id, thread_id, asks, state, due_at, text, created_at, updated_at)
    values (${clinic.id}, ${uuidv7(now)}, ${task.patientId}, ${task.threadId}, 'answer', 'open',
      ${nextAtDesk(clinic, now)}, ${task.text}, ${now}, ${now})
    on conflict (clinic_id, thread_id) where state = 'open' and thread_id is not null
    do update set text = excluded.text, updated_at = excluded.updated_at`.execute(trx);
}

/** Who answers in a thread has done its task. */
export async function closeThreadTask(
  trx: Trx,
  clinicId: string,
  threadId: string,
  outcome: TaskOutcome,
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    update tasks set state = 'done', outcome = ${outcome}, updated_at = ${now}
    where clinic_id = ${clinicId} and thread_id = ${threadId} and state = 'open'`.execute(trx);
}

export interface TaskPage {
  state?: Task['state'];
  assignee?: string;
  /** `taskKey` of the last row of the page before. */
  afterKey: string | null;
  limit: number;
}

const columns = sql`
  t.id, t.rule_id as "ruleId", t.message_id as "messageId", t.asks, t.thread_id as "threadId", t.phone, t.state, t.due_at as "dueAt", t.assignee, t.text,
  t.outcome, t.note, t.loss_reason as "lossReason", t.created_at as "createdAt",
  case when p.id is not null then jsonb_build_object('source', p.source, 'externalId', p.external_id) end as patient`;

/** By due instant; the API asks for one more than it shows. */
export async function listTasks(trx: Trx, clinicId: string, page: TaskPage): Promise<Task[]> {
  const after = page.afterKey === null ? null : readKey(page.afterKey);
  const { rows } = await sql<Task>`
    select ${columns} from tasks t left join patients p on p.clinic_id = ${clinicId} and p.id = t.patient_id
    where t.clinic_id = ${clinicId}
      ${page.state === undefined ? sql`` : sql`and t.state = ${page.state}`}
      ${page.assignee === undefined ? sql`` : sql`and t.assignee = ${page.assignee}`}
      ${after === null ? sql`` : sql`and (t.due_at, t.id) > (${after.dueAt}::timestamptz, ${after.id}::uuid)`}
    order by t.due_at, t.id limit ${page.limit}`.execute(trx);
  return rows;
}

export async function findTask(trx: Trx, clinicId: string, id: string): Promise<Task | null> {
  if (!isUuid(id)) return null;
  const { rows } = await sql<Task>`
    select ${columns} from tasks t left join patients p on p.clinic_id = ${clinicId} and p.id = t.patient_id
    where t.clinic_id = ${clinicId} and t.id = ${id}`.execute(trx);
  return rows[0] ?? null;
}

export interface Settled {
  outcome: TaskOutcome;
  note: string | null;
  lossReason: string | null;
}

/** Whose task it is, for the lock that comes first. */
export async function findTaskPatient(
  trx: Trx,
  clinicId: string,
  id: string,
): Promise<string | null> {
  const row = await trx
    .selectFrom('tasks')
    .select('patient_id')
    .where('clinic_id', '=', clinicId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row?.patient_id ?? null;
}

/** @returns false where it was not open. */
export async function closeTask(
  trx: Trx,
  clinicId: string,
  id: string,
  { outcome, note, lossReason }: Settled,
  now: Temporal.Instant,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('tasks')
    .set({ state: 'done', outcome, note, loss_reason: lossReason, updated_at: now })
    .where('clinic_id', '=', clinicId)
    .where('id', '=', id)
    .where('state', '=', 'open')
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Whose work it is; null takes it from whoever had it. */
export async function assignTask(
  trx: Trx,
  clinicId: string,
  id: string,
  assignee: string | null,
  now: Temporal.Instant,
): Promise<void> {
  await trx
    .updateTable('tasks')
    .set({ assignee, updated_at: now })
    .where('clinic_id', '=', clinicId)
    .where('id', '=', id)
    .execute();
}

/** Where a task stands in the list, for a cursor. */
export function taskKey({ dueAt, id }: Pick<Task, 'dueAt' | 'id'>): string {
  return `${dueAt} ${id}`;
}

const keyForm = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z) (\S{36})$/;

function readKey(key: string): { dueAt: string; id: string } | null {
  const [, dueAt, id] = keyForm.exec(key) ?? [];
  if (!dueAt || !id || !isUuid(id) || !isInstant(dueAt)) return null;
  return { dueAt, id };
}

function isInstant(text: string): boolean {
  try {
    return Temporal.Instant.from(text) !== null;
  } catch {
    // A day or an hour that does not exist.
    return false;
  }
}
