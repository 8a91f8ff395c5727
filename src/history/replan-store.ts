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

/** Everybody for whom something is planned or waits: what all their plans rest on has changed. */
export async function markReplanOfWaiting(trx: Trx, clinicId: string): Promise<void> {
  await sql`
    insert into replan (clinic_id, patient_id)
    select distinct ${clinicId}::uuid, patient_id from journeys
    where clinic_id = ${clinicId} and next_at is not null`.execute(trx);
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
