import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { isUuid, uuidv7 } from '../uuid.ts';
import type { Thread, ThreadChannel, ThreadMessage, ThreadState } from './thread.ts';

/** Conversations as they are kept. What was said stands in `replies` and `messages`; a thread says how far it is. */

export interface Heard {
  /** One of both: an address only while it is open who writes from it. */
  patientId: string | null;
  address: string | null;
  channel: ThreadChannel;
  answerBy: Temporal.Instant;
}

/** Opens the thread of whoever wrote, or opens it again; the first text that has no answer counts. */
export async function hearInThread(
  trx: Trx,
  clinicId: string,
  { patientId, address, channel, answerBy }: Heard,
  now: Temporal.Instant,
): Promise<string> {
  const whose =
    patientId === null
      ? sql`(clinic_id, address) where patient_id is null`
      : sql`(clinic_id, patient_id) where patient_id is not null`;
  const { rows } = await sql<{ id: string }>`
    insert into threads as t (clinic_id, id, patient_id, address, channel, state, waiting_since, answer_by, last_at,
      created_at, updated_at)
    values (${clinicId}, ${uuidv7(now)}, ${patientId}, ${patientId === null ? address : null}, ${channel}, 'open',
      ${now}, ${answerBy}, ${now}, ${now}, ${now})
    on conflict ${whose} do update set state = 'open', channel = excluded.channel,
      waiting_since = coalesce(t.waiting_since, excluded.waiting_since),
      answer_by = least(t.answer_by, excluded.answer_by), last_at = excluded.last_at, updated_at = excluded.updated_at
    returning id`.execute(trx);
  const [thread] = rows;
  if (thread === undefined) throw new Error('A thread was not stored.');
  return thread.id;
}

/** Opens a patient's thread for what staff write. */
export async function openThread(
  trx: Trx,
  clinicId: string,
  patientId: string,
  now: Temporal.Instant,
): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    insert into threads (clinic_id, id, patient_id, state, last_at, created_at, updated_at)
    values (${clinicId}, ${uuidv7(now)}, ${patientId}, 'open', ${now}, ${now}, ${now})
    on conflict (clinic_id, patient_id) where patient_id is not null
    do update set state = 'open', last_at = excluded.last_at, updated_at = excluded.updated_at
    returning id`.execute(trx);
  const [thread] = rows;
  if (thread === undefined) throw new Error('A thread was not stored.');
  return thread.id;
}

/** Nobody waits in it any more, nor in another one of the same person, whom a merge may have given two. */
export async function settleThread(
  trx: Trx,
  clinicId: string,
  { id, patientId }: { id: string; patientId: string | null },
  state: ThreadState | 'as-it-is',
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    update threads set waiting_since = null, answer_by = null, updated_at = ${now}
      ${state === 'as-it-is' ? sql`` : sql`, state = ${state}`}
    where clinic_id = ${clinicId} and (id = ${id} or patient_id in ${aliasesOf(clinicId, patientId)})`.execute(
    trx,
  );
}

/** A patient with all ids that were merged into them. */
function aliasesOf(clinicId: string, patientId: string | null) {
  return sql`(select id from patients where clinic_id = ${clinicId} and (id = ${patientId} or replaced_by = ${patientId}))`;
}

/** Who a patient is through all merges; null for whoever is gone. */
export async function findSurvivor(
  trx: Trx,
  clinicId: string,
  patientId: string,
): Promise<string | null> {
  const { rows } = await sql<{ id: string }>`
    select coalesce(replaced_by, id) as id from patients where clinic_id = ${clinicId} and id = ${patientId}`.execute(
    trx,
  );
  return rows[0]?.id ?? null;
}

export interface ThreadPage {
  state?: ThreadState;
  /** Whether a patient waits in it. */
  waiting?: boolean;
  /** `threadKey` of the last row of the page before. */
  after: readonly string[] | null;
  limit: number;
}

const columns = sql`
  t.id, t.address, t.channel, t.state, t.waiting_since as "waitingSince", t.answer_by as "answerBy", t.last_at as "lastAt",
  t.created_at as "createdAt",
  case when p.id is not null then jsonb_build_object('source', coalesce(s.source, p.source),
    'externalId', coalesce(s.external_id, p.external_id)) end as patient`;

const from = (clinicId: string) => sql`
  threads t left join patients p on p.clinic_id = ${clinicId} and p.id = t.patient_id
  left join patients s on s.clinic_id = ${clinicId} and s.id = p.replaced_by`;

/** The one that something was said in last comes first. */
export async function listThreads(trx: Trx, clinicId: string, page: ThreadPage): Promise<Thread[]> {
  const [lastAt, id] = page.after ?? [];
  const { rows } = await sql<Thread>`
    select ${columns} from ${from(clinicId)}
    where t.clinic_id = ${clinicId}
      ${page.state === undefined ? sql`` : sql`and t.state = ${page.state}`}
      ${page.waiting === undefined ? sql`` : sql`and (t.waiting_since is not null) = ${page.waiting}`}
      ${lastAt === undefined || id === undefined ? sql`` : sql`and (t.last_at, t.id) < (${lastAt}::timestamptz, ${id}::uuid)`}
    order by t.last_at desc, t.id desc limit ${page.limit}`.execute(trx);
  return rows;
}

/** Where a thread stands in the list, for a cursor. */
export function threadKey({ lastAt, id }: Pick<Thread, 'lastAt' | 'id'>): readonly string[] {
  return [lastAt.toString(), id];
}

export async function findThread(trx: Trx, clinicId: string, id: string): Promise<Thread | null> {
  if (!isUuid(id)) return null;
  const { rows } = await sql<Thread>`
    select ${columns} from ${from(clinicId)} where t.clinic_id = ${clinicId} and t.id = ${id}`.execute(
    trx,
  );
  return rows[0] ?? null;
}

/** Whose thread it is: ours, through all merges; null while that is open. */
export async function findThreadPatient(
  trx: Trx,
  clinicId: string,
  id: string,
): Promise<string | null> {
  const { rows } = await sql<{ patientId: string | null }>`
    select coalesce(p.replaced_by, p.id) as "patientId" from threads t
    join patients p on p.clinic_id = ${clinicId} and p.id = t.patient_id
    where t.clinic_id = ${clinicId} and t.id = ${id}`.execute(trx);
  return rows[0]?.patientId ?? null;
}

/** More than anybody reads in one go; older ones stand in the lists of messages. */
export const threadMessagesMax = 200;

/** What was said, in its order: all that the patient wrote, and all that left to them or was written by hand. */
export async function listThreadMessages(
  trx: Trx,
  clinicId: string,
  id: string,
): Promise<ThreadMessage[]> {
  const patientId = await findThreadPatient(trx, clinicId, id);
  const { rows } = await sql<ThreadMessage>`
    select * from (${patientId === null ? unknownWriter(clinicId, id) : ofPatient(clinicId, patientId)}) said
    order by at, id`.execute(trx);
  return rows;
}

function ofPatient(clinicId: string, patientId: string) {
  const aliases = aliasesOf(clinicId, patientId);
  return sql`
    select * from (
      select r.id, 'in' as direction, r.channel, r.received_at as at, r.text, null as state from replies r
      where r.clinic_id = ${clinicId} and r.patient_id in ${aliases}
      union all
      select m.id, 'out', m.channel, coalesce(m.sent_at, m.created_at), coalesce(m.text, m.body ->> 'text'), m.state
      from messages m
      where m.clinic_id = ${clinicId} and m.patient_id in ${aliases} and m.channel <> 'task'
        and (m.sent_at is not null or m.rule_id is null)
        and m.state not in ('suppressed', 'cancelled', 'expired')
    ) all_said order by at desc, id desc limit ${threadMessagesMax}`;
}

function unknownWriter(clinicId: string, id: string) {
  return sql`
    select r.id, 'in' as direction, r.channel, r.received_at as at, r.text, null as state
    from threads t join replies r on r.clinic_id = ${clinicId} and r.address = t.address and r.patient_id is null
    where t.clinic_id = ${clinicId} and t.id = ${id}
    order by r.received_at desc, r.id desc limit ${threadMessagesMax}`;
}

/**
 * Says who wrote from a shared address: what they wrote is theirs, and goes on in the thread that they may have.
 * @returns the thread in which it goes on.
 */
export async function giveThread(
  trx: Trx,
  clinicId: string,
  id: string,
  patientId: string,
  now: Temporal.Instant,
): Promise<string> {
  await sql`
    update replies r set patient_id = ${patientId}
    from threads t
    where t.clinic_id = ${clinicId} and t.id = ${id} and t.patient_id is null
      and r.clinic_id = ${clinicId} and r.address = t.address and r.patient_id is null`.execute(
    trx,
  );
  const { rows: known } = await sql<{ id: string }>`
    select id from threads where clinic_id = ${clinicId} and patient_id = ${patientId} for update`.execute(
    trx,
  );
  const [own] = known;
  if (own === undefined) {
    await sql`
      update threads set patient_id = ${patientId}, address = null, updated_at = ${now}
      where clinic_id = ${clinicId} and id = ${id} and patient_id is null`.execute(trx);
    await sql`
      update tasks set patient_id = ${patientId}, updated_at = ${now}
      where clinic_id = ${clinicId} and thread_id = ${id} and patient_id is null`.execute(trx);
    return id;
  }
  await sql`
    update threads t set state = case when u.state = 'open' then 'open' else t.state end,
      channel = coalesce(u.channel, t.channel), waiting_since = least(t.waiting_since, u.waiting_since),
      answer_by = least(t.answer_by, u.answer_by), last_at = greatest(t.last_at, u.last_at), updated_at = ${now}
    from threads u
    where t.clinic_id = ${clinicId} and t.id = ${own.id} and u.clinic_id = ${clinicId} and u.id = ${id}`.execute(
    trx,
  );
  // A task of the thread that was decided goes with it, unless one of the patient's own thread is open already.
  await sql`
    update tasks set patient_id = ${patientId}, updated_at = ${now},
      thread_id = case when exists (select from tasks other where other.clinic_id = ${clinicId}
        and other.thread_id = ${own.id} and other.state = 'open') then null else ${own.id}::uuid end
    where clinic_id = ${clinicId} and thread_id = ${id}`.execute(trx);
  await sql`delete from threads where clinic_id = ${clinicId} and id = ${id}`.execute(trx);
  return own.id;
}

/** Threads in which somebody has waited until now. */
export async function findOverdueThreads(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from threads where clinic_id = ${clinicId} and answer_by <= ${now}
    order by answer_by, id limit ${limit}`.execute(trx);
  return rows.map((row) => row.id);
}

/** @returns false where it was answered, or somebody else took it. */
export async function takeOverdueThread(
  trx: Trx,
  clinicId: string,
  id: string,
  now: Temporal.Instant,
): Promise<boolean> {
  const { rows } = await sql`
    update threads set answer_by = null, updated_at = ${now}
    where clinic_id = ${clinicId} and id = ${id} and answer_by <= ${now} returning id`.execute(trx);
  return rows.length > 0;
}
