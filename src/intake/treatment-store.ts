import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';

export interface StoredTreatment {
  source: string;
  external_id: string;
  patient_id: string;
  occurred_ms: number;
  version: string | null;
  hash: string;
}

/** Of one source. */
export async function findTreatments(
  trx: Trx,
  clinicId: string,
  source: string,
  externalIds: readonly string[],
): Promise<StoredTreatment[]> {
  const { rows } = await sql<StoredTreatment>`
    select source, external_id, patient_id, (extract(epoch from occurred_at) * 1000)::double precision as occurred_ms,
      version, encode(content_hash, 'hex') as hash
    from treatments
    where clinic_id = ${clinicId} and source = ${source} and external_id = any(${[...externalIds]}::text[])`.execute(
    trx,
  );
  return rows;
}

export interface TreatmentWrite extends StoredTreatment {
  steps: unknown;
  next_step: string | null;
  next_service: string | null;
  next_due_on: string | null;
}

const writeTypes: ColumnTypes<TreatmentWrite> = {
  source: 'text',
  external_id: 'text',
  patient_id: 'uuid',
  occurred_ms: 'epoch_ms',
  version: 'text',
  hash: 'hex',
  steps: 'jsonb',
  next_step: 'text',
  next_service: 'text',
  next_due_on: 'date',
};

/** Rows are sorted by key. */
export async function upsertTreatments(
  trx: Trx,
  clinicId: string,
  rows: readonly TreatmentWrite[],
  now: Temporal.Instant,
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into treatments (clinic_id, source, external_id, patient_id, steps, next_step, next_service, next_due_on,
      occurred_at, version, content_hash, created_at, updated_at)
    select ${clinicId}::uuid, source, external_id, patient_id, steps, next_step, next_service, next_due_on,
      occurred_ms, version, hash, ${now}::timestamptz, ${now}::timestamptz
    from ${rowSet(rows, writeTypes, 'r')}
    on conflict (clinic_id, source, external_id) do update set
      patient_id = excluded.patient_id, steps = excluded.steps, next_step = excluded.next_step,
      next_service = excluded.next_service, next_due_on = excluded.next_due_on, occurred_at = excluded.occurred_at,
      version = excluded.version, content_hash = excluded.content_hash, updated_at = excluded.updated_at`.execute(
    trx,
  );
}
