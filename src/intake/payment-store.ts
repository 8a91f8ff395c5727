import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';

export interface StoredPayment {
  source: string;
  external_id: string;
  patient_id: string;
  occurred_ms: number;
  version: string | null;
  hash: string;
}

/** Of one source. */
export async function findPayments(
  trx: Trx,
  clinicId: string,
  source: string,
  externalIds: readonly string[],
): Promise<StoredPayment[]> {
  const { rows } = await sql<StoredPayment>`
    select source, external_id, patient_id, (extract(epoch from occurred_at) * 1000)::double precision as occurred_ms,
      version, encode(content_hash, 'hex') as hash
    from payments
    where clinic_id = ${clinicId} and source = ${source} and external_id = any(${[...externalIds]}::text[])`.execute(
    trx,
  );
  return rows;
}

export interface PaymentWrite extends StoredPayment {
  visit_id: string | null;
  kind: string;
  amount_minor: number;
  currency: string;
  paid_ms: number;
}

const writeTypes: ColumnTypes<PaymentWrite> = {
  source: 'text',
  external_id: 'text',
  patient_id: 'uuid',
  occurred_ms: 'epoch_ms',
  version: 'text',
  hash: 'hex',
  visit_id: 'text',
  kind: 'text',
  amount_minor: 'bigint',
  currency: 'text',
  paid_ms: 'epoch_ms',
};

/** Rows are sorted by key. */
export async function upsertPayments(
  trx: Trx,
  clinicId: string,
  rows: readonly PaymentWrite[],
  now: Temporal.Instant,
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into payments (clinic_id, source, external_id, patient_id, visit_id, kind, amount_minor, currency, paid_at,
      occurred_at, version, content_hash, created_at, updated_at)
    select ${clinicId}::uuid, source, external_id, patient_id, visit_id, kind, amount_minor, currency, paid_ms,
      occurred_ms, version, hash, ${now}::timestamptz, ${now}::timestamptz
    from ${rowSet(rows, writeTypes, 'r')}
    on conflict (clinic_id, source, external_id) do update set
      patient_id = excluded.patient_id, visit_id = excluded.visit_id, kind = excluded.kind,
      amount_minor = excluded.amount_minor, currency = excluded.currency, paid_at = excluded.paid_at,
      occurred_at = excluded.occurred_at, version = excluded.version, content_hash = excluded.content_hash,
      updated_at = excluded.updated_at`.execute(trx);
}
