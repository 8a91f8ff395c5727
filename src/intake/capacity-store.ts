import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { rowSet } from '../database/row-set.ts';

/** Free slots of a day; an empty service or practitioner stands for any. */
export interface CapacityWrite {
  day: string;
  service: string;
  practitioner: string;
  free: number;
  occurredMs: number;
  version: string | null;
}

/**
 * Rows are sorted by key, one of each. What is told later counts.
 * @returns the keys that were older than what is known.
 */
export async function upsertCapacities(
  trx: Trx,
  clinicId: string,
  rows: readonly CapacityWrite[],
  now: Temporal.Instant,
): Promise<{ day: string; service: string; practitioner: string }[]> {
  const types = {
    day: 'date',
    service: 'text',
    practitioner: 'text',
    free: 'int',
    occurredMs: 'epoch_ms',
    version: 'text',
  } as const;
  const { rows: stale } = await sql<{ day: string; service: string; practitioner: string }>`
    with told as (select * from ${rowSet(rows, types, 'r')}), written as (
      insert into capacities as c (clinic_id, local_day, service, practitioner, free, occurred_at, version, updated_at)
      select ${clinicId}::uuid, day, service, practitioner, free, "occurredMs", version, ${now}::timestamptz from told
      on conflict (clinic_id, local_day, service, practitioner) do update set
        free = excluded.free, occurred_at = excluded.occurred_at, version = excluded.version,
        updated_at = excluded.updated_at
        where c.occurred_at <= excluded.occurred_at
      returning local_day, service, practitioner
    )
    select day::text, service, practitioner from told t
    where not exists (select from written w where w.local_day = t.day and w.service = t.service
      and w.practitioner = t.practitioner)`.execute(trx);
  return stale;
}

/** Who waits for a slot is looked at again. */
export async function markWaitingForCapacity(trx: Trx, clinicId: string): Promise<void> {
  await sql`
    insert into replan (clinic_id, patient_id)
    select distinct ${clinicId}::uuid, patient_id from messages
    where clinic_id = ${clinicId} and state = 'held' and reason = 'capacity'`.execute(trx);
}
