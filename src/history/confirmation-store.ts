import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { wakeClinic } from './clinic-work-store.ts';
import { tellHost } from './host-event-store.ts';
import type { HostId } from './host-id.ts';
import { lockPatients } from './lock-store.ts';
import { markReplan } from './replan-store.ts';

/** What patients say about their appointments, by a reply or a link. */

export interface ComingAppointment extends HostId {
  patientId: string;
  startAt: Temporal.Instant;
  /** Grows with each move of the start. */
  startRevision: number;
  timeZone: string | null;
  confirmation: string | null;
}

const coming = sql`
  source, external_id as "externalId", patient_id as "patientId", start_at as "startAt", start_revision as "startRevision",
  time_zone as "timeZone", confirmation`;
const isOpen = sql`
  deleted_at is null and patient_id is not null and status in ('proposed', 'pending', 'booked', 'waitlist')`;

/** That appointment, if it is still to come. */
export async function findComing(
  trx: Trx,
  clinicId: string,
  { source, externalId }: HostId,
  now: Temporal.Instant,
): Promise<ComingAppointment | null> {
  const { rows } = await sql<ComingAppointment>`
    select ${coming} from appointments
    where clinic_id = ${clinicId} and source = ${source} and external_id = ${externalId}
      and start_at > ${now} and ${isOpen}`.execute(trx);
  return rows[0] ?? null;
}

/** The patient's only appointment to come; null where there are several, since nobody knows which is meant. */
export async function findOnlyComing(
  trx: Trx,
  clinicId: string,
  patientId: string,
  now: Temporal.Instant,
): Promise<ComingAppointment | null> {
  const { rows } = await sql<ComingAppointment>`
    select ${coming} from appointments
    where clinic_id = ${clinicId} and patient_id = ${patientId} and start_at > ${now} and ${isOpen}
    order by start_at limit 2`.execute(trx);
  return rows.length === 1 ? (rows[0] ?? null) : null;
}

/**
 * Notes the patient's answer and tells the host, once for an answer that is repeated; the host's next update of
 * the appointment may say otherwise.
 */
export async function setConfirmation(
  trx: Trx,
  clinicId: string,
  appointment: ComingAppointment,
  confirmation: 'accepted' | 'declined',
  now: Temporal.Instant,
): Promise<void> {
  const { source, externalId, patientId } = appointment;
  await lockPatients(trx, clinicId, [patientId], 'update');
  const { numAffectedRows } = await sql`
    update appointments set confirmation = ${confirmation}, updated_at = ${now}
    where clinic_id = ${clinicId} and source = ${source} and external_id = ${externalId}
      and confirmation is distinct from ${confirmation}`.execute(trx);
  if (numAffectedRows === 0n) return;
  const type =
    confirmation === 'accepted' ? 'appointment.confirmed' : 'appointment.cancel-requested';
  const hostIds = { appointmentId: { source, externalId } };
  await tellHost(trx, clinicId, [{ type, patientId, hostIds, data: { confirmation } }], now);
  await markReplan(trx, clinicId, [patientId]);
  await wakeClinic(trx, clinicId, 'plan', now);
}
