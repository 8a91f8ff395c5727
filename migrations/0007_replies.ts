import { type Kysely, sql } from 'kysely';

/** What patients answered, each answer once. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table replies (
      clinic_id uuid not null references clinics on delete cascade,
      id uuid not null,
      channel text not null,
      address text,
      -- Null where a shared address leaves open who answered.
      patient_id uuid,
      message_id uuid,
      text text not null,
      -- From one to five, where the patient rated the visit.
      score smallint check (score between 1 and 5),
      meaning text not null check (meaning in ('stop', 'start', 'confirm', 'cancel', 'other')),
      dedupe_key text not null,
      received_at timestamptz not null,
      primary key (clinic_id, id),
      unique (clinic_id, channel, dedupe_key),
      foreign key (clinic_id, patient_id) references patients,
      foreign key (clinic_id, message_id) references messages on delete cascade
    )`.execute(db);
  await sql`create index replies_patient on replies (clinic_id, patient_id) where patient_id is not null`.execute(
    db,
  );
  await sql`call protect_clinic_table('replies')`.execute(db);
}
