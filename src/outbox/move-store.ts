import { type RawBuilder, sql } from 'kysely';

/** How near to each other a cancellation and a booking are one act: the patient moved the appointment. */
export const moveMinutes = 10;

/**
 * Whether the cancelled appointment of that alias was moved rather than called off: its patient booked another
 * within ten minutes of it, before or after, or the host says that another took its place.
 */
export function wasMoved(clinicId: string, alias: string): RawBuilder<boolean> {
  const a = sql.ref(alias);
  return sql<boolean>`exists (
    select from appointments n
    where n.clinic_id = ${clinicId} and n.patient_id = ${a}.patient_id and n.deleted_at is null
      and (n.source, n.external_id) <> (${a}.source, ${a}.external_id)
      and n.status in ('proposed', 'pending', 'booked', 'arrived', 'checked-in', 'fulfilled')
      and ((n.source = ${a}.source and n.rescheduled_from = ${a}.external_id)
        or (n.booked_at >= ${a}.occurred_at - make_interval(mins => ${sql.lit(moveMinutes)})
          and n.booked_at <= ${a}.occurred_at + make_interval(mins => ${sql.lit(moveMinutes)}))))`;
}
