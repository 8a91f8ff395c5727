import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

/** When something is due at the clinic's desk next; null when nothing is. */
export async function nextDeskAt(trx: Trx, clinicId: string): Promise<Temporal.Instant | null> {
  const { rows } = await sql<{ at: Temporal.Instant | null }>`
    select least(
      (select min(requested_at) from callbacks where clinic_id = ${clinicId}),
      (select min(answer_by) from threads where clinic_id = ${clinicId} and answer_by is not null),
      (select min(digest_at) from staff where clinic_id = ${clinicId} and digest_at is not null),
      (select min(next_at) from staff_notices where clinic_id = ${clinicId} and next_at is not null),
      (select min(lease_until) from staff_notices where clinic_id = ${clinicId} and lease_until is not null)
    ) as at`.execute(trx);
  return rows[0]?.at ?? null;
}
