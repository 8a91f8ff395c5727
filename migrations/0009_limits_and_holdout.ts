import { type Kysely, sql } from 'kysely';

/** What a rule has sent and spent on each day, and who is held out of it for ever. New tables: nothing waits. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Summing the messages of a rule anew for each batch would cost more than sending them.
  await sql`
    create table rule_days (
      clinic_id uuid not null,
      rule_id uuid not null,
      local_day date not null,
      -- Journeys of which the first message left on that day.
      contacts integer not null default 0 check (contacts >= 0),
      -- What all messages of the rule cost by the tariff, in millionths of a unit.
      cost_micros bigint not null default 0 check (cost_micros >= 0),
      primary key (clinic_id, rule_id, local_day),
      foreign key (clinic_id, rule_id) references rules on delete cascade
    )`.execute(db);
  await sql`call protect_clinic_table('rule_days')`.execute(db);

  await sql`
    create table holdout_assignments (
      clinic_id uuid not null,
      rule_id uuid not null,
      -- A patient, a household, or a contact point by its hash.
      unit text not null,
      arm text not null check (arm in ('holdout', 'treated')),
      assigned_at timestamptz not null,
      primary key (clinic_id, rule_id, unit),
      foreign key (clinic_id, rule_id) references rules on delete cascade
    )`.execute(db);
  await sql`call protect_clinic_table('holdout_assignments')`.execute(db);
}
