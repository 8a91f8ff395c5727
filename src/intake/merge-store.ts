import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { contentColumns, contentOf } from './person-store.ts';

/** What moves when two ids turn out to be one person. */

export interface MergedPair {
  retired: string;
  survivor: string;
  mergedMs: number;
}

/** Also what was merged into a retired id before now points at the survivor. */
export async function pointAtSurvivors(
  trx: Trx,
  clinicId: string,
  pairs: readonly MergedPair[],
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    update patients p
    set replaced_by = r.survivor, updated_at = ${now},
        merged_at = greatest(p.merged_at, to_timestamp(r.merged_ms / 1000.0))
    from ${pairRows(pairs)}
    where p.clinic_id = ${clinicId} and (p.id = r.retired or p.replaced_by = r.retired)`.execute(
    trx,
  );
}

const movedTables = [
  'visits',
  'appointments',
  'treatments',
  'payments',
  'outside_contacts',
  'opt_outs',
] as const;

export async function moveToSurvivors(
  trx: Trx,
  clinicId: string,
  pairs: readonly MergedPair[],
): Promise<void> {
  for (const table of movedTables) {
    await sql`
      update ${sql.table(table)} o set patient_id = r.survivor
      from ${pairRows(pairs)}
      where o.clinic_id = ${clinicId} and o.patient_id = r.retired`.execute(trx);
  }
  await moveConsents(trx, clinicId, pairs);
  await moveChats(trx, clinicId, pairs);
}

/** A chat that was linked goes on being theirs. */
async function moveChats(trx: Trx, clinicId: string, pairs: readonly MergedPair[]): Promise<void> {
  await sql`
    with moved as (
      update patients s set linked_chat = a.linked_chat, telegram_address = coalesce(s.telegram_address, a.linked_chat)
      from ${pairRows(pairs)}, patients a
      where a.clinic_id = ${clinicId} and a.id = r.retired and a.linked_chat is not null
        and s.clinic_id = ${clinicId} and s.id = r.survivor and s.linked_chat is null and s.erased_at is null
      returning s.id, s.linked_chat
    )
    insert into patient_contact_points (clinic_id, patient_id, address)
    select ${clinicId}::uuid, id, linked_chat from moved
    on conflict do nothing`.execute(trx);
}

/** Of two statements about one purpose and channel the one that occurred last holds. */
async function moveConsents(
  trx: Trx,
  clinicId: string,
  pairs: readonly MergedPair[],
): Promise<void> {
  await sql`
    with moved as (
      delete from consents c using ${pairRows(pairs)}
      where c.clinic_id = ${clinicId} and c.patient_id = r.retired
      returning r.survivor, c.purpose, c.channel, c.state, c.evidence, c.evidence_at, c.occurred_at
    ), latest as (
      select distinct on (survivor, purpose, channel) survivor, purpose, channel, state, evidence, occurred_at,
        max(evidence_at) over (partition by survivor, purpose, channel) as evidence_at
      from moved order by survivor, purpose, channel, occurred_at desc, state
    )
    insert into consents as c (clinic_id, patient_id, purpose, channel, state, evidence, evidence_at, occurred_at)
    select ${clinicId}::uuid, survivor, purpose, channel, state, evidence, evidence_at, occurred_at from latest
    on conflict (clinic_id, patient_id, purpose, channel) do update set
      state = case when excluded.occurred_at > c.occurred_at then excluded.state else c.state end,
      evidence = case when excluded.occurred_at > c.occurred_at then excluded.evidence else c.evidence end,
      evidence_at = greatest(c.evidence_at, excluded.evidence_at),
      occurred_at = greatest(c.occurred_at, excluded.occurred_at)`.execute(trx);
}

const copied = sql.raw(
  [...contentColumns, 'content_hash']
    .map((column) => `${column} = ${contentOf('a', 's', column)}`)
    .join(', '),
);

/**
 * Gives survivors what the host said about a retired id: for good where it said so after the merge, and
 * until the host tells about the survivor where it never has.
 */
export async function lendContent(
  trx: Trx,
  clinicId: string,
  retired: readonly string[],
  now: Temporal.Instant,
): Promise<string[]> {
  if (retired.length === 0) return [];
  const { rows } = await sql<{ id: string }>`
    with lender as (
      select distinct on (a.replaced_by) a.*, a.occurred_at > a.merged_at and a.active as is_later
      from patients a join patients s on s.clinic_id = ${clinicId} and s.id = a.replaced_by
      where a.clinic_id = ${clinicId}
        and (a.id = any(${[...retired]}::uuid[]) or a.replaced_by in (
          select x.replaced_by from patients x where x.clinic_id = ${clinicId} and x.id = any(${[...retired]}::uuid[])))
        and a.is_known and a.erased_at is null and s.erased_at is null
        and (s.occurred_at is null
          or (a.occurred_at > a.merged_at and a.active and a.deleted_at is null and a.occurred_at > s.occurred_at))
      order by a.replaced_by, is_later desc, a.occurred_at desc, a.id
    )
    update patients s set ${copied}, is_known = true, updated_at = ${now},
      deleted_at = case when a.is_later then null else s.deleted_at end,
      occurred_at = case when a.is_later then a.occurred_at end,
      version = case when a.is_later then a.version end
    from lender a
    where s.clinic_id = ${clinicId} and s.id = a.replaced_by
    returning s.id`.execute(trx);
  const survivors = rows.map((row) => row.id);
  await copyContactPoints(trx, clinicId, survivors);
  return survivors;
}

async function copyContactPoints(
  trx: Trx,
  clinicId: string,
  survivors: readonly string[],
): Promise<void> {
  if (survivors.length === 0) return;
  await sql`
    delete from patient_contact_points where clinic_id = ${clinicId} and patient_id = any(${[...survivors]}::uuid[])`.execute(
    trx,
  );
  await sql`
    insert into patient_contact_points (clinic_id, patient_id, address)
    select distinct ${clinicId}::uuid, p.id, entry ->> 'address'
    from patients p cross join jsonb_array_elements(p.telecom) entry
    where p.clinic_id = ${clinicId} and p.id = any(${[...survivors]}::uuid[])
      and entry ->> 'address' is not null and coalesce(entry ->> 'use', '') <> 'old'
    union
    select ${clinicId}::uuid, id, linked_chat from patients
    where clinic_id = ${clinicId} and id = any(${[...survivors]}::uuid[]) and linked_chat is not null`.execute(
    trx,
  );
}

/** Whoever was merged away is reached, if at all, as the survivor. */
export async function dropContactPoints(
  trx: Trx,
  clinicId: string,
  retired: readonly string[],
): Promise<void> {
  if (retired.length === 0) return;
  if (retired.length === 0) return;
  await sql`
    delete from patient_contact_points where clinic_id = ${clinicId} and patient_id = any(${[...retired]}::uuid[])`.execute(
    trx,
  );
}

function pairRows(pairs: readonly MergedPair[]) {
  const rows = pairs.map(({ retired, survivor, mergedMs }) => ({
    retired,
    survivor,
    merged_ms: mergedMs,
  }));
  return sql`json_to_recordset(${JSON.stringify(rows)}::json) as r (retired uuid, survivor uuid, merged_ms double precision)`;
}
