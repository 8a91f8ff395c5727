import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';

/** Which slots: of a day, a service and a practitioner; the last two are empty where the slots are for any. */
export interface SlotsKey {
  day: string;
  service: string;
  practitioner: string;
}

/** Free slots as they were told last. */
export interface ToldCapacity extends SlotsKey {
  free: number;
  occurredMs: number;
  version: string | null;
}

const keyTypes: ColumnTypes<SlotsKey> = { day: 'date', service: 'text', practitioner: 'text' };

const toldTypes: ColumnTypes<ToldCapacity> = {
  ...keyTypes,
  free: 'int',
  occurredMs: 'epoch_ms',
  version: 'text',
};

export async function findCapacities(
  trx: Trx,
  clinicId: string,
  keys: readonly SlotsKey[],
): Promise<ToldCapacity[]> {
  const { rows } = await sql<ToldCapacity>`
    select c.local_day::text as day, c.service, c.practitioner, c.free,
      (extract(epoch from c.occurred_at) * 1000)::double precision as "occurredMs", c.version
    from ${rowSet(keys, keyTypes, 'k')}
    join capacities c on c.clinic_id = ${clinicId} and c.local_day = k.day and c.service = k.service
      and c.practitioner = k.practitioner`.execute(trx);
  return rows;
}

/** Rows are sorted by key, one of each. */
export async function upsertCapacities(
  trx: Trx,
  clinicId: string,
  rows: readonly ToldCapacity[],
  now: Temporal.Instant,
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into capacities (clinic_id, local_day, service, practitioner, free, occurred_at, version, updated_at)
    select ${clinicId}::uuid, day, service, practitioner, free, "occurredMs", version, ${now}::timestamptz
    from ${rowSet(rows, toldTypes, 'r')}
    on conflict (clinic_id, local_day, service, practitioner) do update set
      free = excluded.free, occurred_at = excluded.occurred_at, version = excluded.version,
      updated_at = excluded.updated_at`.execute(trx);
}

/** Who waits for a slot is looked at again. */
export async function markWaitingForCapacity(trx: Trx, clinicId: string): Promise<void> {
  await sql`
    insert into replan (clinic_id, patient_id)
    select distinct ${clinicId}::uuid, patient_id from messages
    where clinic_id = ${clinicId} and state = 'held' and reason = 'capacity'`.execute(trx);
}
