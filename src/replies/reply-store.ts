import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName, Purpose } from '../database/tables.ts';
import { isUuid, uuidv7 } from '../uuid.ts';
import type { Meaning } from './reply.ts';

/** Answers as they are kept, and the messages that they may answer. */

export interface NewReply {
  channel: ChannelName;
  address: string | null;
  patientId: string | null;
  messageId: string | null;
  text: string;
  score?: number;
  meaning: Meaning;
  /** Equal for two deliveries of the same answer. */
  dedupeKey: string;
  receivedAt: Temporal.Instant;
}

/** @returns null when this answer was kept before. */
export async function insertReply(
  trx: Trx,
  clinicId: string,
  reply: NewReply,
  now: Temporal.Instant,
): Promise<{ id: string } | null> {
  const kept = await trx
    .insertInto('replies')
    .values(toRow(clinicId, reply, now))
    .onConflict((conflict) => conflict.columns(['clinic_id', 'channel', 'dedupe_key']).doNothing())
    .returning('id')
    .executeTakeFirst();
  return kept ?? null;
}

/** Keeps what was said on a page; who says it anew corrects what they said before. */
export async function putReply(
  trx: Trx,
  clinicId: string,
  reply: NewReply,
  now: Temporal.Instant,
): Promise<void> {
  const { text, score, meaning, received_at } = toRow(clinicId, reply, now);
  await trx
    .insertInto('replies')
    .values(toRow(clinicId, reply, now))
    .onConflict((conflict) =>
      conflict
        .columns(['clinic_id', 'channel', 'dedupe_key'])
        .doUpdateSet({ text, score, meaning, received_at }),
    )
    .execute();
}

function toRow(clinicId: string, reply: NewReply, now: Temporal.Instant) {
  return {
    clinic_id: clinicId,
    id: uuidv7(now),
    channel: reply.channel,
    address: reply.address,
    patient_id: reply.patientId,
    message_id: reply.messageId,
    text: reply.text,
    score: reply.score ?? null,
    meaning: reply.meaning,
    dedupe_key: reply.dedupeKey,
    received_at: reply.receivedAt,
  };
}

/** A message as whoever answers it sees it. */
export interface AnsweredMessage {
  id: string;
  ruleId: string | null;
  /** Its patient, or who a merge put in their place. */
  patientId: string;
  channel: ChannelName;
  address: string | null;
  purpose: Purpose;
  language: string | null;
  patientLanguage: string | null;
  /** The appointment that it speaks of, as it stood then. */
  appointment: { source: string; externalId: string; revision: number } | null;
}

const answered = sql`
  m.id, m.rule_id as "ruleId", coalesce(p.replaced_by, p.id) as "patientId", m.channel, m.address, m.purpose,
  m.language, p.language as "patientLanguage",
  case when m.guard -> 'anchor' ->> 'kind' = 'appointment' then jsonb_build_object(
    'source', m.guard -> 'anchor' ->> 'source', 'externalId', m.guard -> 'anchor' ->> 'id',
    'revision', (m.guard -> 'anchor' ->> 'revision')::int) end as appointment`;

export async function findAnsweredMessage(
  trx: Trx,
  clinicId: string,
  id: string,
): Promise<AnsweredMessage | null> {
  if (!isUuid(id)) return null;
  const { rows } = await sql<AnsweredMessage>`
    select ${answered} from messages m
    join patients p on p.clinic_id = ${clinicId} and p.id = m.patient_id
    where m.clinic_id = ${clinicId} and m.id = ${id}`.execute(trx);
  return rows[0] ?? null;
}

/** The message of ours that a provider knows by that id, its own or the one we gave it. */
export async function findMessageOfProvider(
  trx: Trx,
  clinicId: string,
  channel: ChannelName,
  providerMessageId: string,
): Promise<string | null> {
  if (isUuid(providerMessageId)) {
    const own = await trx
      .selectFrom('messages')
      .select('id')
      .where('clinic_id', '=', clinicId)
      .where('id', '=', providerMessageId)
      .where('channel', '=', channel)
      .executeTakeFirst();
    if (own !== undefined) return own.id;
  }
  const row = await trx
    .selectFrom('messages')
    .select('id')
    .where('clinic_id', '=', clinicId)
    .where('provider_message_id', '=', providerMessageId)
    // Where it is our own id, the provider names that; this also leads to the index.
    .whereRef('provider_message_id', '<>', 'client_ref')
    .where('channel', '=', channel)
    .orderBy('id', 'desc')
    .executeTakeFirst();
  return row?.id ?? null;
}

/** That message, if it went to that address. */
export async function findMessageTo(
  trx: Trx,
  clinicId: string,
  { id, channel, address }: { id: string; channel: ChannelName; address: string },
): Promise<string | null> {
  const row = await trx
    .selectFrom('messages')
    .select('id')
    .where('clinic_id', '=', clinicId)
    .where('id', '=', id)
    .where('channel', '=', channel)
    .where('address', '=', address)
    .executeTakeFirst();
  return row?.id ?? null;
}

/** The last message that went to each person at this address since then, the latest first. */
export async function findMessagesTo(
  trx: Trx,
  clinicId: string,
  to: { channel: ChannelName; address: string; since: Temporal.Instant; limit: number },
): Promise<AnsweredMessage[]> {
  const { rows } = await sql<AnsweredMessage>`
    with latest as (
      select distinct on (coalesce(p.replaced_by, p.id)) m.id, coalesce(m.sent_at, m.updated_at) as left_at
      from messages m join patients p on p.clinic_id = ${clinicId} and p.id = m.patient_id
      where m.clinic_id = ${clinicId} and m.address = ${to.address} and m.attempt_no > 0
        and m.channel = ${to.channel} and coalesce(m.sent_at, m.updated_at) >= ${to.since}
      order by coalesce(p.replaced_by, p.id), left_at desc, m.id desc
    )
    select ${answered} from latest
    join messages m on m.clinic_id = ${clinicId} and m.id = latest.id
    join patients p on p.clinic_id = ${clinicId} and p.id = m.patient_id
    order by latest.left_at desc, m.id desc
    limit ${to.limit}`.execute(trx);
  return rows;
}

/** Who has this contact point. */
export async function findPatientsAt(
  trx: Trx,
  clinicId: string,
  address: string,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select distinct p.id from patient_contact_points c
    join patients p on p.clinic_id = ${clinicId} and p.id = c.patient_id
      and p.is_known and p.deleted_at is null and p.replaced_by is null
    where c.clinic_id = ${clinicId} and c.address = ${address}
    order by p.id limit ${limit}`.execute(trx);
  return rows.map((row) => row.id);
}
