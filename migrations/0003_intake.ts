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

  // A clinic goes with all its rows, whatever they refer to: what something still points at is tried again
  // after the rest. Events and marks have no foreign key to their clinic, because it would be looked up for
  // each row, dear where millions stream in, and the wall admits no other clinic's rows anyway.
  await sql`
    create function delete_clinic_rows() returns trigger language plpgsql as $$
    declare
      present text := current_setting('app.clinic_id', true);
      waiting text[];
      remaining text[];
      name text;
    begin
      perform set_config('app.clinic_id', old.id::text, true);
      select array_agg(c.relname::text) into waiting
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace and n.nspname = current_schema()
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'clinic_id' and not a.attisdropped
      where c.relkind in ('r', 'p');
      loop
        remaining := '{}';
        foreach name in array waiting loop
          begin
            execute format('delete from %I where clinic_id = $1', name) using old.id;
          exception when foreign_key_violation then
            remaining := array_append(remaining, name);
          end;
        end loop;
        exit when cardinality(remaining) in (0, cardinality(waiting));
        waiting := remaining;
      end loop;
      perform set_config('app.clinic_id', coalesce(present, ''), true);
      return old;
    end $$`.execute(db);
  await sql`
    create trigger delete_clinic_rows before delete on clinics
    for each row execute function delete_clinic_rows()`.execute(db);
}
