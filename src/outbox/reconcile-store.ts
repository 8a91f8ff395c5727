import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName, MessageState } from '../database/tables.ts';
import { lockMessages } from './lock-messages-store.ts';

/** A message of which its provider has still to tell something. */
export interface OpenMessage {
  id: string;
  state: Extract<MessageState, 'sent' | 'unknown'>;
  channel: ChannelName;
  provider: string;
  clientRef: string;
  address: string | null;
  text: string | null;
  leaseEpoch: number;
  attemptNo: number;
  onAmbiguous: 'at-most-once' | 'at-least-once';
  startedAt: Temporal.Instant;
  sentAt: Temporal.Instant | null;
  notFoundAt: Temporal.Instant | null;
  expiresAt: Temporal.Instant;
  cancelRequested: boolean;
}

/**
 * Takes messages that are due for a look, longest due first. Their next look is moved on, so that
 * another replica does not ask at the same time and a crash only delays the answer.
 */
export async function takeOpenMessages(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
  again: Temporal.Instant,
  limit: number,
): Promise<OpenMessage[]> {
  const { rows } = await sql<OpenMessage>`
    with due as (
      select id from messages
      where clinic_id = ${clinicId} and state in ('sent', 'unknown') and next_at <= ${now}
      order by next_at, id limit ${limit} for no key update skip locked
    )
    update messages m set next_at = ${again}
    from due join attempts a on a.clinic_id = ${clinicId} and a.message_id = due.id
    where m.clinic_id = ${clinicId} and m.id = due.id and a.attempt_no = m.attempt_no
    returning m.id, m.state, m.channel, coalesce(m.provider, a.provider) as provider,
      coalesce(m.client_ref, a.client_ref) as "clientRef", m.address, m.text, m.lease_epoch as "leaseEpoch",
      m.attempt_no as "attemptNo", m.on_ambiguous as "onAmbiguous", a.started_at as "startedAt",
      m.sent_at as "sentAt", m.not_found_at as "notFoundAt", m.expires_at as "expiresAt",
      m.cancel_requested as "cancelRequested"`.execute(trx);
  return rows;
}

/** What was learnt of an open message. */
export interface Answer {
  id: string;
  /** The state it was in; another one means that somebody knows better by now. */
  from: OpenMessage['state'];
  attemptNo: number;
  state: MessageState;
  reason: string | null;
  nextAt: Temporal.Instant | null;
  isSettled: boolean;
  notFoundAt: Temporal.Instant | null;
  providerMessageId: string | null;
  costMicros: number | null;
  costCurrency: string | null;
}

export interface Answered {
  id: string;
  from: OpenMessage['state'];
  state: MessageState;
  patientId: string;
  journeyContinues: boolean;
}

/** S5: writes answers over the state they were asked in, and over no other. */
export async function writeAnswers(
  trx: Trx,
  clinicId: string,
  answers: readonly Answer[],
  now: Temporal.Instant,
): Promise<Answered[]> {
  if (answers.length === 0) return [];
  const ids = answers.map((answer) => answer.id);
  await lockMessages(trx, clinicId, ids);
  const { rows } = await sql<Answered>`
    with told as (
      select * from jsonb_to_recordset(${JSON.stringify(answers)}::jsonb) as t (id uuid, "from" text,
        "attemptNo" smallint, state text, reason text, "nextAt" timestamptz, "isSettled" boolean,
        "notFoundAt" timestamptz, "providerMessageId" text, "costMicros" bigint, "costCurrency" text)
    )
    update messages m set state = t.state, reason = t.reason, next_at = t."nextAt", not_found_at = t."notFoundAt",
      provider_message_id = coalesce(m.provider_message_id, t."providerMessageId"),
      cost_micros = case when t."costMicros" is null then m.cost_micros else t."costMicros" end,
      cost_currency = case when t."costMicros" is null then m.cost_currency else t."costCurrency" end,
      sent_at = case when t.state in ('sent', 'delivered', 'read') then coalesce(m.sent_at, ${now}) else m.sent_at end,
      delivered_at = case when t.state in ('delivered', 'read') then coalesce(m.delivered_at, ${now}) else m.delivered_at end,
      read_at = case when t.state = 'read' then coalesce(m.read_at, ${now}) else m.read_at end,
      settled_at = case when t."isSettled" then coalesce(m.settled_at, ${now}) end,
      updated_at = case when t.state = m.state then m.updated_at else ${now} end
    from told t
    where m.clinic_id = ${clinicId} and m.id = any(${ids}::uuid[]) and m.id = t.id and m.state = t."from" and m.attempt_no = t."attemptNo"
    returning m.id, t."from", m.state, m.patient_id as "patientId", m.journey_continues as "journeyContinues"`.execute(
    trx,
  );
  return rows;
}

/** When the reconciler has something to ask for a clinic. */
export async function nextReconcileAt(
  trx: Trx,
  clinicId: string,
): Promise<Temporal.Instant | null> {
  const { rows } = await sql<{ at: Temporal.Instant | null }>`
    select min(next_at) as at from messages
    where clinic_id = ${clinicId} and state in ('sent', 'unknown') and next_at is not null`.execute(
    trx,
  );
  return rows[0]?.at ?? null;
}
