import { sql } from 'kysely';
import type { Told } from './judge.ts';
import type { Contestant } from './kills.ts';

/** The control: the same messages, copied to a queue of its own, sent by `naive.ts`. */
export const naive: Contestant = {
  name: 'naive',
  program: 'naive.ts',
  table: 'naive_messages',
  prepare: async (db) => {
    await sql`
      create table naive_messages (id uuid primary key, provider text not null, address text not null,
        text text not null, state text not null default 'scheduled', due_at timestamptz not null default clock_timestamp(), lease_until timestamptz, held_by text)`.execute(
      db,
    );
    await sql`
      insert into naive_messages (id, provider, address, text)
      select m.id, c.provider, coalesce(m.address, p.external_id), 'Dear patient, half a year has passed: come and see us.'
      from messages m
      join channels c on c.clinic_id = m.clinic_id and c.channel = m.channel
      join patients p on p.clinic_id = m.clinic_id and p.id = m.patient_id
      where m.state = 'scheduled'`.execute(db);
  },
  tell: async (db) => {
    const { rows } = await sql<Told>`
      select id, provider, address, null as "clientRef", state, null as reason, false as "isSettled", false as "isBarred",
        false as "mayRepeat"
      from naive_messages`.execute(db);
    return rows;
  },
  open: async (db) => {
    const { rows } = await sql<{ open: number }>`
      select count(*)::int as open from naive_messages where state <> 'sent'`.execute(db);
    return rows[0]?.open ?? 0;
  },
};
