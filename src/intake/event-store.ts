import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';

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

/**
 * Keeps the events, marks whose plans they may change, and wakes the planner, in one statement. A unique
 * violation means that another process took an event meanwhile: the caller begins anew.
 */
export async function keepEvents(
  trx: Trx,
  clinicId: string,
  records: readonly EventRecord[],
  touched: readonly string[],
  now: Temporal.Instant,
): Promise<void> {
  if (records.length === 0) return;
  const kept = sql`
    insert into intake_events (clinic_id, source, event_id, type, occurred_at, version, received_at, patient_id, body, outcome)
    select ${clinicId}::uuid, source, event_id, type, occurred_ms, version, ${now}::timestamptz, patient_id, body, outcome
    from ${rowSet(records, recordTypes, 'r')}`;
  if (touched.length === 0) {
    await kept.execute(trx);
    return;
  }
  await sql`
    with kept as (${kept}), marked as (
      insert into replan (clinic_id, patient_id)
      select ${clinicId}::uuid, patient_id from unnest(${[...touched]}::uuid[]) as t (patient_id)
    )
    insert into clinic_work (clinic_id, kind, next_at) values (${clinicId}, 'plan', ${now})
    on conflict (clinic_id, kind) do update set next_at = least(clinic_work.next_at, excluded.next_at)
    where clinic_work.next_at is null or clinic_work.next_at > excluded.next_at`.execute(trx);
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
