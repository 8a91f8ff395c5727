import { type Kysely, sql } from 'kysely';

/**
 * Free slots of the clinic, what every rule sends on a usual day, and contacts that the clinic made itself. The
 * days of all rules are counted from the messages there are, about a second for each 100,000, and the index on
 * messages is built as fast again; writes to messages wait for both, reading does not.
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
  // Who was invited lately. Whatever happens to a message later only moves it on in here.
  await sql`
    create index messages_invited on messages (clinic_id, updated_at)
    where attempt_no > 0 and journey_id is not null and guard ->> 'unlessBooked' = 'true'
      and purpose in ('care', 'marketing')`.execute(db);

  await sql`
    alter table rule_days
      add column messages integer not null default 0 check (messages >= 0),
      -- How many first contacts the last look at the day foresaw: so many may leave without another look.
      add column foreseen integer,
      -- Held, because so much more was waiting than usual, until somebody released it.
      add column anomaly text check (anomaly in ('held', 'released')),
      add column usual integer,
      add column waiting integer`.execute(db);
  await countDaysOfAllRules(db);

  await sql`
    create table outside_contacts (
      clinic_id uuid not null,
      id uuid not null,
      source text not null,
      -- The event that told of it.
      event_id text not null,
      patient_id uuid not null,
      channel text not null check (channel in ('sms', 'email', 'whatsapp', 'telegram', 'call', 'inbox')),
      purpose text not null check (purpose in ('transactional', 'care', 'marketing')),
      at timestamptz not null,
      created_at timestamptz not null,
      primary key (clinic_id, id),
      unique (clinic_id, source, event_id),
      foreign key (clinic_id, patient_id) references patients
    )`.execute(db);
  await sql`create index outside_contacts_patient on outside_contacts (clinic_id, patient_id, at)`.execute(
    db,
  );
  await sql`call protect_clinic_table('outside_contacts')`.execute(db);
  // By it one contact counts once, at however many addresses it is booked.
  await sql`alter table contact_days add column outside_id uuid`.execute(db);
}

/**
 * Until now only rules with limits were counted, and those not while they had none. The wall holds the owner
 * too, so that each clinic is entered by itself.
 */
async function countDaysOfAllRules(db: Kysely<unknown>): Promise<void> {
  await sql`
    do $$
    declare
      clinic record;
      present text := current_setting('app.clinic_id', true);
    begin
      for clinic in select id, time_zone from clinics loop
        perform set_config('app.clinic_id', clinic.id::text, true);
        insert into rule_days as d (clinic_id, rule_id, local_day, contacts, cost_micros, messages)
        select clinic.id, rule_id, local_day,
          count(*) filter (where place = 1 and journey_id is not null), coalesce(sum(cost_micros), 0), count(*)
        from (
          select m.rule_id, m.journey_id, m.cost_micros,
            (coalesce(m.sent_at, m.updated_at) at time zone clinic.time_zone)::date as local_day,
            row_number() over (partition by m.journey_id order by coalesce(m.sent_at, m.updated_at), m.id) as place
          from messages m
          where m.clinic_id = clinic.id and m.attempt_no > 0 and m.rule_id is not null
        ) left_before
        group by rule_id, local_day
        on conflict (clinic_id, rule_id, local_day) do update set
          contacts = greatest(d.contacts, excluded.contacts),
          cost_micros = greatest(d.cost_micros, excluded.cost_micros), messages = excluded.messages;
      end loop;
      perform set_config('app.clinic_id', coalesce(present, ''), true);
    end $$`.execute(db);
}
