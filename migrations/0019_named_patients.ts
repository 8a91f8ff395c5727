import { type Kysely, sql } from 'kysely';

/**
 * Who was named in another's message has had a contact by it: looked up for each message that is judged. Writes to `messages`
 * wait while the index is built; it holds next to nothing.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index messages_named on messages (clinic_id, patient_id) where carried_by is not null`.execute(
    db,
  );
}
