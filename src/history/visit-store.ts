import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type HostId, isHostId } from './host-id.ts';
import type { VisitRow } from './visit.ts';

/** Null where there is none, or it was deleted. */
export async function findVisit(
  trx: Trx,
  clinicId: string,
  hostId: HostId,
): Promise<VisitRow | null> {
  if (!isHostId(hostId.externalId)) return null;
  const { rows } = await sql<VisitRow>`
    select v.source, v.external_id, p.source as patient_source, p.external_id as patient_external_id, v.appointment_id, v.status,
      v.started_at, v.ended_at, v.time_zone, v.practitioner_id, v.practitioner_name, v.services, v.service_ids, v.location_id,
      v.location_name, v.payer_id, v.payer_name, v.amount_minor, v.currency, v.facts, v.warnings, v.updated_at
    from visits v
    left join patients p on p.clinic_id = ${clinicId} and p.id = v.patient_id
    where v.clinic_id = ${clinicId} and v.source = ${hostId.source} and v.external_id = ${hostId.externalId}
      and v.deleted_at is null`.execute(trx);
  return rows[0] ?? null;
}
