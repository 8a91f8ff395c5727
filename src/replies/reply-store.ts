import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName, Purpose } from '../database/tables.ts';
import { uuidv7 } from '../uuid.ts';
import type { Meaning } from './reply.ts';

/** Answers as they are kept, and which message each answers. */

export interface NewReply {
  channel: ChannelName;
  address: string | null;
  patientId: string | null;
  messageId: string | null;
  text: string;
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
  const id = uuidv7(now);
  const kept = await trx
    .insertInto('replies')
    .values({
      clinic_id: clinicId,
      id,
      channel: reply.channel,
      address: reply.address,
      patient_id: reply.patientId,
      message_id: reply.messageId,
      text: reply.text,
      meaning: reply.meaning,
      dedupe_key: reply.dedupeKey,
      received_at: reply.receivedAt,
    })
    .onConflict((conflict) => conflict.columns(['clinic_id', 'channel', 'dedupe_key']).doNothing())
    .returning('id')
    .executeTakeFirst();
  return kept ? { id } : null;
}

/** A message as whoever answers it sees it. */
export interface AnsweredMessage {
  id: string;
  patientId: string;
  channel: ChannelName;
  address: string | null;
  purpose: Purpose;
  language: string | null;
  patientLanguage: string | null;
  /** The appointment that it is about, by the host's id. */
  appointmentSource: string | null;
  appointmentId: string | null;
}

const answered = sql`
  m.id, coalesce(p.replaced_by, p.id) as "patientId", m.channel, m.address, m.purpose, m.language,
  p.language as "patientLanguage",
  case when m.guard -> 'anchor' ->> 'kind' = 'appointment' then m.guard -> 'anchor' ->> 'source' end as "appointmentSource",
  case when m.guard -> 'anchor' ->> 'kind' = 'appointment' then m.guard -> 'anchor' ->> 'id' end as "appointmentId"`;

export async function findAnsweredMessage(
  trx: Trx,
  clinicId: string,
  id: string,
): Promise<AnsweredMessage | null> {
  const { rows } = await sql<AnsweredMessage>`
    select ${answered} from messages m
    join patients p on p.clinic_id = ${clinicId} and p.id = m.patient_id
    where m.clinic_id = ${clinicId} and m.id = ${id}`.execute(trx);
  return rows[0] ?? null;
}

/** The last message to each person at this address since then; more than two tell no more than two. */
export async function findMessagesTo(
  trx: Trx,
  clinicId: string,
  channel: ChannelName,
  address: string,
  since: Temporal.Instant,
): Promise<AnsweredMessage[]> {
  const { rows } = await sql<AnsweredMessage>`
    select distinct on (coalesce(p.replaced_by, p.id)) ${answered}
    from patient_contact_points c
    join messages m on m.clinic_id = ${clinicId} and m.patient_id = c.patient_id
      and m.channel = ${channel} and m.address = c.address and m.sent_at >= ${since}
    join patients p on p.clinic_id = ${clinicId} and p.id = m.patient_id
    where c.clinic_id = ${clinicId} and c.address = ${address}
    order by coalesce(p.replaced_by, p.id), m.sent_at desc, m.id desc
    limit 2`.execute(trx);
  return rows;
}

/** Two at most: more than one leaves open who it is. */
export async function findPatientsAt(
  trx: Trx,
  clinicId: string,
  address: string,
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select distinct p.id from patient_contact_points c
    join patients p on p.clinic_id = ${clinicId} and p.id = c.patient_id
      and p.is_known and p.deleted_at is null and p.replaced_by is null
    where c.clinic_id = ${clinicId} and c.address = ${address}
    limit 2`.execute(trx);
  return rows.map((row) => row.id);
}
