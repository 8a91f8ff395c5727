import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

/**
 * Until the transaction ends nobody else of the clinic gives free slots away, or tells of new ones: whoever
 * was told that none is left is seen by whoever tells of more. It is taken after rows of patients and
 * contact points, and before the clinic's work row.
 */
export async function lockCapacity(trx: Trx, clinicId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`capacity/${clinicId}`}, 0))`.execute(
    trx,
  );
}
