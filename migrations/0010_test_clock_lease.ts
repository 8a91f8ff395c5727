import { type Kysely, sql } from 'kysely';

/** Who moves a test clinic's clock, and until when it is believed. Empty columns: nothing waits. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // A move takes many transactions, so that a row's lock could not last as long as it does.
  await sql`
    alter table clinics
      add column test_mover uuid,
      add column test_mover_until timestamptz`.execute(db);
}
