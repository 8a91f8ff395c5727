import { type Kysely, sql } from 'kysely';

/**
 * What competes for a day, and who was told by somebody else's message. The column is empty: nothing waits for
 * it. The indexes read `messages` and `patients` once, and hold up writes to them meanwhile; of messages
 * only those that wait are kept in one.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  // The message of the same household that named this one's patient, so that this one never leaves.
  await sql`alter table messages add column carried_by uuid`.execute(db);
  await sql`create index messages_carried on messages (clinic_id, carried_by) where carried_by is not null`.execute(
    db,
  );
  // Of a patient who has had hundreds of messages, the few that may still compete.
  await sql`create index messages_competing on messages (clinic_id, patient_id)
    where state in ('scheduled', 'held', 'retry') and purpose in ('care', 'marketing')`.execute(db);
  // For whom a person answers.
  await sql`create index patients_guardian on patients (clinic_id, guardian_id) where guardian_id is not null`.execute(
    db,
  );
}
