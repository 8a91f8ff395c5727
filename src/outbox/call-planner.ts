import type { Trx } from '../database/connect.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import { markReplan } from '../history/replan-store.ts';

/** Has these patients' journeys looked at: a message that they wait for has left or ended. */
export async function callPlanner(
  trx: Trx,
  clinicId: string,
  concerned: readonly { patientId: string }[],
  now: Temporal.Instant,
): Promise<void> {
  if (concerned.length === 0) return;
  const patientIds = [...new Set(concerned.map((each) => each.patientId))];
  await markReplan(trx, clinicId, patientIds);
  await wakeClinic(trx, clinicId, 'plan', now);
}
