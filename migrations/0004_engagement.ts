import { type Kysely, sql } from 'kysely';

/** What a clinic says and through what: templates and channels. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table templates (
      clinic_id uuid not null references clinics on delete cascade,
      name text not null,
      purpose text not null check (purpose in ('transactional', 'care', 'marketing')),
      -- {<channel>: {<language>: {subject?, text, html?}}}
      bodies jsonb not null,
      updated_at timestamptz not null,
      primary key (clinic_id, name)
    )`.execute(db);
  await sql`call protect_clinic_table('templates')`.execute(db);

  await sql`
    create table channels (
      clinic_id uuid not null references clinics on delete cascade,
      channel text not null check (channel in ('sms', 'email', 'whatsapp', 'telegram', 'webhook', 'inbox', 'task')),
      provider text not null,
      enabled boolean not null,
      -- AES-256-GCM under the service's secret key.
      credentials bytea,
      options jsonb not null default '{}',
      tariff jsonb not null default '{}',
      limits jsonb not null default '{}',
      -- Set when the provider refuses the account itself: its messages wait.
      paused_reason text,
      paused_at timestamptz,
      -- When a paused channel is tried again.
      resume_at timestamptz,
      -- From when on the account's rate has room: replicas reserve their calls here.
      next_slot_at timestamptz,
      -- Where polling for receipts or answers stands.
      poll_cursor text,
      updated_at timestamptz not null,
      primary key (clinic_id, channel),
      check ((paused_reason is null) = (paused_at is null))
    )`.execute(db);
  await sql`call protect_clinic_table('channels')`.execute(db);
}
