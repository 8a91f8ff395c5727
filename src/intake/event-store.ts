import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';

/** Intake of one clinic is written by one transaction at a time, whichever process runs it. */
export async function lockIntake(trx: Trx, clinicId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`intake/${clinicId}`}, 0))`.execute(
    trx,
  );
}

export async function findKnownEvents(
  trx: Trx,
  clinicId: string,
  source: string,
  eventIds: readonly string[],
): Promise<Set<string>> {
  const { rows } = await sql<{ event_id: string }>`
    select event_id from intake_events
    where clinic_id = ${clinicId} and source = ${source} and event_id = any(${[...eventIds]}::text[])`.execute(
    trx,
  );
  return new Set(rows.map((row) => row.event_id));
}

export interface EventRecord {
  source: string;
  event_id: string;
  type: string;
  occurred_ms: number;
  version: string | null;
  patient_id: string | null;
  outcome: 'applied' | 'unchanged' | 'stale';
  /** JSON text. */
  body: string;
}

const recordTypes: ColumnTypes<EventRecord> = {
  source: 'text',
  event_id: 'text',
  type: 'text',
  occurred_ms: 'epoch_ms',
  version: 'text',
  patient_id: 'uuid',
  outcome: 'text',
  body: 'json_text',
};

/** A unique violation means that another process took one of them meanwhile: the caller begins anew. */
export async function insertEvents(
  trx: Trx,
  clinicId: string,
  records: readonly EventRecord[],
  now: Temporal.Instant,
): Promise<void> {
  if (records.length === 0) return;
  await sql`
    insert into intake_events (clinic_id, source, event_id, type, occurred_at, version, received_at, patient_id, body, outcome)
    select ${clinicId}::uuid, source, event_id, type, occurred_ms, version, ${now}::timestamptz, patient_id, body, outcome
    from ${rowSet(records, recordTypes, 'r')}`.execute(trx);
}

/** Leaves of each event that it came, and nothing of what it said. */
export async function blankEventsOf(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<void> {
  await sql`
    update intake_events set body = '{}'
    where clinic_id = ${clinicId} and patient_id = any(${[...patientIds]}::uuid[])`.execute(trx);
}
