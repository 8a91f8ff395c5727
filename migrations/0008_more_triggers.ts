import { type Kysely, sql } from 'kysely';

/**
 * What the other triggers and predicates look at: treatment plans, saved segments, and events by type and by
 * patient. The indexes lock out intake while they are built, seconds for each million of events kept.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table treatments (
      clinic_id uuid not null,
      source text not null,
      external_id text not null,
      patient_id uuid not null,
      steps jsonb not null,
      -- The step that is to be done next, so that a day that begins finds by index what it is late with.
      next_step text,
      next_service text,
      next_due_on date,
      occurred_at timestamptz not null,
      version text,
      content_hash bytea not null,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, source, external_id),
      foreign key (clinic_id, patient_id) references patients,
      check ((next_step is null) = (next_due_on is null))
    )`.execute(db);
  await sql`create index treatments_next on treatments (clinic_id, next_due_on) where next_due_on is not null`.execute(
    db,
  );
  await sql`create index treatments_patient on treatments (clinic_id, patient_id)`.execute(db);
  await sql`call protect_clinic_table('treatments')`.execute(db);

  await sql`
    create table segments (
      clinic_id uuid not null references clinics on delete cascade,
      name text not null check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
      description text,
      audience jsonb not null,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, name)
    )`.execute(db);
  await sql`call protect_clinic_table('segments')`.execute(db);

  // Without the upserts, which stream in by the million and have tables of their own.
  await sql`
    create index intake_events_type on intake_events (clinic_id, type, occurred_at)
    where patient_id is not null and type not like '%.upserted'`.execute(db);
  await sql`
    create index intake_events_patient on intake_events (clinic_id, patient_id, type)
    where patient_id is not null and type not like '%.upserted'`.execute(db);
  // The wishes there are, each once; cut off, since an index holds no long text.
  await sql`
    create index patients_reminders on patients (clinic_id, left(reminder_preference::text, 200))
    where reminder_preference is not null`.execute(db);
  // Patients without visits are asked about their data by this; who answered, by that.
  await sql`
    create index replies_verified on replies (clinic_id, received_at)
    where dedupe_key like 'link:%:verify' and patient_id is not null`.execute(db);
}
