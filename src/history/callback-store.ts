import type { Trx } from '../database/connect.ts';
import { uuidv7 } from '../uuid.ts';

/** Calls that people asked for, until the clinic's desk has made a task of each. */

export interface Callback {
  patientId: string | null;
  /** As it was written. */
  phone: string | null;
  note: string;
}

export async function keepCallbacks(
  trx: Trx,
  clinicId: string,
  callbacks: readonly Callback[],
  now: Temporal.Instant,
): Promise<void> {
  if (callbacks.length === 0) return;
  const rows = callbacks.map(({ patientId, phone, note }) => ({
    clinic_id: clinicId,
    id: uuidv7(now),
    patient_id: patientId,
    phone,
    note,
    requested_at: now,
  }));
  await trx.insertInto('callbacks').values(rows).execute();
}

/** Those that wait, the longest waiting first. */
export async function findCallbacks(trx: Trx, clinicId: string, limit: number): Promise<string[]> {
  const rows = await trx
    .selectFrom('callbacks')
    .select('id')
    .where('clinic_id', '=', clinicId)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map((row) => row.id);
}

/** Takes one out; null where somebody else has. */
export async function takeCallback(
  trx: Trx,
  clinicId: string,
  id: string,
): Promise<Callback | null> {
  const row = await trx
    .deleteFrom('callbacks')
    .where('clinic_id', '=', clinicId)
    .where('id', '=', id)
    .returning(['patient_id', 'phone', 'note'])
    .executeTakeFirst();
  return row ? { patientId: row.patient_id, phone: row.phone, note: row.note } : null;
}
