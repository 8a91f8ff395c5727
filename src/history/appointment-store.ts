import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { AppointmentRow } from './appointment.ts';
import { type HostId, isHostId } from './host-id.ts';

/** Null where there is none, or it was deleted. */
export async function findAppointment(
  trx: Trx,
  clinicId: string,
  hostId: HostId,
): Promise<AppointmentRow | null> {
  if (!isHostId(hostId.externalId)) return null;
  const { rows } = await sql<AppointmentRow>`
    select a.source, a.external_id, p.source as patient_source, p.external_id as patient_external_id, a.status, a.confirmation,
      a.start_at, a.end_at, a.time_zone, a.practitioner_id, a.practitioner_name, a.services, a.service_ids, a.location_id,
      a.location_name, a.payer_id, a.payer_name, a.host_created_at, a.rescheduled_from, a.source_status, a.warnings, a.updated_at
    from appointments a
    left join patients p on p.clinic_id = ${clinicId} and p.id = a.patient_id
    where a.clinic_id = ${clinicId} and a.source = ${hostId.source} and a.external_id = ${hostId.externalId}
      and a.deleted_at is null`.execute(trx);
  return rows[0] ?? null;
}
