import { sql } from 'kysely';
import type { Db } from '../../src/database/connect.ts';
import type { Told } from './judge.ts';
import type { Contestant } from './kills.ts';

/** Our outbox: what it sends are the messages that the rules planned. */
export const outbox = {
  name: 'outbox',
  program: 'dispatcher.ts',
  table: 'messages',
  prepare: async (db: Db) => {
    // Who holds a lease is nobody's business but the harness's, which must know whose owner it killed.
    await sql`alter table messages add column held_by text`.execute(db);
    await sql`
      create function note_holder() returns trigger language plpgsql as $$
      begin
        new.held_by := current_setting('application_name');
        return new;
      end $$`.execute(db);
    await sql`
      create trigger note_holder before update on messages for each row
      when (new.lease_until is not null and new.lease_until is distinct from old.lease_until)
      execute function note_holder()`.execute(db);
  },
  tell: async (db: Db) => {
    const { rows } = await sql<Told & { clinicId: string }>`
      select m.id, m.clinic_id as "clinicId", c.provider, coalesce(m.address, p.external_id) as address,
        m.client_ref as "clientRef", m.state, m.reason, m.settled_at is not null as "isSettled",
        coalesce(m.reason = 'deceased', false) as "isBarred", m.on_ambiguous = 'at-least-once' as "mayRepeat"
      from messages m
      join channels c on c.clinic_id = m.clinic_id and c.channel = m.channel
      join patients p on p.clinic_id = m.clinic_id and p.id = m.patient_id`.execute(db);
    return rows;
  },
  open: countOpen,
} satisfies Contestant;

async function countOpen(db: Db): Promise<number> {
  const { rows } = await sql<{ open: number }>`
    select count(*)::int as open from messages
    where state in ('scheduled', 'held', 'claimed', 'sending', 'retry')
      or (state = 'unknown' and settled_at is null)`.execute(db);
  return rows[0]?.open ?? 0;
}
