import { type Kysely, sql } from 'kysely';

/**
 * The chat that a patient opened by a link of ours, kept apart from what the host tells of them, which comes
 * whole each time and knows nothing of it. Adding an empty column holds `patients` for a moment.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table patients add column linked_chat text check (linked_chat ~ '^telegram:[0-9]{1,20}$')`.execute(
    db,
  );
}
