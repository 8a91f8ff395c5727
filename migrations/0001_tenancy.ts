import { type Kysely, sql } from 'kysely';

/**
 * Clinics, their keys, and the wall between them. Everything of a clinic is reached as the role
 * `retorno_runtime`, which owns nothing, under row level security that the owner cannot skip either.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Roles belong to the cluster, not to the database: another database's migration may win the race.
  await sql`
    do $$ begin
      if not exists (select from pg_roles where rolname = 'retorno_runtime') then
        create role retorno_runtime nologin nosuperuser nobypassrls nocreatedb nocreaterole;
      end if;
    exception
      when duplicate_object or unique_violation then null;
      when insufficient_privilege then
        raise exception 'This user may not make roles: let an administrator run "create role retorno_runtime nologin; grant retorno_runtime to %"', current_user;
    end $$`.execute(db);
  await sql`
    do $$ begin
      if not pg_has_role(current_user, 'retorno_runtime', 'member') then
        execute format('grant retorno_runtime to %I', current_user);
      end if;
    exception when insufficient_privilege then
      raise exception 'This user may not take on the role it works in: let an administrator run "grant retorno_runtime to %"', current_user;
    end $$`.execute(db);
  await sql`
    do $$ begin
      execute format('grant usage on schema %I to retorno_runtime', current_schema());
    end $$`.execute(db);

  await sql`
    create function current_clinic() returns uuid language sql stable parallel safe
    return nullif(current_setting('app.clinic_id', true), '')::uuid`.execute(db);

  // One way to put a table of a clinic behind the wall, so that none is put there by half.
  await sql`
    create procedure protect_clinic_table(name text) language plpgsql as $$
    begin
      execute format('alter table %I enable row level security', name);
      execute format('alter table %I force row level security', name);
      execute format('create policy own_clinic on %I using (clinic_id = current_clinic()) with check (clinic_id = current_clinic())', name);
      execute format('grant select, insert, update, delete on %I to retorno_runtime', name);
    end $$`.execute(db);

  // The three registries hold no patient's data. The service reads them across clinics; the runtime
  // role sees its own clinic's rows only.
  await sql`
    create procedure protect_registry(name text, clinic_column text) language plpgsql as $$
    begin
      execute format('alter table %I enable row level security', name);
      execute format('create policy own_clinic on %I to retorno_runtime using (%I = current_clinic()) with check (%I = current_clinic())', name, clinic_column, clinic_column);
      execute format('create policy service on %I using (current_user <> ''retorno_runtime'')', name);
      execute format('grant select, insert, update, delete on %I to retorno_runtime', name);
    end $$`.execute(db);

  await sql`
    create table clinics (
      id uuid primary key,
      -- Names the clinic in links, where a uuid would be too long for an SMS.
      number integer generated always as identity unique,
      name text not null,
      time_zone text not null,
      country text not null check (country ~ '^[A-Z]{2}$'),
      language text not null,
      currency text not null check (currency ~ '^[A-Z]{3}$'),
      mode text not null check (mode in ('live', 'test')),
      -- The present instant of a test clinic; live clinics follow the database's clock.
      test_now timestamptz,
      -- Where a move of the test clock is heading, so that a crash can be resumed.
      test_target timestamptz,
      settings jsonb not null default '{}',
      created_at timestamptz not null default now(),
      check ((mode = 'test') = (test_now is not null))
    )`.execute(db);
  await sql`call protect_registry('clinics', 'id')`.execute(db);

  await sql`
    create table key_index (
      hash bytea primary key,
      clinic_id uuid not null references clinics on delete cascade,
      key_id uuid not null,
      unique (clinic_id, key_id)
    )`.execute(db);
  await sql`call protect_registry('key_index', 'clinic_id')`.execute(db);

  // What wakes the background roles: they claim clinics here, longest unserved first.
  await sql`
    create table clinic_work (
      clinic_id uuid not null references clinics on delete cascade,
      kind text not null check (kind in ('plan', 'dispatch', 'reconcile')),
      next_at timestamptz,
      served_at timestamptz not null default 'epoch',
      primary key (clinic_id, kind)
    )`.execute(db);
  await sql`create index clinic_work_due on clinic_work (kind, next_at) where next_at is not null`.execute(
    db,
  );
  await sql`call protect_registry('clinic_work', 'clinic_id')`.execute(db);

  await sql`
    create table keys (
      clinic_id uuid not null references clinics on delete cascade,
      id uuid not null,
      name text not null,
      source text not null check (source ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
      scopes text[] not null,
      -- The first characters of the key, to tell keys apart; the key itself is not kept.
      prefix text not null,
      created_at timestamptz not null,
      revoked_at timestamptz,
      primary key (clinic_id, id)
    )`.execute(db);
  await sql`call protect_clinic_table('keys')`.execute(db);

  await sql`
    create table idempotency_keys (
      clinic_id uuid not null references clinics on delete cascade,
      key_id uuid not null,
      route text not null,
      key text not null,
      request_hash bytea not null,
      -- Null while the first request is still running.
      status smallint,
      -- The answer, encrypted: it may carry a patient's data.
      answer bytea,
      created_at timestamptz not null,
      primary key (clinic_id, key_id, route, key)
    )`.execute(db);
  await sql`create index idempotency_keys_age on idempotency_keys (clinic_id, created_at)`.execute(
    db,
  );
  await sql`call protect_clinic_table('idempotency_keys')`.execute(db);

  await sql`
    create table audit_entries (
      clinic_id uuid not null references clinics on delete cascade,
      id uuid not null,
      at timestamptz not null,
      actor text not null,
      action text not null,
      subject text not null,
      detail jsonb not null default '{}',
      primary key (clinic_id, id)
    )`.execute(db);
  await sql`call protect_clinic_table('audit_entries')`.execute(db);
  // Append-only for the service itself.
  await sql`revoke update, delete on audit_entries from retorno_runtime`.execute(db);
}
