import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName, ConsentChannel, ConsentState, Purpose } from '../database/tables.ts';
import { uuidv7 } from '../uuid.ts';
import { wakeClinic } from './clinic-work-store.ts';
import type { ConsentTerms } from './country-policy.ts';
import { lockAddresses, lockPatients } from './lock-store.ts';
import { tellOptOut } from './opt-out-news-store.ts';
import { markReplan } from './replan-store.ts';

/** What the host said about one purpose on one channel, at one instant. */
export interface ConsentStatement {
  patientId: string;
  purpose: Purpose;
  channel: ConsentChannel;
  state: ConsentState;
  occurredAt: Temporal.Instant | string;
  /** What proves a grant; with it the grant beats the opt-outs made before it. */
  evidence?: string;
}

/**
 * Each purpose and channel keeps the statement that occurred last, whatever the order of arrival; of
 * two at one instant the later arrival holds.
 * @returns the patients for whom something changed.
 */
export async function setConsents(
  trx: Trx,
  clinicId: string,
  statements: readonly ConsentStatement[],
): Promise<string[]> {
  if (statements.length === 0) return [];
  const rows = JSON.stringify(
    statements.map((statement, position) => ({
      patient_id: statement.patientId,
      purpose: statement.purpose,
      channel: statement.channel,
      state: statement.state,
      evidence: statement.evidence,
      occurred_at: String(statement.occurredAt),
      position,
    })),
  );
  const { rows: changed } = await sql<{ patient_id: string }>`
    with stated as (
      select * from json_to_recordset(${rows}::json) as r (
        patient_id uuid, purpose text, channel text, state text, evidence text, occurred_at timestamptz, position int)
    ), latest as (
      select distinct on (patient_id, purpose, channel) patient_id, purpose, channel, state, evidence, occurred_at,
        max(occurred_at) filter (where evidence is not null and state = 'granted')
          over (partition by patient_id, purpose, channel) as evidence_at
      from stated
      order by patient_id, purpose, channel, occurred_at desc, position desc
    )
    insert into consents as c (clinic_id, patient_id, purpose, channel, state, evidence, evidence_at, occurred_at)
    select ${clinicId}::uuid, patient_id, purpose, channel, state, evidence, evidence_at, occurred_at from latest
    on conflict (clinic_id, patient_id, purpose, channel) do update set
      state = case when excluded.occurred_at >= c.occurred_at then excluded.state else c.state end,
      evidence = case when excluded.occurred_at >= c.occurred_at then excluded.evidence else c.evidence end,
      evidence_at = greatest(c.evidence_at, excluded.evidence_at),
      occurred_at = greatest(c.occurred_at, excluded.occurred_at)
    where (excluded.occurred_at >= c.occurred_at
           and (excluded.state, excluded.evidence, excluded.occurred_at) is distinct from (c.state, c.evidence, c.occurred_at))
       or excluded.evidence_at > coalesce(c.evidence_at, '-infinity')
    returning patient_id`.execute(trx);
  return [...new Set(changed.map((row) => row.patient_id))];
}

export type OptOutOrigin = 'api' | 'reply' | 'link' | 'provider' | 'staff';

export interface NewOptOut {
  /** Exactly one of the two: a person on every address, or an address for all who share it. */
  patientId?: string;
  address?: string;
  /** All channels if absent. */
  channel?: ChannelName | ConsentChannel;
  /** Care and marketing if absent; `transactional` stops those too. */
  purpose?: Purpose;
  origin: OptOutOrigin;
}

/** Takes the lock that a sender takes, so that no intent to send commits after this has. */
export async function recordOptOut(
  trx: Trx,
  clinicId: string,
  optOut: NewOptOut,
  now: Temporal.Instant,
): Promise<{ id: string }> {
  if (optOut.patientId !== undefined)
    await lockPatients(trx, clinicId, [optOut.patientId], 'update');
  if (optOut.address !== undefined) await holdAddress(trx, clinicId, optOut.address);
  const id = uuidv7(now);
  await trx
    .insertInto('opt_outs')
    .values({
      clinic_id: clinicId,
      id,
      patient_id: optOut.patientId ?? null,
      address: optOut.address ?? null,
      channel: optOut.channel === 'task' ? 'call' : (optOut.channel ?? null),
      purpose: optOut.purpose ?? null,
      origin: optOut.origin,
      created_at: now,
    })
    .execute();
  await tellOptOut(trx, clinicId, id, now);
  await replanSharers(trx, clinicId, optOut, now);
  return { id };
}

async function holdAddress(trx: Trx, clinicId: string, address: string): Promise<void> {
  await trx
    .insertInto('contact_points')
    .values({ clinic_id: clinicId, address, kind: addressKind(address), country: null })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await lockAddresses(trx, clinicId, [address], 'update');
}

export function addressKind(address: string): 'phone' | 'email' | 'telegram' {
  if (address.startsWith('+')) return 'phone';
  return address.startsWith('telegram:') ? 'telegram' : 'email';
}

async function replanSharers(
  trx: Trx,
  clinicId: string,
  whom: { patientId?: string | null; address?: string | null },
  now: Temporal.Instant,
): Promise<void> {
  const sharers =
    whom.address == null
      ? []
      : await trx
          .selectFrom('patient_contact_points')
          .select('patient_id')
          .where('clinic_id', '=', clinicId)
          .where('address', '=', whom.address)
          .execute();
  const patientIds = sharers.map((row) => row.patient_id);
  if (whom.patientId != null) patientIds.push(whom.patientId);
  await markReplan(trx, clinicId, patientIds);
  await wakeClinic(trx, clinicId, 'plan', now);
}

export interface OptOut {
  id: string;
  patientId: string | null;
  address: string | null;
  channel: string | null;
  purpose: Purpose | null;
  origin: OptOutOrigin;
  createdAt: Temporal.Instant;
  liftedAt: Temporal.Instant | null;
}

export async function findOptOut(trx: Trx, clinicId: string, id: string): Promise<OptOut | null> {
  const row = await trx
    .selectFrom('opt_outs')
    .select([
      'id',
      'patient_id',
      'address',
      'channel',
      'purpose',
      'origin',
      'created_at',
      'lifted_at',
    ])
    .where('clinic_id', '=', clinicId)
    .where('id', '=', id)
    .executeTakeFirst();
  if (!row) return null;
  const { patient_id: patientId, created_at: createdAt, lifted_at: liftedAt, ...rest } = row;
  return { ...rest, patientId, createdAt, liftedAt };
}

const optOutsOfPatientMax = 1_000;

/** The opt-outs that hold now, oldest first; for a person their own, and those of every address of theirs. */
export async function listOptOuts(
  trx: Trx,
  clinicId: string,
  /** Null for all of the clinic's. */
  patientId: string | null,
  page: { afterId: string | null; limit: number } = { afterId: null, limit: optOutsOfPatientMax },
): Promise<OptOut[]> {
  const whose =
    patientId === null
      ? sql``
      : sql`and (patient_id = ${patientId} or address in (
        select address from patient_contact_points p
        where p.clinic_id = ${clinicId} and p.patient_id = ${patientId}))`;
  const after = page.afterId === null ? sql`` : sql`and id > ${page.afterId}`;
  const { rows } = await sql<OptOut>`
    select id, patient_id as "patientId", address, channel, purpose, origin,
           created_at as "createdAt", lifted_at as "liftedAt"
    from opt_outs o
    where clinic_id = ${clinicId} and lifted_at is null ${whose} ${after}
    order by id limit ${page.limit}`.execute(trx);
  return rows;
}

/** @returns false where there is none, or it was lifted before. */
export async function liftOptOut(
  trx: Trx,
  clinicId: string,
  id: string,
  liftedBy: string,
  now: Temporal.Instant,
): Promise<boolean> {
  return liftWhere(trx, clinicId, sql`id = ${id}`, liftedBy, now);
}

/**
 * A START from an address: what a STOP from there had stopped on that channel is allowed again, also
 * where it named no channel.
 */
export async function liftOptOutsOfAddress(
  trx: Trx,
  clinicId: string,
  address: string,
  channel: ChannelName | ConsentChannel,
  now: Temporal.Instant,
): Promise<boolean> {
  return liftWhere(
    trx,
    clinicId,
    sql`address = ${address} and (channel is null or channel = ${channel})`,
    'reply',
    now,
  );
}

async function liftWhere(
  trx: Trx,
  clinicId: string,
  condition: ReturnType<typeof sql>,
  liftedBy: string,
  now: Temporal.Instant,
): Promise<boolean> {
  const { rows } = await sql<{ patient_id: string | null; address: string | null }>`
    update opt_outs set lifted_at = ${now}, lifted_by = ${liftedBy}
    where clinic_id = ${clinicId} and lifted_at is null and ${condition}
    returning patient_id, address`.execute(trx);
  for (const row of rows) {
    await replanSharers(trx, clinicId, { patientId: row.patient_id, address: row.address }, now);
  }
  return rows.length > 0;
}

/** May this purpose go to this person, at this address, by this channel? */
export interface ConsentAsk {
  key: string;
  patientId: string;
  address: string | null;
  channel: ChannelName;
  purpose: Purpose;
}

export type ConsentBlock = 'opted-out' | 'no-consent';

/**
 * Answers all asks in one statement; whom nothing blocks is absent from the answer. A webhook reaches
 * the host, not the patient: only an opt-out blocks it. A task is a call: it heeds consent for `call`,
 * and an opt-out of any address the patient has.
 */
export async function blockedByConsent(
  trx: Trx,
  clinicId: string,
  asks: readonly ConsentAsk[],
  { careNeedsGrant, marketingNeedsGrant }: ConsentTerms,
): Promise<Map<string, ConsentBlock>> {
  if (asks.length === 0) return new Map();
  const { rows } = await sql<{ key: string; block: ConsentBlock }>`
    with asks as (
      select key, patient_id, address, case channel when 'task' then 'call' else channel end as channel, purpose
      from unnest(
        ${asks.map((ask) => ask.key)}::text[], ${asks.map((ask) => ask.patientId)}::uuid[],
        ${asks.map((ask) => ask.address)}::text[], ${asks.map((ask) => ask.channel)}::text[],
        ${asks.map((ask) => ask.purpose)}::text[]) as a (key, patient_id, address, channel, purpose)
    ), reached as (
      select key, patient_id, channel, purpose, address from asks where address is not null
      union
      select a.key, a.patient_id, a.channel, a.purpose, p.address
      from asks a join patient_contact_points p on p.clinic_id = ${clinicId} and p.patient_id = a.patient_id
      where a.channel = 'call'
    ), stopped as materialized (
      -- Found once for all asks; inlined below it would be sought again for each of them.
      select a.key, o.channel, o.purpose, o.created_at
      from asks a join opt_outs o on o.clinic_id = ${clinicId} and o.patient_id = a.patient_id and o.lifted_at is null
      union all
      select r.key, o.channel, o.purpose, o.created_at
      from reached r join opt_outs o on o.clinic_id = ${clinicId} and o.address = r.address and o.lifted_at is null
    ), judged as (
      select a.key,
        exists (
          select from stopped s
          where s.key = a.key and (s.channel is null or s.channel = a.channel)
            and (s.purpose = a.purpose or s.purpose = 'transactional'
              or (s.purpose is null and a.purpose in ('care', 'marketing')))
            and s.created_at >= coalesce(c.evidence_at, '-infinity')
        ) as opted_out,
        a.channel <> 'webhook' and case a.purpose
          when 'marketing' then coalesce(c.state, 'unknown') = 'denied'
            or (${marketingNeedsGrant}::boolean and coalesce(c.state, 'unknown') <> 'granted')
          when 'care' then coalesce(c.state, 'unknown') = 'denied'
            or (${careNeedsGrant}::boolean and coalesce(c.state, 'unknown') <> 'granted')
          else coalesce(c.state, 'unknown') = 'denied'
        end as lacks_consent
      from asks a
      left join consents c on c.clinic_id = ${clinicId} and c.patient_id = a.patient_id
        and c.purpose = a.purpose and c.channel = a.channel
    )
    select key, case when opted_out then 'opted-out' else 'no-consent' end as block
    from judged where opted_out or lacks_consent`.execute(trx);
  return new Map(rows.map((row) => [row.key, row.block]));
}

/** When each purpose and channel was last spoken of, in epoch milliseconds, by `patient purpose channel`. */
export async function consentMarks(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<Map<string, number>> {
  const { rows } = await sql<{ key: string; occurred_ms: number }>`
    select concat_ws(' ', patient_id, purpose, channel) as key,
           (extract(epoch from occurred_at) * 1000)::double precision as occurred_ms
    from consents
    where clinic_id = ${clinicId} and patient_id = any(${[...patientIds]}::uuid[])`.execute(trx);
  return new Map(rows.map((row) => [row.key, row.occurred_ms]));
}
