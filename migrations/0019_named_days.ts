import { type Kysely, sql } from 'kysely';

/** Who was named in a message to another of the household, and when: a contact of that person, at no address of theirs. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table named_days (
      clinic_id uuid not null,
      patient_id uuid not null,
      -- Of the one that carried it.
      message_id uuid not null,
      purpose text not null check (purpose in ('care', 'marketing')),
      local_day date not null,
      primary key (clinic_id, patient_id, message_id),
      foreign key (clinic_id, patient_id) references patients,
      foreign key (clinic_id, message_id) references messages on delete cascade
    )`.execute(db);
  await sql`create index named_days_message on named_days (clinic_id, message_id)`.execute(db);
  await sql`call protect_clinic_table('named_days')`.execute(db);
}
