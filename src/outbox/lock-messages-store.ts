import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

/** In the order of their ids, as everyone takes them who takes several. */
export async function lockMessages(
  trx: Trx,
  clinicId: string,
  messageIds: readonly string[],
): Promise<void> {
  await sql`
    select from messages where clinic_id = ${clinicId} and id = any(${[...messageIds]}::uuid[])
    order by id for no key update`.execute(trx);
}
