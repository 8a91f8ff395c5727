import { lockCapacity } from '../history/capacity-lock-store.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import type { Batch, Item } from './batch.ts';
import {
  findCapacities,
  markWaitingForCapacity,
  type SlotsKey,
  type ToldCapacity,
  upsertCapacities,
} from './capacity-store.ts';
import { compareWatermarks } from './watermark.ts';

/** How many slots are free: of each day, service and practitioner the last that was told counts. */
export async function applyCapacities({ trx, clinicId, now, items }: Batch): Promise<void> {
  const told = items.flatMap((item) => {
    const { effect, occurredMs, version } = item.event;
    return effect.kind === 'capacity'
      ? [{ item, row: { ...effect.read, occurredMs, version } }]
      : [];
  });
  if (told.length === 0) return;
  await lockCapacity(trx, clinicId);
  const keys = new Map(told.map(({ row }) => [keyOf(row), row]));
  const stored = await findCapacities(trx, clinicId, [...keys.values()]);
  const known = new Map(stored.map((row) => [keyOf(row), row]));
  const written = new Map<string, ToldCapacity>();
  let hasMore = false;
  for (const { item, row } of told) {
    const before = known.get(keyOf(row));
    item.outcome = outcomeOf(row, before);
    if (item.outcome.kind === 'stale') continue;
    hasMore ||= row.free > (before?.free ?? 0);
    known.set(keyOf(row), row);
    written.set(keyOf(row), row);
  }
  const inOrder = [...written].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  await upsertCapacities(trx, clinicId, inOrder, now);
  if (!hasMore) return;
  await markWaitingForCapacity(trx, clinicId);
  await wakeClinic(trx, clinicId, 'plan', now);
}

function outcomeOf(row: ToldCapacity, before: ToldCapacity | undefined): Item['outcome'] {
  if (before === undefined) return { kind: 'applied', isNew: true };
  if (compareWatermarks(row, before) < 0) return { kind: 'stale' };
  return row.free === before.free ? { kind: 'unchanged' } : { kind: 'applied', isNew: false };
}

function keyOf({ day, service, practitioner }: SlotsKey): string {
  return JSON.stringify([day, service, practitioner]);
}
