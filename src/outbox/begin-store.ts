import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';
import type { MessageState, Purpose } from '../database/tables.ts';
import { type Claim, leaseMs } from './claim-store.ts';

/** What the transaction that commits the intent to send writes. */

/** Takes from the clinic's messages of a day. @returns how many of those wanted are granted. */
export async function takeFromDay(
  trx: Trx,
  clinicId: string,
  day: string,
  wanted: number,
  most: number,
): Promise<number> {
  await sql`
    insert into dispatch_days (clinic_id, local_day, messages) values (${clinicId}, ${day}, 0)
    on conflict do nothing`.execute(trx);
  const { rows } = await sql<{ granted: number }>`
    with before as (
      select messages from dispatch_days
      where clinic_id = ${clinicId} and local_day = ${day} for no key update
    )
    update dispatch_days d set messages = d.messages + greatest(0, least(${wanted}, ${most} - before.messages))
    from before where d.clinic_id = ${clinicId} and d.local_day = ${day}
    returning d.messages - before.messages as granted`.execute(trx);
  return rows[0]?.granted ?? 0;
}

export interface Contact {
  id: string;
  address: string;
  purpose: Purpose;
}

/**
 * Books each message as the day's one contact of its purpose with an address.
 * @returns the ids that got it, now or at an earlier attempt.
 */
export async function bookContacts(
  trx: Trx,
  clinicId: string,
  day: string,
  contacts: readonly Contact[],
): Promise<Set<string>> {
  if (contacts.length === 0) return new Set();
  const { rows } = await sql<{ message_id: string }>`
    with first as (
      select distinct on (address, purpose) id, address, purpose
      from jsonb_to_recordset(${JSON.stringify(contacts)}::jsonb) as c (id uuid, address text, purpose text)
      order by address, purpose, id
    )
    insert into contact_days as d (clinic_id, address, purpose, local_day, message_id)
    select ${clinicId}, address, purpose, ${day}::date, id from first order by address, purpose
    on conflict (clinic_id, address, purpose, local_day) do update set message_id = excluded.message_id
      where d.message_id = excluded.message_id
    returning message_id`.execute(trx);
  return new Set(rows.map((row) => row.message_id));
}

/** A message as it leaves. */
export interface Leaving extends Claim {
  patientId: string;
  address: string | null;
  language: string | null;
  provider: string;
  clientRef: string;
  subject: string | null;
  text: string;
  encoding: string | null;
  segments: number;
  costMicros: number | null;
  costCurrency: string | null;
}

const leavingColumns: ColumnTypes<Leaving> = {
  id: 'uuid',
  leaseEpoch: 'int',
  patientId: 'uuid',
  address: 'text',
  language: 'text',
  provider: 'text',
  clientRef: 'text',
  subject: 'text',
  text: 'text',
  encoding: 'text',
  segments: 'int',
  costMicros: 'bigint',
  costCurrency: 'text',
};

export interface Attempt {
  attemptNo: number;
  leaseEpoch: number;
}

/**
 * S2: commits the intent to send, with its attempt, for messages that this transaction holds. Only what is
 * returned may be sent, and only after the commit.
 */
export async function commitSending(
  trx: Trx,
  clinicId: string,
  leaving: readonly Leaving[],
  now: Temporal.Instant,
): Promise<Map<string, Attempt>> {
  if (leaving.length === 0) return new Map();
  const { rows } = await sql<Attempt & { id: string }>`
    with begun as (
      update messages m set state = 'sending', reason = null, next_at = null, attempt_no = m.attempt_no + 1,
        lease_epoch = m.lease_epoch + 1, lease_until = clock_timestamp() + ${`${leaseMs} ms`}::interval,
        patient_id = l."patientId", address = l.address, language = l.language, provider = l.provider,
        client_ref = l."clientRef", subject = l.subject, text = l.text, encoding = l.encoding,
        segments = l.segments, cost_micros = l."costMicros", cost_currency = l."costCurrency", updated_at = ${now}
      from ${rowSet(leaving, leavingColumns, 'l')}
      where m.clinic_id = ${clinicId} and m.id = any(${leaving.map(({ id }) => id)}::uuid[]) and m.id = l.id
        and m.state in ('scheduled', 'retry', 'held') and m.lease_epoch = l."leaseEpoch" and not m.cancel_requested
      returning m.id, m.attempt_no, m.lease_epoch, m.provider, m.client_ref
    ), attempted as (
      insert into attempts (clinic_id, message_id, attempt_no, provider, client_ref, started_at)
      select ${clinicId}, id, attempt_no, provider, client_ref, ${now} from begun
    )
    select id, attempt_no as "attemptNo", lease_epoch as "leaseEpoch" from begun`.execute(trx);
  return new Map(rows.map(({ id, ...attempt }) => [id, attempt]));
}

export interface LocalDelivery extends Leaving {
  /** With a task: what the staff are asked to do, and from when. */
  task: { id: string; ruleId: string | null; dueAt: Temporal.Instant } | null;
}

/** Delivers by rows of our own: the intent, the attempt and the delivery are one. */
export async function commitLocal(
  trx: Trx,
  clinicId: string,
  leaving: readonly LocalDelivery[],
  now: Temporal.Instant,
): Promise<Set<string>> {
  if (leaving.length === 0) return new Set();
  const { rows } = await sql<{ id: string }>`
    with delivered as (
      update messages m set state = 'delivered', reason = null, next_at = null, lease_until = null,
        attempt_no = m.attempt_no + 1, patient_id = l."patientId", language = l.language, provider = l.provider,
        client_ref = l."clientRef", subject = l.subject, text = l.text, segments = l.segments,
        cost_micros = l."costMicros", cost_currency = l."costCurrency",
        sent_at = ${now}, delivered_at = ${now}, settled_at = ${now}, updated_at = ${now}
      from ${rowSet(leaving, leavingColumns, 'l')}
      where m.clinic_id = ${clinicId} and m.id = any(${leaving.map(({ id }) => id)}::uuid[]) and m.id = l.id
        and m.state in ('scheduled', 'retry', 'held') and m.lease_epoch = l."leaseEpoch"
      returning m.id, m.attempt_no, m.provider, m.client_ref
    )
    insert into attempts (clinic_id, message_id, attempt_no, provider, client_ref, started_at, finished_at, outcome)
    select ${clinicId}, id, attempt_no, provider, client_ref, ${now}, ${now}, 'accepted' from delivered
    returning message_id as id`.execute(trx);
  const ids = new Set(rows.map((row) => row.id));
  await insertTasks(
    trx,
    clinicId,
    leaving.filter((message) => ids.has(message.id)),
    now,
  );
  return ids;
}

async function insertTasks(
  trx: Trx,
  clinicId: string,
  leaving: readonly LocalDelivery[],
  now: Temporal.Instant,
): Promise<void> {
  const rows = leaving.flatMap(({ task, ...message }) =>
    task === null
      ? []
      : [
          {
            clinic_id: clinicId,
            id: task.id,
            patient_id: message.patientId,
            rule_id: task.ruleId,
            message_id: message.id,
            state: 'open' as const,
            due_at: task.dueAt,
            text: message.text,
            created_at: now,
            updated_at: now,
          },
        ],
  );
  if (rows.length > 0) await trx.insertInto('tasks').values(rows).execute();
}

export interface Stayed extends Claim {
  patientId: string;
  state: Extract<MessageState, 'held' | 'suppressed' | 'cancelled' | 'expired'>;
  reason: string;
  nextAt: Temporal.Instant | null;
}

const stayedColumns: ColumnTypes<Stayed> = {
  id: 'uuid',
  leaseEpoch: 'int',
  patientId: 'uuid',
  state: 'text',
  reason: 'text',
  nextAt: 'text',
};

/** Ends or holds what may not leave, of messages that this transaction holds or has stored. */
export async function commitStayed(
  trx: Trx,
  clinicId: string,
  stayed: readonly Stayed[],
  now: Temporal.Instant,
): Promise<void> {
  if (stayed.length === 0) return;
  await sql`
    update messages m set state = s.state, reason = s.reason, next_at = s."nextAt"::timestamptz,
      patient_id = s."patientId",
      settled_at = case when s.state = 'held' then null else ${now}::timestamptz end, updated_at = ${now}
    from ${rowSet(stayed, stayedColumns, 's')}
    where m.clinic_id = ${clinicId} and m.id = any(${stayed.map(({ id }) => id)}::uuid[]) and m.id = s.id
      and m.state in ('scheduled', 'retry', 'held') and m.lease_epoch = s."leaseEpoch"`.execute(
    trx,
  );
}
