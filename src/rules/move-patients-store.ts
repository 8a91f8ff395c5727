import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { withdrawMessages } from '../outbox/message-store.ts';
import { lendArms } from './holdout-store.ts';
import { moveRecalls } from './recall-store.ts';

/** What a merge does to journeys: the survivor takes over those of the retired. */

export interface MergedPair {
  retired: string;
  survivor: string;
}

/** Follows merges and moves what they left behind. @returns the patients that are still themselves. */
export async function moveToSurvivors(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
  now: Temporal.Instant,
): Promise<string[]> {
  const pairs = await findMerged(trx, clinicId, patientIds);
  if (pairs.length === 0) return [...patientIds];
  await movePatients(trx, clinicId, pairs, now);
  await lendArms(trx, clinicId, pairs);
  await moveNamed(trx, clinicId, pairs);
  await moveRecalls(trx, clinicId, pairs);
  const survivors = new Map(pairs.map(({ retired, survivor }) => [retired, survivor]));
  return [...new Set(patientIds.map((id) => survivors.get(id) ?? id))].sort();
}

/** A chain of merges is never longer; cycles are refused at intake. */
const mergesMax = 50;

async function findMerged(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<MergedPair[]> {
  const { rows } = await sql<MergedPair>`
    with recursive chain as (
      select id as retired, replaced_by as survivor, 1 as depth from patients
      where clinic_id = ${clinicId} and replaced_by is not null and (
        id = any(${[...patientIds]}::uuid[])
        -- The survivor's mark alone is enough, while there is something left to move.
        or (replaced_by = any(${[...patientIds]}::uuid[]) and (
          exists (select from journeys j where j.clinic_id = ${clinicId} and j.patient_id = patients.id)
          or exists (select from messages m where m.clinic_id = ${clinicId} and m.patient_id = patients.id)
          or exists (select from recall_overrides o where o.clinic_id = ${clinicId} and o.patient_id = patients.id))))
      union all
      select c.retired, p.replaced_by, c.depth + 1 from chain c
      join patients p on p.clinic_id = ${clinicId} and p.id = c.survivor
      where p.replaced_by is not null and c.depth < ${mergesMax}
    )
    select distinct on (retired) retired, survivor from chain order by retired, depth desc`.execute(
    trx,
  );
  return rows;
}

/** Who was named under either id has had that contact. */
async function moveNamed(trx: Trx, clinicId: string, pairs: readonly MergedPair[]): Promise<void> {
  await sql`
    with merged as (
      select retired, survivor from jsonb_to_recordset(${JSON.stringify(pairs)}::jsonb) as m (retired uuid, survivor uuid)
    ), moved as (
      delete from named_days n using merged m where n.clinic_id = ${clinicId} and n.patient_id = m.retired
      returning m.survivor, n.message_id, n.purpose, n.local_day
    )
    insert into named_days (clinic_id, patient_id, message_id, purpose, local_day)
    select ${clinicId}::uuid, survivor, message_id, purpose, local_day from moved order by survivor, message_id
    on conflict do nothing`.execute(trx);
}

/**
 * Gives the survivor the journeys and messages of the retired. Of two journeys of one occurrence the
 * furthest advanced stays; the other ends as `merged`, under a key of its own.
 */
export async function movePatients(
  trx: Trx,
  clinicId: string,
  pairs: readonly MergedPair[],
  now: Temporal.Instant,
): Promise<void> {
  if (pairs.length === 0) return;
  const merged = JSON.stringify(pairs);
  // The loser's key names whom it belonged to: an occurrence stays unique for ever.
  const { rows: losers } = await sql<{ id: string }>`
    with merged as (
      select retired, survivor from jsonb_to_recordset(${merged}::jsonb) as m (retired uuid, survivor uuid)
    ), own as (
      select j.*, coalesce(m.survivor, j.patient_id) as owner,
        case when exists (select from messages s where s.clinic_id = ${clinicId} and s.journey_id = j.id and s.attempt_no > 0) then 2
             when j.state in ('planned', 'active', 'held') then 1 else 0 end as progress
      from journeys j left join merged m on m.retired = j.patient_id
      where j.clinic_id = ${clinicId} and j.patient_id in (select retired from merged union select survivor from merged)
        and j.occurrence not like '%#merged:%'
      for no key update of j
    ), ranked as (
      select id, row_number() over (
        partition by rule_id, owner, occurrence order by progress desc, step desc, created_at, id) as place
      from own
    )
    update journeys j set state = 'suppressed', reason = 'merged', next_at = null, updated_at = ${now},
      occurrence = j.occurrence || '#merged:' || j.id
    from ranked r where j.clinic_id = ${clinicId} and j.id = r.id and r.place > 1
    returning j.id`.execute(trx);
  await withdrawLosers(
    trx,
    clinicId,
    losers.map(({ id }) => id),
    now,
  );
  await sql`
    update journeys j set patient_id = m.survivor, updated_at = ${now}
    from jsonb_to_recordset(${merged}::jsonb) as m (retired uuid, survivor uuid)
    where j.clinic_id = ${clinicId} and j.patient_id = m.retired`.execute(trx);
  await sql`
    update messages s set patient_id = m.survivor, updated_at = ${now}
    from jsonb_to_recordset(${merged}::jsonb) as m (retired uuid, survivor uuid)
    where s.clinic_id = ${clinicId} and s.patient_id = m.retired`.execute(trx);
}

async function withdrawLosers(
  trx: Trx,
  clinicId: string,
  journeyIds: readonly string[],
  now: Temporal.Instant,
): Promise<void> {
  await withdrawMessages(
    trx,
    clinicId,
    { journeyIds },
    { state: 'suppressed', reason: 'merged' },
    now,
  );
}
