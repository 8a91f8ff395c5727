import { type Kysely, sql } from 'kysely';

/**
 * What the host is told by signed webhooks: what happened, once for each clinic that listens, and a row for each
 * webhook that is to hear it. Both are written by the transaction in which it happened (docs/adr/0018). The
 * new triggers take a short exclusive lock on their tables and read no row.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  // The kinds are words of the code; a row of one that nobody knows is never claimed.
  await sql`alter table clinic_work drop constraint if exists clinic_work_kind_check`.execute(db);
  await sql`alter table clinic_work add constraint clinic_work_kind_check check (kind ~ '^[a-z]{1,40}$')`.execute(
    db,
  );

  await sql`
    create table webhooks (
      clinic_id uuid not null references clinics on delete cascade,
      name text not null check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
      url text not null,
      -- Types such as message.sent, groups such as message.*, or *.
      events text[] not null check (cardinality(events) > 0),
      -- In whose words the ids of the host are told.
      source text not null,
      -- Encrypted; the one before it signs too until it ends.
      secret bytea not null,
      previous_secret bytea,
      previous_until timestamptz,
      -- Paused: what happens is kept for it. Disabled: its receiver wants nothing more.
      state text not null default 'active' check (state in ('active', 'paused', 'disabled')),
      stopped_at timestamptz,
      -- Calls that went wrong since the last that went well.
      failures integer not null default 0 check (failures >= 0),
      failing_since timestamptz,
      rests_until timestamptz,
      -- One sender at a time, so that what happened is told in order.
      lease_epoch integer not null default 0,
      lease_until timestamptz,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, name),
      check ((previous_secret is null) = (previous_until is null)),
      check ((state = 'active') = (stopped_at is null)),
      check ((failures = 0) = (failing_since is null))
    )`.execute(db);
  await sql`call protect_clinic_table('webhooks')`.execute(db);

  await sql`
    create table host_events (
      clinic_id uuid not null references clinics on delete cascade,
      id uuid not null,
      -- The order in which things happened, as far as one transaction knows of another.
      position bigint generated always as identity,
      type text not null,
      -- By the clinic's clock.
      occurred_at timestamptz not null,
      -- Ids of the host as source~id, which each webhook is told in the words of its own source.
      host_ids jsonb not null default '{}',
      -- Ids of ours and states: never a name, an address or a text.
      data jsonb not null default '{}',
      created_at timestamptz not null default now(),
      primary key (clinic_id, id)
    )`.execute(db);
  await sql`create index host_events_age on host_events (clinic_id, created_at)`.execute(db);
  await sql`create index host_events_since on host_events (clinic_id, occurred_at)`.execute(db);
  await sql`call protect_clinic_table('host_events')`.execute(db);

  await sql`
    create table webhook_deliveries (
      clinic_id uuid not null,
      webhook text not null,
      event_id uuid not null,
      -- That of the event.
      position bigint not null,
      state text not null default 'waiting' check (state in ('waiting', 'done', 'failed')),
      -- When to tell it; the epoch for what was never tried, whatever the clock of the clinic is.
      next_at timestamptz default 'epoch',
      attempt_no integer not null default 0,
      -- Attempts since it was begun, or begun anew.
      tries smallint not null default 0,
      first_tried_at timestamptz,
      settled_at timestamptz,
      primary key (clinic_id, webhook, event_id),
      foreign key (clinic_id, webhook) references webhooks on delete cascade,
      foreign key (clinic_id, event_id) references host_events on delete cascade,
      check ((state = 'waiting') = (next_at is not null)),
      check ((state = 'waiting') = (settled_at is null))
    )`.execute(db);
  await sql`create index webhook_deliveries_waiting on webhook_deliveries (clinic_id, webhook, position) where state = 'waiting'`.execute(
    db,
  );
  await sql`create index webhook_deliveries_next on webhook_deliveries (clinic_id, webhook, next_at) where state = 'waiting'`.execute(
    db,
  );
  await sql`create index webhook_deliveries_list on webhook_deliveries (clinic_id, webhook, state, position)`.execute(
    db,
  );
  await sql`create index webhook_deliveries_event on webhook_deliveries (clinic_id, event_id)`.execute(
    db,
  );
  await sql`call protect_clinic_table('webhook_deliveries')`.execute(db);

  await sql`
    create table webhook_attempts (
      clinic_id uuid not null,
      webhook text not null,
      event_id uuid not null,
      attempt_no integer not null,
      started_at timestamptz not null,
      duration_ms integer not null,
      -- What the receiver answered, never with its body; else why no answer came.
      http_status smallint,
      reason text,
      primary key (clinic_id, webhook, event_id, attempt_no),
      foreign key (clinic_id, webhook, event_id) references webhook_deliveries on delete cascade,
      check ((http_status is null) = (reason is not null))
    )`.execute(db);
  await sql`call protect_clinic_table('webhook_attempts')`.execute(db);

  await fanOut(db);
  await tellMessages(db);
  await tellTasks(db);
  await tellChannels(db);
}

/** One place decides who hears what, whoever writes an event. */
async function fanOut(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function hears_event(patterns text[], type text) returns boolean language sql immutable parallel safe
    return type = any(patterns) or '*' = any(patterns) or split_part(type, '.', 1) || '.*' = any(patterns)`.execute(
    db,
  );
  await sql`
    create function fan_out_host_events() returns trigger language plpgsql as $$
    begin
      insert into webhook_deliveries (clinic_id, webhook, event_id, position)
      select t.clinic_id, w.name, t.id, t.position
      from told t
      -- A webhook that is being deleted is waited for, then not seen.
      join lateral (
        select name from webhooks
        where clinic_id = t.clinic_id and state <> 'disabled' and hears_event(events, t.type)
        for key share
      ) w on true;
      return null;
    end $$`.execute(db);
  await sql`
    create trigger fan_out_host_events after insert on host_events referencing new table as told
    for each statement execute function fan_out_host_events()`.execute(db);
  // At the commit: a transaction that also wakes other roles has locked their rows by then, so that none waits for
  // another in a circle, and whoever adds a delivery cannot forget it.
  await sql`
    create function wake_webhooks() returns trigger language plpgsql as $$
    begin
      if current_setting('app.webhooks_woken', true) is distinct from txid_current()::text then
        perform set_config('app.webhooks_woken', txid_current()::text, true);
        insert into clinic_work (clinic_id, kind, next_at) values (new.clinic_id, 'webhook', 'epoch')
        on conflict (clinic_id, kind) do update set next_at = excluded.next_at;
      end if;
      return null;
    end $$`.execute(db);
  await sql`
    create constraint trigger wake_webhooks after insert on webhook_deliveries deferrable initially deferred
    for each row execute function wake_webhooks()`.execute(db);
}

/** Messages change their state in many statements, a thousand at once: one look for each statement. */
async function tellMessages(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function uuid_v7(at timestamptz) returns uuid language sql volatile
    return encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
      placing substring(int8send(floor(extract(epoch from at) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid`.execute(
    db,
  );
  await sql`
    create function source_and_id(source text, external_id text) returns text language sql immutable parallel safe
    return source || '~' || external_id`.execute(db);
  await sql`
    create function host_ids_of(clinic uuid, patient uuid) returns jsonb language sql stable
    return (select jsonb_build_object('patientId', source_and_id(coalesce(s.source, p.source), coalesce(s.external_id, p.external_id)))
      from patients p left join patients s on s.clinic_id = clinic and s.id = p.replaced_by
      where p.clinic_id = clinic and p.id = patient)`.execute(db);
  await sql`
    create function message_host_ids(clinic uuid, patient uuid, guard jsonb) returns jsonb language sql stable
    return coalesce(host_ids_of(clinic, patient), '{}')
      || case when guard #>> '{anchor,kind}' = 'appointment' then jsonb_build_object('appointmentId',
        source_and_id(guard #>> '{anchor,source}', guard #>> '{anchor,id}')) else '{}' end`.execute(
    db,
  );
  await sql`
    create function message_data(id uuid, rule_id uuid, channel text, purpose text, state text, reason text)
    returns jsonb language sql stable
    return jsonb_build_object('messageId', id, 'ruleId', rule_id, 'channel', channel, 'purpose', purpose,
      'state', state, 'reason', reason)`.execute(db);
  await sql`
    create function tell_messages() returns trigger language plpgsql as $$
    declare
      heard text[];
    begin
      select array_agg(distinct p) into heard from webhooks w, unnest(w.events) p
      where w.clinic_id = current_clinic() and w.state <> 'disabled' and (p = '*' or p like 'message.%');
      if heard is null then
        return null;
      end if;
      insert into host_events (clinic_id, id, type, occurred_at, host_ids, data)
      select n.clinic_id, uuid_v7(n.updated_at), 'message.' || e.name, n.updated_at,
        message_host_ids(n.clinic_id, n.patient_id, n.guard),
        message_data(n.id, n.rule_id, n.channel, n.purpose, e.name, n.reason)
      from changed n
      join before o on o.clinic_id = n.clinic_id and o.id = n.id
      -- A message may pass through several at once: the sandbox delivers what it takes.
      cross join lateral (values
        (1, 'sent', o.sent_at is null and n.sent_at is not null),
        (2, 'delivered', o.delivered_at is null and n.delivered_at is not null),
        (3, 'read', o.read_at is null and n.read_at is not null),
        (4, n.state, n.state <> o.state and n.state in ('failed', 'unknown', 'suppressed', 'expired', 'cancelled'))
      ) e (step, name, has_happened)
      where e.has_happened and hears_event(heard, 'message.' || e.name)
      order by n.id, e.step;
      return null;
    end $$`.execute(db);
  await sql`
    create trigger tell_messages after update on messages referencing old table as before new table as changed
    for each statement execute function tell_messages()`.execute(db);
  await sql`
    create function tell_new_message() returns trigger language plpgsql as $$
    begin
      if exists (select from webhooks where clinic_id = new.clinic_id and state <> 'disabled'
        and hears_event(events, 'message.suppressed')) then
        insert into host_events (clinic_id, id, type, occurred_at, host_ids, data)
        values (new.clinic_id, uuid_v7(new.updated_at), 'message.suppressed', new.updated_at,
          message_host_ids(new.clinic_id, new.patient_id, new.guard),
          message_data(new.id, new.rule_id, new.channel, new.purpose, new.state, new.reason));
      end if;
      return null;
    end $$`.execute(db);
  await sql`
    create trigger tell_new_message after insert on messages
    for each row when (new.state = 'suppressed') execute function tell_new_message()`.execute(db);
}

async function tellTasks(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function tell_task() returns trigger language plpgsql as $$
    declare
      event text := case tg_op when 'INSERT' then 'task.created' else 'task.done' end;
    begin
      if exists (select from webhooks where clinic_id = new.clinic_id and state <> 'disabled' and hears_event(events, event)) then
        insert into host_events (clinic_id, id, type, occurred_at, host_ids, data)
        values (new.clinic_id, uuid_v7(new.updated_at), event, new.updated_at,
          coalesce(host_ids_of(new.clinic_id, new.patient_id), '{"patientId": null}'),
          jsonb_build_object('taskId', new.id, 'ruleId', new.rule_id, 'messageId', new.message_id, 'asks', new.asks,
            'state', new.state, 'outcome', new.outcome));
      end if;
      return null;
    end $$`.execute(db);
  await sql`
    create trigger tell_new_task after insert on tasks for each row execute function tell_task()`.execute(
    db,
  );
  await sql`
    create trigger tell_settled_task after update on tasks
    for each row when (old.state <> new.state and new.state = 'done') execute function tell_task()`.execute(
    db,
  );
}

async function tellChannels(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function tell_channel() returns trigger language plpgsql as $$
    declare
      event text := case when new.paused_reason is null then 'channel.resumed' else 'channel.paused' end;
      at timestamptz := coalesce((select test_now from clinics where id = new.clinic_id), now());
    begin
      if exists (select from webhooks where clinic_id = new.clinic_id and state <> 'disabled' and hears_event(events, event)) then
        insert into host_events (clinic_id, id, type, occurred_at, data)
        values (new.clinic_id, uuid_v7(at), event, at,
          jsonb_build_object('channel', new.channel, 'provider', new.provider, 'reason', new.paused_reason));
      end if;
      return null;
    end $$`.execute(db);
  await sql`
    create trigger tell_channel after update on channels
    for each row when ((old.paused_reason is null) <> (new.paused_reason is null)) execute function tell_channel()`.execute(
    db,
  );
}
