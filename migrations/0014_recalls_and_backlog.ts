import { type Kysely, sql } from 'kysely';

/**
 * What a clinic settles about one patient's recall, and how what was due before a rule was switched on
 * enters day by day. A new table and empty columns: nothing waits but for a moment.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table recall_overrides (
      clinic_id uuid not null,
      rule_id uuid not null,
      patient_id uuid not null,
      -- In place of the rule's own period.
      after_period text,
      -- The day for these occurrences alone: a later visit has another key.
      due_on date,
      due_for text[] not null default '{}',
      -- Never before this day; 9999-12-31 is never.
      disabled_until date,
      reason text,
      set_by text not null,
      set_at timestamptz not null,
      primary key (clinic_id, rule_id, patient_id),
      foreign key (clinic_id, rule_id) references rules on delete cascade,
      foreign key (clinic_id, patient_id) references patients on delete cascade,
      check (after_period is not null or due_on is not null or disabled_until is not null)
    )`.execute(db);
  await sql`create index recall_overrides_patient on recall_overrides (clinic_id, patient_id)`.execute(
    db,
  );
  await sql`call protect_clinic_table('recall_overrides')`.execute(db);

  await sql`
    alter table journeys
      -- When it was let in by the backlog, and when it had fallen due; due_at is then the day it entered.
      add column entered_at timestamptz,
      add column was_due_at timestamptz`.execute(db);
  // Not validated: the columns are empty, and reading all journeys would keep everybody waiting.
  await sql`
    alter table journeys add constraint journeys_entered
      check ((entered_at is null) = (was_due_at is null)) not valid`.execute(db);
  await sql`
    alter table rules
      -- The last local day on which the backlog let somebody in.
      add column backlog_day date,
      -- The version whose trigger was replaced, until what that moved into the past is recorded.
      add column moved_from_version integer`.execute(db);
}
