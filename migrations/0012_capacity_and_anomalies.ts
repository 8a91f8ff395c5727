import { type Kysely, sql } from 'kysely';

/**
 * Free slots of the clinic, and what a rule sends on a usual day. The days of all rules are counted from the
 * messages there are: about a second for each 100,000.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table capacities (
      clinic_id uuid not null references clinics on delete cascade,
      local_day date not null,
      -- Empty where the slots are for any.
      service text not null,
      practitioner text not null,
      free integer not null check (free >= 0),
      occurred_at timestamptz not null,
      version text,
      updated_at timestamptz not null,
      primary key (clinic_id, local_day, service, practitioner)
    )`.execute(db);
  await sql`call protect_clinic_table('capacities')`.execute(db);

  await sql`
    alter table rule_days
      add column messages integer not null default 0 check (messages >= 0),
      add column looked_at timestamptz,
      -- Held, because so much more was waiting than usual, until somebody released it.
      add column anomaly text check (anomaly in ('held', 'released')),
      add column usual integer,
      add column waiting integer`.execute(db);

  // Until now only rules with limits were counted. The owner is let past its own wall for this alone.
  for (const table of ['messages', 'rule_days'])
    await sql`alter table ${sql.table(table)} no force row level security`.execute(db);
  await sql`
    with left_before as (
      select m.clinic_id, m.rule_id, (coalesce(m.sent_at, m.updated_at) at time zone c.time_zone)::date as local_day,
        m.cost_micros,
        row_number() over (partition by m.clinic_id, m.journey_id order by coalesce(m.sent_at, m.updated_at), m.id) as place
      from messages m join clinics c on c.id = m.clinic_id
      where m.attempt_no > 0 and m.rule_id is not null
    )
    insert into rule_days as d (clinic_id, rule_id, local_day, contacts, cost_micros, messages)
    select clinic_id, rule_id, local_day, count(*) filter (where place = 1), coalesce(sum(cost_micros), 0), count(*)
    from left_before group by clinic_id, rule_id, local_day
    on conflict (clinic_id, rule_id, local_day) do update set messages = excluded.messages`.execute(
    db,
  );
  for (const table of ['messages', 'rule_days'])
    await sql`alter table ${sql.table(table)} force row level security`.execute(db);
}
