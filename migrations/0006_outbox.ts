import { type Kysely, sql } from 'kysely';

/** The life of a message. The states and what must hold in each stand in docs/message-states.md. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table messages (
      clinic_id uuid not null references clinics on delete cascade,
      id uuid not null,
      rule_id uuid,
      rule_version integer,
      journey_id uuid,
      step smallint,
      occurrence text,
      -- Whether the journey waits for this message to leave before its next step.
      journey_continues boolean not null default false,
      patient_id uuid not null,
      purpose text not null check (purpose in ('transactional', 'care', 'marketing')),
      channel text not null check (channel in ('sms', 'email', 'whatsapp', 'telegram', 'webhook', 'inbox', 'task')),
      template text,
      -- The text of a message the host wrote itself: {subject?, text}.
      body jsonb,
      provider text,
      address text,
      language text,
      priority smallint not null default 50,
      on_ambiguous text not null default 'at-most-once' check (on_ambiguous in ('at-most-once', 'at-least-once')),
      -- What must still be true when it leaves.
      guard jsonb not null default '{}',
      state text not null check (state in ('scheduled', 'held', 'claimed', 'sending', 'sent', 'delivered', 'read', 'unknown', 'retry', 'failed', 'expired', 'cancelled', 'suppressed')),
      reason text,
      scheduled_at timestamptz not null,
      expires_at timestamptz not null,
      -- When the dispatcher must look again: to send, to try again, to ask the provider. Null when it need not.
      next_at timestamptz,
      lease_epoch integer not null default 0,
      lease_until timestamptz,
      attempt_no smallint not null default 0,
      client_ref text,
      provider_message_id text,
      cancel_requested boolean not null default false,
      -- When the provider first said that it never took it: only its second word is believed.
      not_found_at timestamptz,
      sent_at timestamptz,
      delivered_at timestamptz,
      read_at timestamptz,
      -- What the patient did about it: a rule may stop on either.
      replied_at timestamptz,
      clicked_at timestamptz,
      -- Set when nothing more will be learnt of it.
      settled_at timestamptz,
      subject text,
      text text,
      encoding text,
      segments smallint,
      -- Millionths of a unit: the price of one SMS part has more places than money has.
      cost_micros bigint,
      cost_currency text,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, id),
      foreign key (clinic_id, patient_id) references patients,
      foreign key (clinic_id, rule_id) references rules,
      foreign key (clinic_id, journey_id) references journeys,
      foreign key (clinic_id, address) references contact_points,
      constraint leased_states check ((lease_until is not null) = (state in ('claimed', 'sending'))),
      constraint sending_has_attempt check (state not in ('sending', 'sent', 'unknown') or attempt_no > 0),
      constraint sent_has_reference check (state <> 'sent' or provider_message_id is not null or client_ref is not null),
      constraint reason_given check (reason is not null or state not in ('held', 'unknown', 'failed', 'expired', 'cancelled', 'suppressed')),
      constraint waiting_has_next check (next_at is not null or state not in ('scheduled', 'retry', 'held')),
      constraint final_has_no_next check (next_at is null or state not in ('read', 'failed', 'expired', 'cancelled', 'suppressed'))
    )`.execute(db);
  // Every change of state writes each index anew: none holds more than is looked up by it.
  await sql`create unique index messages_step on messages (clinic_id, journey_id, step, channel) where journey_id is not null`.execute(
    db,
  );
  // Each channel drains by itself: a slow one holds up no other.
  await sql`create index messages_waiting on messages (clinic_id, channel, next_at, priority desc, scheduled_at, id) where state in ('scheduled', 'held', 'retry')`.execute(
    db,
  );
  await sql`create index messages_open on messages (clinic_id, next_at) where state in ('sent', 'unknown') and next_at is not null`.execute(
    db,
  );
  await sql`create index messages_leased on messages (clinic_id, lease_until) where lease_until is not null`.execute(
    db,
  );
  await sql`create index messages_patient on messages (clinic_id, patient_id, id)`.execute(db);
  // A reply names its message by the address alone.
  await sql`create index messages_address on messages (clinic_id, address) where attempt_no > 0 and address is not null`.execute(
    db,
  );
  await sql`create index messages_rule on messages (clinic_id, rule_id, scheduled_at) where rule_id is not null`.execute(
    db,
  );
  // Where a provider takes our own id for its own, the primary key finds the message.
  await sql`create index messages_provider on messages (clinic_id, provider_message_id)
    where provider_message_id <> client_ref`.execute(db);
  await sql`create index messages_client_ref on messages (clinic_id, client_ref) where client_ref <> id::text`.execute(
    db,
  );
  await sql`call protect_clinic_table('messages')`.execute(db);

  // One row for each call to a provider, written before the call.
  await sql`
    create table attempts (
      clinic_id uuid not null,
      message_id uuid not null,
      attempt_no smallint not null,
      provider text not null,
      client_ref text not null,
      started_at timestamptz not null,
      finished_at timestamptz,
      outcome text check (outcome in ('accepted', 'rejected', 'unknown')),
      provider_message_id text,
      error_class text,
      provider_code text,
      http_status smallint,
      primary key (clinic_id, message_id, attempt_no),
      foreign key (clinic_id, message_id) references messages on delete cascade
    )`.execute(db);
  await sql`call protect_clinic_table('attempts')`.execute(db);

  // What providers told us, each thing once.
  await sql`
    create table receipts (
      clinic_id uuid not null references clinics on delete cascade,
      channel text not null,
      dedupe_key text not null,
      message_id uuid,
      status text not null,
      error_class text,
      provider_code text,
      occurred_at timestamptz not null,
      received_at timestamptz not null,
      primary key (clinic_id, channel, dedupe_key),
      foreign key (clinic_id, message_id) references messages on delete cascade
    )`.execute(db);
  await sql`create index receipts_message on receipts (clinic_id, message_id)`.execute(db);
  await sql`call protect_clinic_table('receipts')`.execute(db);

  // The same person is not written to twice on one day for one purpose, whoever shares the address.
  await sql`
    create table contact_days (
      clinic_id uuid not null,
      address text not null,
      purpose text not null check (purpose in ('care', 'marketing')),
      local_day date not null,
      -- Null for a contact that the host made itself.
      message_id uuid,
      primary key (clinic_id, address, purpose, local_day),
      foreign key (clinic_id, address) references contact_points,
      foreign key (clinic_id, message_id) references messages on delete cascade
    )`.execute(db);
  await sql`create index contact_days_message on contact_days (clinic_id, message_id) where message_id is not null`.execute(
    db,
  );
  await sql`call protect_clinic_table('contact_days')`.execute(db);

  // How many messages left on a local day of the clinic: counting them anew for each would cost more than sending.
  await sql`
    create table dispatch_days (
      clinic_id uuid not null references clinics on delete cascade,
      local_day date not null,
      messages integer not null check (messages >= 0),
      primary key (clinic_id, local_day)
    )`.execute(db);
  await sql`call protect_clinic_table('dispatch_days')`.execute(db);

  await sql`
    create table tasks (
      clinic_id uuid not null references clinics on delete cascade,
      id uuid not null,
      patient_id uuid,
      rule_id uuid,
      message_id uuid,
      -- What the patient asked for; null where a rule asks staff to call.
      asks text check (asks in ('answer', 'cancel', 'other-time', 'rating', 'details')),
      state text not null check (state in ('open', 'done')),
      due_at timestamptz not null,
      assignee text,
      text text not null,
      outcome text check (outcome in ('reached', 'no-answer', 'wrong-number', 'refused', 'booked')),
      note text,
      loss_reason text,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, id),
      foreign key (clinic_id, patient_id) references patients,
      foreign key (clinic_id, rule_id) references rules,
      foreign key (clinic_id, message_id) references messages on delete cascade,
      check ((state = 'done') = (outcome is not null))
    )`.execute(db);
  // Whoever asks twice for the same thing about a message opens one task.
  await sql`create unique index tasks_asked on tasks (clinic_id, message_id, asks) nulls not distinct where state = 'open' and message_id is not null`.execute(
    db,
  );
  await sql`create index tasks_message on tasks (clinic_id, message_id) where message_id is not null`.execute(
    db,
  );
  await sql`create index tasks_open on tasks (clinic_id, due_at, id) where state = 'open'`.execute(
    db,
  );
  await sql`call protect_clinic_table('tasks')`.execute(db);
}
