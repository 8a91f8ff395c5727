import { type Kysely, sql } from 'kysely';

/** Every event as it came, once: the proof of what was accepted, and what replay starts from. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table intake_events (
      clinic_id uuid not null references clinics on delete cascade,
      source text not null,
      event_id text not null,
      type text not null,
      occurred_at timestamptz not null,
      version text,
      received_at timestamptz not null,
      -- Whom it is about, so that an erasure finds it.
      patient_id uuid,
      -- As JSON text: it is written often and read seldom.
      body json not null,
      outcome text not null check (outcome in ('applied', 'unchanged', 'stale')),
      primary key (clinic_id, source, event_id)
    )`.execute(db);
  await sql`create index intake_events_patient on intake_events (clinic_id, patient_id) where patient_id is not null`.execute(db);
  await sql`call protect_clinic_table('intake_events')`.execute(db);
}
