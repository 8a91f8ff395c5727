import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

/** Why an open journey is no longer due. */
export type LostReason = 'visited' | 'audience' | 'anchor';

/**
 * Tells a visit that came since from an anchor that is gone or another; where the anchor is as it was,
 * it is the audience that the patient left.
 */
export async function findLostReasons(
  trx: Trx,
  clinicId: string,
  journeyIds: readonly string[],
): Promise<Map<string, LostReason>> {
  if (journeyIds.length === 0) return new Map();
  const { rows } = await sql<{ id: string; reason: LostReason }>`
    select j.id, case j.anchor ->> 'kind'
      when 'visit' then case
        when not exists (
          select from attendances a
          where a.clinic_id = ${clinicId} and a.patient_id = j.patient_id
            and a.anchor_at = (j.anchor ->> 'at')::timestamptz
            and j.occurrence in (a.occurrence, 'inactive:' || a.occurrence)) then 'anchor'
        when exists (
          select from attendances a
          where a.clinic_id = ${clinicId} and a.patient_id = j.patient_id
            and a.anchor_at > (j.anchor ->> 'at')::timestamptz) then 'visited'
        else 'audience' end
      when 'appointment' then case
        when exists (
          select from appointments a
          where a.clinic_id = ${clinicId} and a.source = j.anchor ->> 'source' and a.external_id = j.anchor ->> 'id'
            and a.patient_id = j.patient_id and a.deleted_at is null
            and a.start_revision = (j.anchor ->> 'revision')::int and a.status in ('pending', 'booked')) then 'audience'
        else 'anchor' end
      when 'birthday' then case
        when exists (
          select from patients p
          where p.clinic_id = ${clinicId} and p.id = j.patient_id and p.birth_date = (j.anchor ->> 'at')::date) then 'audience'
        else 'anchor' end
      when 'event' then case
        when j.anchor ? 'delayed' and not exists (
          select from appointments a
          where a.clinic_id = ${clinicId} and a.source = j.anchor -> 'delayed' ->> 'source'
            and a.external_id = j.anchor -> 'delayed' ->> 'id' and a.patient_id = j.patient_id and a.deleted_at is null
            and a.start_revision = (j.anchor -> 'delayed' ->> 'revision')::int
            and a.status in ('proposed', 'pending', 'booked')) then 'anchor'
        else 'audience' end
      when 'treatment' then case
        when exists (
          select from treatments t
          where t.clinic_id = ${clinicId} and t.source = j.anchor ->> 'source' and t.external_id = j.anchor ->> 'id'
            and t.patient_id = j.patient_id and t.next_step = j.anchor ->> 'step') then 'audience'
        else 'anchor' end
      when 'data-check' then case
        when exists (
          select from replies r
          where r.clinic_id = ${clinicId} and r.patient_id = j.patient_id and r.dedupe_key like 'link:%:verify'
            and r.received_at > (j.anchor ->> 'at')::timestamptz) then 'anchor'
        else 'audience' end
      else 'audience' end as reason
    from journeys j
    where j.clinic_id = ${clinicId} and j.id = any(${[...journeyIds]}::uuid[])`.execute(trx);
  return new Map(rows.map((row) => [row.id, row.reason]));
}
