import { type Kysely, sql } from 'kysely';

/**
 * What happened: people, how to reach them, what they agreed to, when they came. Appointments and
 * visits are keyed by what the host calls them; patients have an id of ours, because merges move it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  // One row for each address a clinic knows: what an opt-out, a cap and a send lock.
  await sql`
    create table contact_points (
      clinic_id uuid not null references clinics on delete cascade,
      -- E.164 with its plus, a lower-case e-mail address, or telegram:<chat id>.
      address text not null,
      kind text not null check (kind in ('phone', 'email', 'telegram')),
      country text,
      primary key (clinic_id, address)
    )`.execute(db);
  await sql`call protect_clinic_table('contact_points')`.execute(db);

  await sql`
    create table patients (
      clinic_id uuid not null references clinics on delete cascade,
      id uuid not null,
      source text not null,
      external_id text not null,
      -- False until the host tells about this person: so far only a visit, an appointment or a merge named them.
      is_known boolean not null,
      family text, given text, middle text, preferred text, name_text text,
      birth_date date,
      -- What the host sent where it is no whole date: a year, a year and month.
      birth_date_text text,
      -- Month times 100 plus day: birthdays are found by index.
      birth_day smallint generated always as (extract(month from birth_date) * 100 + extract(day from birth_date)) stored,
      gender text check (gender in ('male', 'female', 'other', 'unknown')),
      language text,
      time_zone text,
      preferred_channel text,
      reminder_preference jsonb,
      tags text[] not null default '{}',
      payer_id text, payer_name text,
      household text, guardian_id text, referred_by text, city text,
      acquisition jsonb,
      active boolean not null default true,
      deceased boolean not null default false,
      attributes jsonb not null default '{}',
      -- As the host sent it, each with the address we made of it or the reason we could not.
      telecom jsonb not null default '[]',
      -- The contact point each channel would use.
      sms_address text, email_address text, whatsapp_address text, telegram_address text,
      warnings jsonb not null default '[]',
      -- The survivor at the end of all merges, never one that was itself merged away.
      replaced_by uuid,
      -- What the host says about a retired id after this instant is about the survivor.
      merged_at timestamptz,
      deleted_at timestamptz,
      -- Whoever was erased stays so: nothing that arrives later is kept of them.
      erased_at timestamptz,
      occurred_at timestamptz,
      version text,
      content_hash bytea,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, id),
      unique (clinic_id, source, external_id),
      foreign key (clinic_id, replaced_by) references patients (clinic_id, id),
      foreign key (clinic_id, sms_address) references contact_points,
      foreign key (clinic_id, email_address) references contact_points,
      foreign key (clinic_id, whatsapp_address) references contact_points,
      foreign key (clinic_id, telegram_address) references contact_points,
      check (replaced_by is null or replaced_by <> id),
      check ((replaced_by is null) = (merged_at is null))
    )`.execute(db);
  await sql`create index patients_birthday on patients (clinic_id, birth_day) where birth_day is not null`.execute(
    db,
  );
  await sql`create index patients_replaced on patients (clinic_id, replaced_by) where replaced_by is not null`.execute(
    db,
  );
  await sql`create index patients_updated on patients (clinic_id, updated_at, id)`.execute(db);
  await sql`create index patients_zone on patients (clinic_id, time_zone) where time_zone is not null`.execute(
    db,
  );
  await sql`create index patients_household on patients (clinic_id, household) where household is not null`.execute(
    db,
  );
  await sql`call protect_clinic_table('patients')`.execute(db);

  await sql`
    create table patient_contact_points (
      clinic_id uuid not null,
      patient_id uuid not null,
      address text not null,
      primary key (clinic_id, patient_id, address),
      foreign key (clinic_id, patient_id) references patients on delete cascade,
      foreign key (clinic_id, address) references contact_points
    )`.execute(db);
  await sql`create index patient_contact_points_address on patient_contact_points (clinic_id, address)`.execute(
    db,
  );
  await sql`call protect_clinic_table('patient_contact_points')`.execute(db);

  // Practitioners, locations and organizations by name, where the host tells about them apart from visits.
  await sql`
    create table directory_entries (
      clinic_id uuid not null references clinics on delete cascade,
      kind text not null check (kind in ('practitioner', 'location', 'organization')),
      source text not null,
      external_id text not null,
      name text,
      time_zone text,
      phone text,
      address text,
      occurred_at timestamptz,
      version text,
      content_hash bytea,
      deleted_at timestamptz,
      updated_at timestamptz not null,
      primary key (clinic_id, kind, source, external_id)
    )`.execute(db);
  await sql`call protect_clinic_table('directory_entries')`.execute(db);

  await sql`
    create table appointments (
      clinic_id uuid not null references clinics on delete cascade,
      source text not null,
      external_id text not null,
      -- Null for a slot booked by nobody yet: it counts for nothing.
      patient_id uuid,
      -- Null for a stub of which only the deletion is known.
      status text check (status in ('proposed', 'pending', 'booked', 'arrived', 'fulfilled', 'cancelled', 'noshow', 'entered-in-error', 'checked-in', 'waitlist')),
      confirmation text check (confirmation in ('needs-action', 'accepted', 'declined', 'tentative')),
      start_at timestamptz,
      end_at timestamptz,
      time_zone text,
      -- Grows when the start really changes: each move is told once, a repeated event never.
      start_revision integer not null default 1,
      practitioner_id text, practitioner_name text,
      services jsonb not null default '[]',
      service_ids text[] not null default '{}',
      location_id text, location_name text,
      payer_id text, payer_name text,
      -- When the booking was made: as the host says, else when we first saw it.
      booked_at timestamptz not null,
      host_created_at timestamptz,
      rescheduled_from text,
      source_status jsonb,
      warnings jsonb not null default '[]',
      deleted_at timestamptz,
      occurred_at timestamptz,
      version text,
      content_hash bytea,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, source, external_id),
      foreign key (clinic_id, patient_id) references patients
    )`.execute(db);
  await sql`create index appointments_start on appointments (clinic_id, start_at) where deleted_at is null`.execute(
    db,
  );
  await sql`create index appointments_patient on appointments (clinic_id, patient_id, start_at) where deleted_at is null`.execute(
    db,
  );
  await sql`call protect_clinic_table('appointments')`.execute(db);

  await sql`
    create table visits (
      -- Without a foreign key, for the reason given with intake_events.
      clinic_id uuid not null,
      source text not null,
      external_id text not null,
      patient_id uuid,
      appointment_id text,
      status text check (status in ('planned', 'in-progress', 'finished', 'cancelled', 'entered-in-error')),
      started_at timestamptz,
      ended_at timestamptz,
      -- The instant a recall counts from.
      anchor_at timestamptz generated always as (coalesce(ended_at, started_at)) stored,
      time_zone text,
      practitioner_id text, practitioner_name text,
      services jsonb not null default '[]',
      service_ids text[] not null default '{}',
      location_id text, location_name text,
      payer_id text, payer_name text,
      amount_minor bigint,
      currency text,
      facts text[] not null default '{}',
      warnings jsonb not null default '[]',
      deleted_at timestamptz,
      occurred_at timestamptz,
      version text,
      content_hash bytea,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, source, external_id),
      foreign key (clinic_id, patient_id) references patients,
      check ((amount_minor is null) = (currency is null))
    )`.execute(db);
  // Both serve "the visits of that day that no later one replaced".
  await sql`create index visits_anchor on visits (clinic_id, anchor_at) where status = 'finished' and deleted_at is null`.execute(
    db,
  );
  await sql`create index visits_patient on visits (clinic_id, patient_id, anchor_at) where status = 'finished' and deleted_at is null`.execute(
    db,
  );
  await sql`create index visits_appointment on visits (clinic_id, source, appointment_id) where appointment_id is not null`.execute(
    db,
  );
  await sql`call protect_clinic_table('visits')`.execute(db);

  // A patient came: a finished visit, or a fulfilled appointment that has no visit of its own.
  // The occurrence is the same for a visit and the appointment that it fulfils.
  await sql`
    create view attendances with (security_invoker = true) as
    select clinic_id, patient_id, source, external_id, 'visit'::text as kind, anchor_at, started_at,
           case when appointment_id is null then 'visit:' else 'visit:a/' end
             || case when source = 'mis' then '' else source || '~' end
             || coalesce(appointment_id, external_id) as occurrence,
           appointment_id, practitioner_id, practitioner_name, services, service_ids, location_id, location_name,
           payer_id, amount_minor, currency, facts, time_zone, created_at
    from visits
    where status = 'finished' and deleted_at is null and patient_id is not null and anchor_at is not null
    union all
    select a.clinic_id, a.patient_id, a.source, a.external_id, 'appointment', a.start_at, a.start_at,
           'visit:a/' || case when a.source = 'mis' then '' else a.source || '~' end || a.external_id,
           a.external_id, a.practitioner_id, a.practitioner_name, a.services, a.service_ids, a.location_id, a.location_name,
           a.payer_id, null, null, '{}', a.time_zone, a.created_at
    from appointments a
    where a.status = 'fulfilled' and a.deleted_at is null and a.patient_id is not null and a.start_at is not null
      and not exists (
        select from visits v
        where v.clinic_id = a.clinic_id and v.source = a.source and v.appointment_id = a.external_id
          and v.status = 'finished' and v.deleted_at is null)`.execute(db);
  await sql`create index appointments_fulfilled on appointments (clinic_id, start_at) where status = 'fulfilled' and deleted_at is null`.execute(
    db,
  );
  await sql`create index appointments_attended on appointments (clinic_id, patient_id, start_at) where status = 'fulfilled' and deleted_at is null`.execute(
    db,
  );
  await sql`grant select on attendances to retorno_runtime`.execute(db);

  await sql`
    create table consents (
      clinic_id uuid not null,
      patient_id uuid not null,
      purpose text not null check (purpose in ('transactional', 'care', 'marketing')),
      channel text not null check (channel in ('sms', 'email', 'whatsapp', 'telegram', 'call', 'inbox')),
      state text not null check (state in ('granted', 'denied', 'unknown')),
      evidence text,
      -- The latest grant that came with evidence: it beats the opt-outs made before it, also after a plain upsert.
      evidence_at timestamptz,
      occurred_at timestamptz not null,
      primary key (clinic_id, patient_id, purpose, channel),
      foreign key (clinic_id, patient_id) references patients on delete cascade
    )`.execute(db);
  await sql`call protect_clinic_table('consents')`.execute(db);

  // Said here (by reply, link, provider or call of the API), kept apart from what the host upserts.
  await sql`
    create table opt_outs (
      clinic_id uuid not null references clinics on delete cascade,
      id uuid not null,
      patient_id uuid,
      address text,
      -- Null means every channel.
      channel text,
      -- Null means care and marketing.
      purpose text check (purpose in ('transactional', 'care', 'marketing')),
      origin text not null check (origin in ('api', 'reply', 'link', 'provider', 'staff')),
      created_at timestamptz not null,
      lifted_at timestamptz,
      lifted_by text,
      primary key (clinic_id, id),
      foreign key (clinic_id, patient_id) references patients,
      foreign key (clinic_id, address) references contact_points,
      check (num_nonnulls(patient_id, address) = 1),
      check ((lifted_at is null) = (lifted_by is null))
    )`.execute(db);
  await sql`create index opt_outs_patient on opt_outs (clinic_id, patient_id) where lifted_at is null and patient_id is not null`.execute(
    db,
  );
  await sql`create index opt_outs_address on opt_outs (clinic_id, address) where lifted_at is null and address is not null`.execute(
    db,
  );
  await sql`call protect_clinic_table('opt_outs')`.execute(db);

  // Marks left by every change that may alter a plan. Rows are only inserted and deleted: a tick
  // deletes what it can see, so no change is missed however transactions interleave.
  await sql`
    create table replan (
      clinic_id uuid not null,
      mark bigint generated always as identity,
      patient_id uuid not null,
      primary key (clinic_id, mark)
    )`.execute(db);
  await sql`call protect_clinic_table('replan')`.execute(db);
}
