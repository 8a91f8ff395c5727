import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

/** Notes that these patients' plans may have changed, in the transaction that changed them. */
export async function markReplan(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<void> {
  if (patientIds.length === 0) return;
  await sql`
    insert into replan (clinic_id, patient_id)
    select ${clinicId}, patient_id from unnest(${[...patientIds]}::uuid[]) as marked (patient_id)`.execute(
    trx,
  );
}

/**
 * Everybody for whom something is planned or waits: what all their plans rest on has changed. Rules are planned
 * from now on once more, since what fell due beyond their horizon may fall due within it. The rules are locked
 * first, as by planners.
 */
export async function markReplanOfWaiting(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    update rules set planned_through = ${now}
    where clinic_id = ${clinicId} and id in (
      select id from rules where clinic_id = ${clinicId} and planned_through > ${now} order by id for no key update)`.execute(
    trx,
  );
  await sql`
    insert into replan (clinic_id, patient_id)
    select distinct ${clinicId}::uuid, patient_id from journeys
    where clinic_id = ${clinicId} and next_at is not null`.execute(trx);
}

/** Everybody of whom a message is held for one of these reasons, the host's own messages too. */
export async function markReplanOfHeld(
  trx: Trx,
  clinicId: string,
  reasons: readonly string[],
): Promise<void> {
  await sql`
    insert into replan (clinic_id, patient_id)
    select distinct ${clinicId}::uuid, patient_id from messages
    where clinic_id = ${clinicId} and state = 'held' and reason = any(${[...reasons]}::text[])`.execute(
    trx,
  );
}

/**
 * Takes marks by deleting them: whatever commits later leaves a mark of its own, so no change is missed.
 * @returns the distinct patients, at most `limit` marks' worth.
 */
export async function takeReplanMarks(
  trx: Trx,
  clinicId: string,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ patient_id: string }>`
    with taken as (
      delete from replan where clinic_id = ${clinicId} and mark in (
        select mark from replan where clinic_id = ${clinicId} order by mark limit ${limit} for update skip locked)
      returning patient_id
    )
    select distinct patient_id from taken order by patient_id`.execute(trx);
  return rows.map((row) => row.patient_id);
}
