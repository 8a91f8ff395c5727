import { type Kysely, sql } from 'kysely';

/**
 * Conversations with patients, calls that were asked for, and the staff who hear of both (docs/adr/0019). `tasks` and
 * `replies` are each read once for a check and an index, about a second for each million rows; writes to
 * them wait for it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await createThreads(db);
  await createCallbacks(db);
  await createStaff(db);
  await wakeDesk(db);
  await notifyOfTasks(db);
}

async function createThreads(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table threads (
      clinic_id uuid not null references clinics on delete cascade,
      id uuid not null,
      -- Null while it is open who writes from a shared address.
      patient_id uuid,
      -- Kept only while there is no patient.
      address text,
      -- By which the patient wrote last; null where only staff wrote.
      channel text check (channel in ('sms', 'email', 'whatsapp', 'telegram', 'webhook', 'inbox')),
      state text not null check (state in ('open', 'closed')),
      -- Since when the patient waits for an answer.
      waiting_since timestamptz,
      -- When staff are given a task about it; null once they were.
      answer_by timestamptz,
      last_at timestamptz not null,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, id),
      foreign key (clinic_id, patient_id) references patients,
      check ((patient_id is null) = (address is not null)),
      check (state = 'open' or waiting_since is null),
      check (waiting_since is not null or answer_by is null)
    )`.execute(db);
  await sql`create unique index threads_patient on threads (clinic_id, patient_id) where patient_id is not null`.execute(
    db,
  );
  await sql`create unique index threads_address on threads (clinic_id, address) where patient_id is null`.execute(
    db,
  );
  await sql`create index threads_list on threads (clinic_id, last_at, id)`.execute(db);
  await sql`create index threads_due on threads (clinic_id, answer_by) where answer_by is not null`.execute(
    db,
  );
  await sql`call protect_clinic_table('threads')`.execute(db);

  await sql`
    alter table tasks add column thread_id uuid, add column phone text,
      add constraint tasks_thread_fkey foreign key (clinic_id, thread_id) references threads on delete set null (thread_id),
      drop constraint tasks_asks_check,
      add constraint tasks_asks_check check (asks in ('answer', 'cancel', 'other-time', 'rating', 'details', 'callback'))`.execute(
    db,
  );
  await sql`create unique index tasks_thread on tasks (clinic_id, thread_id) where state = 'open' and thread_id is not null`.execute(
    db,
  );
  await sql`create index replies_scored on replies (clinic_id, received_at) where score is not null`.execute(
    db,
  );
  await sql`create index replies_undecided on replies (clinic_id, address) where patient_id is null`.execute(
    db,
  );
}

/** What intake took and the desk has not served yet. */
async function createCallbacks(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table callbacks (
      clinic_id uuid not null references clinics on delete cascade,
      id uuid not null,
      patient_id uuid,
      -- As the host wrote it.
      phone text,
      note text not null,
      requested_at timestamptz not null,
      primary key (clinic_id, id),
      foreign key (clinic_id, patient_id) references patients,
      check (patient_id is not null or phone is not null)
    )`.execute(db);
  await sql`call protect_clinic_table('callbacks')`.execute(db);
}

async function createStaff(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table staff (
      clinic_id uuid not null references clinics on delete cascade,
      name text not null check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
      email text,
      phone text,
      notify text[] not null,
      language text not null,
      -- Where they work with what they hear: a page of the host's.
      url text,
      -- When their next digest is written; null for whoever gets none.
      digest_at timestamptz,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, name),
      check (email is not null or phone is not null),
      check (notify <@ array['task', 'thread', 'callback', 'digest']),
      check ((digest_at is not null) = ('digest' = any(notify)))
    )`.execute(db);
  await sql`create index staff_digest on staff (clinic_id, digest_at) where digest_at is not null`.execute(
    db,
  );
  await sql`call protect_clinic_table('staff')`.execute(db);

  // To a person and a channel; nothing in it is about a patient.
  await sql`
    create table staff_notices (
      clinic_id uuid not null,
      id uuid not null,
      staff text not null,
      channel text not null check (channel in ('sms', 'email')),
      topic text not null check (topic in ('task', 'thread', 'callback', 'digest')),
      state text not null default 'waiting' check (state in ('waiting', 'sending', 'sent', 'failed', 'unknown', 'expired')),
      reason text,
      -- When they are to hear it; what comes hours too late is not said any more.
      due_at timestamptz not null,
      next_at timestamptz,
      lease_until timestamptz,
      attempt_no smallint not null default 0,
      provider text,
      provider_message_id text,
      subject text,
      text text,
      sent_at timestamptz,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, id),
      foreign key (clinic_id, staff) references staff on delete cascade,
      check ((state = 'waiting') = (next_at is not null)),
      check ((state = 'sending') = (lease_until is not null)),
      check (reason is not null or state not in ('failed', 'unknown', 'expired'))
    )`.execute(db);
  // What comes while one waits goes with it.
  await sql`create unique index staff_notices_waiting on staff_notices (clinic_id, staff, channel, topic) where state = 'waiting'`.execute(
    db,
  );
  await sql`create index staff_notices_due on staff_notices (clinic_id, next_at) where next_at is not null`.execute(
    db,
  );
  await sql`create index staff_notices_leased on staff_notices (clinic_id, lease_until) where lease_until is not null`.execute(
    db,
  );
  await sql`create index staff_notices_staff on staff_notices (clinic_id, staff, channel, topic, updated_at)`.execute(
    db,
  );
  await sql`call protect_clinic_table('staff_notices')`.execute(db);
}

/**
 * At the commit, as for webhooks: the desk's row of work is locked after every other, and after the webhooks', so that
 * no two transactions wait for each other in a circle.
 */
async function wakeDesk(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function wake_desk() returns trigger language plpgsql as $$
    declare
      at timestamptz := (to_jsonb(new) ->> tg_argv[0])::timestamptz;
    begin
      if at is null then
        return null;
      end if;
      set constraints wake_webhooks immediate;
      insert into clinic_work (clinic_id, kind, next_at) values (new.clinic_id, 'desk', at)
      on conflict (clinic_id, kind) do update set next_at = least(clinic_work.next_at, excluded.next_at);
      return null;
    end $$`.execute(db);
  for (const [table, column] of [
    ['threads', 'answer_by'],
    ['callbacks', 'requested_at'],
    ['staff', 'digest_at'],
    ['staff_notices', 'next_at'],
  ] as const) {
    await sql`
      create constraint trigger wake_desk after insert or update on ${sql.table(table)}
      deferrable initially deferred for each row execute function wake_desk(${sql.lit(column)})`.execute(
      db,
    );
  }
}

/** Tasks are written by several hands; none can forget the staff. */
async function notifyOfTasks(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function notify_staff(clinic uuid, wanted text, person text, happened_at timestamptz, to_hear_at timestamptz)
    returns void language sql volatile
    begin atomic
      insert into staff_notices (clinic_id, id, staff, channel, topic, due_at, next_at, created_at, updated_at)
      select clinic, uuid_v7(happened_at), s.name, c.channel, t.topic, w.at, w.at, happened_at, happened_at
      from staff s
      -- A call that was asked for is a task like others to whoever wants to hear of tasks alone.
      cross join lateral (select case when wanted = 'callback' and not 'callback' = any(s.notify) then 'task'
        else wanted end as topic) t
      cross join lateral (values ('sms', s.phone), ('email', s.email)) c (channel, address)
      cross join lateral (select greatest(to_hear_at, max(n.updated_at) + interval '10 minutes') as at
        from staff_notices n where n.clinic_id = clinic and n.staff = s.name and n.channel = c.channel
          and n.topic = t.topic and n.state <> 'waiting') w
      where s.clinic_id = clinic and t.topic = any(s.notify) and c.address is not null
        and coalesce(s.name = person, true)
      order by s.name, c.channel
      on conflict (clinic_id, staff, channel, topic) where state = 'waiting'
      do update set due_at = least(staff_notices.due_at, excluded.due_at),
        next_at = least(staff_notices.next_at, excluded.next_at);
    end`.execute(db);
  await sql`
    create function notify_of_task() returns trigger language plpgsql as $$
    begin
      perform notify_staff(new.clinic_id, case when new.asks = 'callback' then 'callback' else 'task' end,
        new.assignee, new.created_at, new.due_at);
      return null;
    end $$`.execute(db);
  await sql`
    create trigger notify_of_task after insert on tasks for each row execute function notify_of_task()`.execute(
    db,
  );
}
