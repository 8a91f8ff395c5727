import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type HostId, isHostId } from './host-id.ts';

export interface PatientLookup {
  /** Also whom the host has not told about yet, or has deleted. */
  evenIfAbsent?: boolean;
}

/** The person behind a host's id, through all merges; null where there is none to speak of. */
export async function findPatientId(
  trx: Trx,
  clinicId: string,
  hostId: HostId,
  lookup: PatientLookup = {},
): Promise<string | null> {
  if (!isHostId(hostId.externalId)) return null;
  const { rows } = await sql<{ id: string }>`
    select p.id from patients named
    join patients p on p.clinic_id = ${clinicId} and p.id = coalesce(named.replaced_by, named.id)
    where named.clinic_id = ${clinicId} and named.source = ${hostId.source} and named.external_id = ${hostId.externalId}
      and (${lookup.evenIfAbsent === true}::boolean or (p.is_known and p.deleted_at is null))`.execute(
    trx,
  );
  return rows[0]?.id ?? null;
}

/** What the host calls each of these patients. */
export async function hostIdsOf(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<Map<string, HostId>> {
  if (patientIds.length === 0) return new Map();
  const rows = await trx
    .selectFrom('patients')
    .select(['id', 'source', 'external_id'])
    .where('clinic_id', '=', clinicId)
    .where(sql<boolean>`id = any(${[...new Set(patientIds)]}::uuid[])`)
    .execute();
  return new Map(rows.map((row) => [row.id, { source: row.source, externalId: row.external_id }]));
}
