import { wakeClinic } from '../history/clinic-work-store.ts';
import type { Batch, Item } from './batch.ts';
import { type CapacityWrite, markWaitingForCapacity, upsertCapacities } from './capacity-store.ts';

/** How many slots are free: of each day, service and practitioner the last that was told counts. */
export async function applyCapacities({ trx, clinicId, now, items }: Batch): Promise<void> {
  const latest = new Map<string, { item: Item; row: CapacityWrite }>();
  for (const item of items) {
    const { effect, occurredMs, version } = item.event;
    if (effect.kind !== 'capacity') continue;
    const row = { ...effect.read, occurredMs, version };
    latest.set(keyOf(row), { item, row });
  }
  if (latest.size === 0) return;
  const inOrder = [...latest].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const rows = inOrder.map(([, { row }]) => row);
  const stale = await upsertCapacities(trx, clinicId, rows, now);
  for (const key of stale) {
    const told = latest.get(keyOf(key));
    if (told) told.item.outcome = { kind: 'stale' };
  }
  await markWaitingForCapacity(trx, clinicId);
  await wakeClinic(trx, clinicId, 'plan', now);
}

function keyOf({
  day,
  service,
  practitioner,
}: Pick<CapacityWrite, 'day' | 'service' | 'practitioner'>) {
  return JSON.stringify([day, service, practitioner]);
}
