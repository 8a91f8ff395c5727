import { type Kysely, sql } from 'kysely';

/** Who is due and why: rules, their versions, how far each is planned, and one row for each occurrence. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table rules (
      clinic_id uuid not null references clinics on delete cascade,
      id uuid not null,
      name text not null,
      state text not null check (state in ('draft', 'active', 'paused')),
      version integer not null,
      definition jsonb not null,
      -- A rule does nothing about what was due before it was switched on.
      active_from timestamptz,
      -- How far occurrences have been planned; it never goes back.
      planned_through timestamptz,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      deleted_at timestamptz,
      primary key (clinic_id, id),
      check (state <> 'active' or active_from is not null)
    )`.execute(db);
  await sql`call protect_clinic_table('rules')`.execute(db);

  await sql`
    create table rule_versions (
      clinic_id uuid not null,
      rule_id uuid not null,
      version integer not null,
      definition jsonb not null,
      changed_at timestamptz not null,
      changed_by text not null,
      primary key (clinic_id, rule_id, version),
      foreign key (clinic_id, rule_id) references rules
    )`.execute(db);
  await sql`call protect_clinic_table('rule_versions')`.execute(db);

  // An occurrence and the journey it becomes: one row, one key, for ever.
  await sql`
    create table journeys (
      clinic_id uuid not null,
      id uuid not null,
      rule_id uuid not null,
      rule_version integer not null,
      patient_id uuid not null,
      occurrence text not null,
      -- What it counts from: {kind, source, id, at, ...}, as the trigger wrote it.
      anchor jsonb not null,
      due_at timestamptz not null,
      -- When it is too late for the first step.
      expires_at timestamptz not null,
      state text not null check (state in ('planned', 'active', 'held', 'finished', 'suppressed', 'cancelled', 'expired')),
      reason text,
      -- The step whose message is on its way or comes next, counted from 0.
      step smallint not null default 0,
      -- When the planner must look again; null when only an event can move it.
      next_at timestamptz,
      holdout boolean not null default false,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, id),
      unique (clinic_id, rule_id, patient_id, occurrence),
      foreign key (clinic_id, rule_id) references rules,
      foreign key (clinic_id, patient_id) references patients,
      check (reason is not null or state not in ('held', 'suppressed', 'cancelled', 'expired'))
    )`.execute(db);
  await sql`create index journeys_next on journeys (clinic_id, next_at) where next_at is not null`.execute(
    db,
  );
  await sql`create index journeys_patient on journeys (clinic_id, patient_id)`.execute(db);
  await sql`create index journeys_due on journeys (clinic_id, rule_id, due_at)`.execute(db);
  await sql`call protect_clinic_table('journeys')`.execute(db);

  // By these a day that begins finds new patients, and appointments that were made or called off.
  await sql`create index patients_created on patients (clinic_id, created_at)`.execute(db);
  await sql`create index appointments_booked on appointments (clinic_id, booked_at) where status in ('pending', 'booked') and deleted_at is null`.execute(
    db,
  );
  await sql`create index appointments_cancelled on appointments (clinic_id, occurred_at) where status = 'cancelled' and deleted_at is null`.execute(
    db,
  );
}
