import { sql } from 'kysely';
import type { Channel } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { Standing } from './receipt.ts';

/** One piece of news as it is stored, each once. */
export interface ReceiptRow {
  position: number;
  dedupeKey: string;
  clientRef: string | null;
  providerMessageId: string | null;
  address: string | null;
  status: string;
  errorClass: string | null;
  providerCode: string | null;
  occurredAt: Temporal.Instant;
}

const receiptColumns = sql`(position integer, "dedupeKey" text, "clientRef" text, "providerMessageId" text,
  address text, status text, "errorClass" text, "providerCode" text, "occurredAt" timestamptz)`;

const uuidForm = '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';

/**
 * Which message each piece of news is about: by our reference, else by the provider's id. Where
 * messages share one, the address tells them apart.
 */
export async function matchReceipts(
  trx: Trx,
  clinicId: string,
  channel: Channel,
  receipts: readonly ReceiptRow[],
): Promise<Map<number, string>> {
  const { rows } = await sql<{ position: number; id: string }>`
    with told as (select * from jsonb_to_recordset(${JSON.stringify(receipts)}::jsonb) as r ${receiptColumns}),
    named as (
      -- A provider may call a message by our reference.
      select position, address, "clientRef" as ref from told
      union
      select position, address, "providerMessageId" from told
    ), candidates as (
      select n.position, m.id, m.address, n.address as told_address
      from named n join messages m on m.clinic_id = ${clinicId} and m.channel = ${channel} and m.client_ref is not null
        and m.id = case when n.ref ~ ${uuidForm} then n.ref::uuid end
      union
      select n.position, m.id, m.address, n.address
      from named n join messages m on m.clinic_id = ${clinicId} and m.channel = ${channel}
        and m.client_ref <> m.id::text and m.client_ref = n.ref
      union
      select n.position, m.id, m.address, n.address
      from named n join messages m on m.clinic_id = ${clinicId} and m.channel = ${channel}
        and m.provider_message_id <> m.client_ref and m.provider_message_id = n.ref
    ), counted as (
      select *, count(*) over (partition by position) as candidates from candidates
    )
    select distinct on (position) position, id from counted
    where candidates = 1 or address = told_address
    order by position, id`.execute(trx);
  return new Map(rows.map((row) => [row.position, row.id]));
}

/** Stores each piece of news once. @returns the positions of those that are new. */
export async function insertReceipts(
  trx: Trx,
  clinicId: string,
  channel: Channel,
  receipts: readonly (ReceiptRow & { messageId: string | null })[],
  now: Temporal.Instant,
): Promise<Set<number>> {
  const { rows } = await sql<{ dedupe_key: string }>`
    insert into receipts (clinic_id, channel, dedupe_key, message_id, status, error_class, provider_code, occurred_at, received_at)
    select ${clinicId}, ${channel}, "dedupeKey", "messageId", status, "errorClass", "providerCode", "occurredAt", ${now}
    from jsonb_to_recordset(${JSON.stringify(receipts)}::jsonb) as r (position integer, "dedupeKey" text, "messageId" uuid,
      status text, "errorClass" text, "providerCode" text, "occurredAt" timestamptz)
    order by "dedupeKey"
    on conflict (clinic_id, channel, dedupe_key) do nothing
    returning dedupe_key`.execute(trx);
  const stored = new Set(rows.map((row) => row.dedupe_key));
  const news = new Set<number>();
  for (const { position, dedupeKey } of receipts) {
    // Of two equal ones in one delivery the first counts.
    if (stored.delete(dedupeKey)) news.add(position);
  }
  return news;
}

export interface StandingMessage extends Standing {
  id: string;
  provider: string | null;
  patientId: string;
  journeyContinues: boolean;
}

/** Locks the messages until the transaction ends. */
export async function lockStandings(
  trx: Trx,
  clinicId: string,
  messageIds: readonly string[],
): Promise<StandingMessage[]> {
  if (messageIds.length === 0) return [];
  const { rows } = await sql<StandingMessage>`
    select id, provider, patient_id as "patientId", journey_continues as "journeyContinues", state, reason,
      attempt_no as "attemptNo", sent_at as "sentAt", delivered_at as "deliveredAt", read_at as "readAt",
      clicked_at as "clickedAt"
    from messages where clinic_id = ${clinicId} and id = any(${[...messageIds]}::uuid[])
    order by id for no key update`.execute(trx);
  return rows;
}

export interface StandingChange extends Standing {
  id: string;
  cost: { micros: number; currency: string } | null;
  /** When to ask the provider again; null leaves that as it is. */
  lookAt: Temporal.Instant | null;
}

/** Writes what the ladder made of locked messages. */
export async function writeStandings(
  trx: Trx,
  clinicId: string,
  changes: readonly StandingChange[],
  now: Temporal.Instant,
): Promise<void> {
  if (changes.length === 0) return;
  await sql`
    update messages m set state = c.state, reason = c.reason, sent_at = c."sentAt", delivered_at = c."deliveredAt",
      read_at = c."readAt", clicked_at = c."clickedAt",
      lease_until = case when c.state in ('claimed', 'sending') then m.lease_until end,
      next_at = case c.state when 'delivered' then null when 'read' then null when 'failed' then null
        when 'sent' then coalesce(c."lookAt", m.next_at, ${now}) else coalesce(c."lookAt", m.next_at) end,
      settled_at = case when c.state in ('delivered', 'read', 'failed') then coalesce(m.settled_at, ${now}) else m.settled_at end,
      cost_micros = case when c.cost is null then m.cost_micros else (c.cost->>'micros')::bigint end,
      cost_currency = case when c.cost is null then m.cost_currency else c.cost->>'currency' end,
      updated_at = ${now}
    from jsonb_to_recordset(${JSON.stringify(changes)}::jsonb) as c (id uuid, state text, reason text,
      "sentAt" timestamptz, "deliveredAt" timestamptz, "readAt" timestamptz, "clickedAt" timestamptz,
      cost jsonb, "lookAt" timestamptz)
    where m.clinic_id = ${clinicId} and m.id = any(${changes.map(({ id }) => id)}::uuid[]) and m.id = c.id`.execute(
    trx,
  );
}

/** The reference under which a message went; null when it never did. */
export async function findClientRef(
  trx: Trx,
  clinicId: string,
  messageId: string,
): Promise<{ clientRef: string; channel: Channel } | null> {
  const row = await trx
    .selectFrom('messages')
    .select(['client_ref', 'channel'])
    .where('clinic_id', '=', clinicId)
    .where('id', '=', messageId)
    .executeTakeFirst();
  return row?.client_ref ? { clientRef: row.client_ref, channel: row.channel } : null;
}
