import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

/** What a clinic's background roles would have to do, by its own clock. */
export interface TestWork {
  plan: Temporal.Instant | null;
  dispatch: Temporal.Instant | null;
  reconcile: Temporal.Instant | null;
  desk: Temporal.Instant | null;
}

export async function findTestWork(trx: Trx, clinicId: string): Promise<TestWork> {
  const { rows } = await sql<TestWork>`
    select min(next_at) filter (where kind = 'plan') as plan,
           min(next_at) filter (where kind = 'dispatch') as dispatch,
           min(next_at) filter (where kind = 'reconcile') as reconcile,
           min(next_at) filter (where kind = 'desk') as desk
    from clinic_work where clinic_id = ${clinicId}`.execute(trx);
  return rows[0] ?? { plan: null, dispatch: null, reconcile: null, desk: null };
}
