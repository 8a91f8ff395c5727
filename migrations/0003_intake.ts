import { type Kysely, sql } from 'kysely';

/** Every event as it came, once: the proof of what was accepted, and what replay starts from. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table intake_events (
      clinic_id uuid not null,
      source text not null,
      event_id text not null,
      type text not null,
      occurred_at timestamptz not null,
      version text,
      received_at timestamptz not null,
      -- Whom it named, under the id of that time, so that an erasure finds it.
      patient_id uuid,
      -- As JSON text: it is written often and read seldom.
      body json not null,
      outcome text not null check (outcome in ('applied', 'unchanged', 'stale')),
      primary key (clinic_id, source, event_id)
    )`.execute(db);
  await sql`call protect_clinic_table('intake_events')`.execute(db);

  // A foreign key would look the clinic up for each row: dear where millions stream in, and the wall
  // admits no other clinic's rows anyway. So these two go with their clinic by a trigger instead.
  await sql`
    create function delete_unreferenced_rows() returns trigger language plpgsql as $$
    declare present text := current_setting('app.clinic_id', true);
    begin
      perform set_config('app.clinic_id', old.id::text, true);
      delete from intake_events where clinic_id = old.id;
      delete from replan where clinic_id = old.id;
      perform set_config('app.clinic_id', coalesce(present, ''), true);
      return null;
    end $$`.execute(db);
  await sql`
    create trigger delete_unreferenced_rows after delete on clinics
    for each row execute function delete_unreferenced_rows()`.execute(db);
}
