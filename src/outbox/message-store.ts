import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName, MessageState, Purpose } from '../database/tables.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import { earlier } from '../local-time.ts';
import { uuidv7 } from '../uuid.ts';
import type { Guard } from './guard.ts';
import { inFlightStates, withdrawableStates } from './message.ts';

/** How messages come into the outbox and are taken back. Other rooms write messages by these alone. */

export interface NewMessage {
  ruleId?: string;
  ruleVersion?: number;
  journeyId?: string;
  /** Counted from 0. */
  step?: number;
  occurrence?: string;
  /** The journey waits for this message to leave before its next step. */
  journeyContinues?: boolean;
  patientId: string;
  purpose: Purpose;
  channel: ChannelName;
  template?: string;
  /** The text itself, in place of a template. */
  body?: { subject?: string; text: string };
  /** Null where the channel needs no contact point. */
  address: string | null;
  priority?: number;
  onAmbiguous?: 'at-most-once' | 'at-least-once';
  guard: Guard;
  state: 'scheduled' | 'held' | 'suppressed';
  /** Needed with `held` and `suppressed`. */
  reason?: string;
  scheduledAt: Temporal.Instant;
  expiresAt: Temporal.Instant;
  /** When the dispatcher looks at it; `scheduledAt` unless told. */
  nextAt?: Temporal.Instant;
}

/**
 * Stores messages and wakes the dispatcher for the earliest. A step that a journey already has on that
 * channel is left as it is.
 * @returns the ids of those stored now, in the order given.
 */
export async function enqueueMessages(
  trx: Trx,
  clinicId: string,
  messages: readonly NewMessage[],
  now: Temporal.Instant,
): Promise<string[]> {
  if (messages.length === 0) return [];
  const rows = messages.map((message) => toRow(message, now));
  const { rows: stored } = await sql<{ id: string; next_at: Temporal.Instant | null }>`
    insert into messages (clinic_id, id, rule_id, rule_version, journey_id, step, occurrence, journey_continues,
      patient_id, purpose, channel, template, body, address, priority, on_ambiguous, guard, state, reason,
      scheduled_at, expires_at, next_at, settled_at, created_at, updated_at)
    select ${clinicId}, id, rule_id, rule_version, journey_id, step, occurrence, journey_continues,
      patient_id, purpose, channel, template, body, address, priority, on_ambiguous, guard, state, reason,
      scheduled_at, expires_at, next_at, case when state = 'suppressed' then ${now}::timestamptz end, ${now}, ${now}
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as new (id uuid, rule_id uuid, rule_version integer,
      journey_id uuid, step smallint, occurrence text, journey_continues boolean, patient_id uuid, purpose text,
      channel text, template text, body jsonb, address text, priority smallint, on_ambiguous text, guard jsonb,
      state text, reason text, scheduled_at timestamptz, expires_at timestamptz, next_at timestamptz)
    order by id
    on conflict (clinic_id, journey_id, step, channel) where journey_id is not null do nothing
    returning id, next_at`.execute(trx);
  await wakeForEarliest(trx, clinicId, stored);
  const ids = new Set(stored.map((row) => row.id));
  return rows.map((row) => row.id).filter((id) => ids.has(id));
}

function toRow(message: NewMessage, now: Temporal.Instant) {
  const nextAt = earlier(message.nextAt ?? message.scheduledAt, message.expiresAt);
  return {
    id: uuidv7(now),
    rule_id: message.ruleId,
    rule_version: message.ruleVersion,
    journey_id: message.journeyId,
    step: message.step,
    occurrence: message.occurrence,
    journey_continues: message.journeyContinues ?? false,
    patient_id: message.patientId,
    purpose: message.purpose,
    channel: message.channel,
    template: message.template,
    body: message.body,
    address: message.address,
    priority: message.priority ?? 50,
    on_ambiguous: message.onAmbiguous ?? 'at-most-once',
    guard: message.guard,
    state: message.state,
    reason: message.reason,
    scheduled_at: message.scheduledAt,
    expires_at: message.expiresAt,
    next_at: message.state === 'suppressed' ? null : nextAt,
  };
}

async function wakeForEarliest(
  trx: Trx,
  clinicId: string,
  rows: readonly { next_at: Temporal.Instant | null }[],
): Promise<void> {
  const instants = rows.flatMap((row) => (row.next_at === null ? [] : [row.next_at]));
  const first = instants[0];
  if (first === undefined) return;
  await wakeClinic(trx, clinicId, 'dispatch', instants.reduce(earlier, first));
}

/** Messages by their own ids, or all of these journeys. */
export type MessageChoice = { journeyIds: readonly string[] } | { messageIds: readonly string[] };

export interface Withdrawn {
  /** Taken back: these never leave. */
  withdrawn: string[];
  /** Perhaps at a provider already; marked, so that no further attempt is made. */
  inFlight: string[];
}

/** Takes back what has not left; what may be on the wire is marked and never tried again. */
export async function withdrawMessages(
  trx: Trx,
  clinicId: string,
  choice: MessageChoice,
  end: { state: 'cancelled' | 'suppressed'; reason: string },
  now: Temporal.Instant,
): Promise<Withdrawn> {
  const { rows } = await sql<{ id: string; state: MessageState }>`
    with chosen as (
      select id from messages where clinic_id = ${clinicId} and ${chosenBy(choice)}
        and state = any(${[...withdrawableStates, ...inFlightStates]}::text[])
      order by id for no key update
    )
    update messages m set
      state = case when m.state = any(${[...withdrawableStates]}::text[]) then ${end.state} else m.state end,
      reason = case when m.state = any(${[...withdrawableStates]}::text[]) then ${end.reason} else m.reason end,
      next_at = case when m.state = any(${[...withdrawableStates]}::text[]) then null else m.next_at end,
      lease_until = case when m.state = 'sending' then m.lease_until end,
      settled_at = case when m.state = any(${[...withdrawableStates]}::text[]) then ${now}::timestamptz else m.settled_at end,
      cancel_requested = m.cancel_requested or m.state = any(${[...inFlightStates]}::text[]),
      updated_at = ${now}
    from chosen where m.clinic_id = ${clinicId} and m.id = chosen.id
      and m.state = any(${[...withdrawableStates, ...inFlightStates]}::text[])
    returning m.id, m.state`.execute(trx);
  const withdrawn = rows.filter((row) => row.state === end.state).map((row) => row.id);
  const inFlight = rows.filter((row) => row.state !== end.state).map((row) => row.id);
  await releaseContactDays(trx, clinicId, withdrawn);
  return { withdrawn, inFlight };
}

/** Whose journeys wait for one of these messages. */
export async function findConcerned(
  trx: Trx,
  clinicId: string,
  messageIds: readonly string[],
): Promise<{ patientId: string }[]> {
  if (messageIds.length === 0) return [];
  const { rows } = await sql<{ patientId: string }>`
    select distinct patient_id as "patientId" from messages
    where clinic_id = ${clinicId} and id = any(${[...messageIds]}::uuid[]) and journey_continues`.execute(
    trx,
  );
  return rows;
}

/** What did not reach the patient does not count toward the caps. */
export async function releaseContactDays(
  trx: Trx,
  clinicId: string,
  messageIds: readonly string[],
): Promise<void> {
  if (messageIds.length === 0) return;
  await sql`
    with named as (
      delete from named_days where clinic_id = ${clinicId} and message_id = any(${[...messageIds]}::uuid[])
    )
    delete from contact_days
    where clinic_id = ${clinicId} and message_id = any(${[...messageIds]}::uuid[])`.execute(trx);
}

export interface NewTimes {
  id: string;
  scheduledAt: Temporal.Instant;
  expiresAt: Temporal.Instant;
  /** What must be true when it leaves, where that is another now. */
  guard?: Guard;
}

/** Gives waiting messages new times; one that was held is looked at anew. @returns the ids that were still waiting. */
export async function rescheduleMessages(
  trx: Trx,
  clinicId: string,
  times: readonly NewTimes[],
  now: Temporal.Instant,
): Promise<string[]> {
  if (times.length === 0) return [];
  const rows = times.map((time) => ({
    id: time.id,
    scheduled_at: time.scheduledAt,
    expires_at: time.expiresAt,
    guard: time.guard ?? null,
  }));
  const { rows: moved } = await sql<{ id: string; next_at: Temporal.Instant | null }>`
    with chosen as (
      select m.id, new.scheduled_at, new.expires_at, new.guard
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as new (id uuid, scheduled_at timestamptz, expires_at timestamptz,
        guard jsonb)
      join messages m on m.clinic_id = ${clinicId} and m.id = new.id and m.state in ('scheduled', 'held', 'retry')
      order by m.id for no key update of m
    )
    update messages m set state = 'scheduled', reason = null, scheduled_at = chosen.scheduled_at,
      expires_at = chosen.expires_at, guard = coalesce(chosen.guard, m.guard),
      next_at = least(chosen.scheduled_at, chosen.expires_at), updated_at = ${now}
    from chosen where m.clinic_id = ${clinicId} and m.id = chosen.id and m.state in ('scheduled', 'held', 'retry')
    returning m.id, m.next_at`.execute(trx);
  await wakeForEarliest(trx, clinicId, moved);
  return moved.map((row) => row.id);
}

/** What a changed rule says of messages that wait. */
export interface RenewedTerms {
  ruleId: string;
  version: number;
  purpose: Purpose;
  priority: number;
  onAmbiguous: 'at-most-once' | 'at-least-once';
  unlessBooked: boolean;
  stopOn: readonly string[];
  /** Whether it asks patients back. */
  isInviting: boolean;
  /** The template of each step. */
  templates: readonly string[];
}

/** Of a rule that was changed, what nobody tried to send yet follows the new version. */
export async function renewMessages(
  trx: Trx,
  clinicId: string,
  terms: RenewedTerms,
  now: Temporal.Instant,
): Promise<void> {
  const { ruleId, version, purpose, priority, onAmbiguous, unlessBooked, stopOn, templates } =
    terms;
  // It is the message that opens the journey whose turn is asked about.
  const opens = sql`${terms.isInviting}::boolean and not exists (
    select from messages b where b.clinic_id = ${clinicId} and b.journey_id = m.journey_id and b.attempt_no > 0)`;
  const guard = JSON.stringify({ unlessBooked, stopOn });
  await sql`
    with chosen as (
      select id from messages
      where clinic_id = ${clinicId} and rule_id = ${ruleId} and state in ('scheduled', 'held') and attempt_no = 0
        and step < ${templates.length}
      order by id for no key update
    )
    update messages m set rule_version = ${version}, purpose = ${purpose}, priority = ${priority},
      on_ambiguous = ${onAmbiguous}, guard = (m.guard - 'invitation') || ${guard}::jsonb
        || case when ${opens} then '{"invitation": true}'::jsonb else '{}'::jsonb end,
      template = (${[...templates]}::text[])[m.step + 1], journey_continues = m.step < ${templates.length - 1},
      updated_at = ${now}
    from chosen where m.clinic_id = ${clinicId} and m.id = chosen.id and m.state in ('scheduled', 'held')`.execute(
    trx,
  );
}

/** What may have changed for messages that wait for it: these patients' history, or the named reasons. */
export type HeldChoice = { patientIds: readonly string[] } | { reasons: readonly string[] };

/** Has held messages looked at again now, but none before it is due. Call it when what may hold them has changed. */
export async function recheckHeld(
  trx: Trx,
  clinicId: string,
  choice: HeldChoice,
  now: Temporal.Instant,
): Promise<void> {
  const filter =
    'patientIds' in choice
      ? sql`patient_id = any(${[...choice.patientIds]}::uuid[]) and reason <> 'rule-paused'`
      : sql`reason = any(${[...choice.reasons]}::text[])`;
  const { rows } = await sql<{ next_at: Temporal.Instant | null }>`
    with chosen as (
      select id from messages
      where clinic_id = ${clinicId} and state = 'held' and next_at > ${now} and ${filter}
      order by id for no key update
    )
    update messages m set next_at = least(greatest(m.scheduled_at, ${now}::timestamptz), m.expires_at)
    from chosen where m.clinic_id = ${clinicId} and m.id = chosen.id and m.state = 'held'
    returning m.next_at`.execute(trx);
  await wakeForEarliest(trx, clinicId, rows);
}

/** Where a journey's message stands, for the planner. */
export interface JourneyMessage {
  id: string;
  journeyId: string;
  step: number;
  channel: ChannelName;
  state: MessageState;
  reason: string | null;
  scheduledAt: Temporal.Instant;
  expiresAt: Temporal.Instant;
  sentAt: Temporal.Instant | null;
  settledAt: Temporal.Instant | null;
  updatedAt: Temporal.Instant;
  repliedAt: Temporal.Instant | null;
  clickedAt: Temporal.Instant | null;
  cancelRequested: boolean;
}

/** All messages of these journeys, by journey and step. */
export async function journeyMessages(
  trx: Trx,
  clinicId: string,
  journeyIds: readonly string[],
): Promise<JourneyMessage[]> {
  if (journeyIds.length === 0) return [];
  const { rows } = await sql<JourneyMessage>`
    select id, journey_id as "journeyId", step, channel, state, reason, scheduled_at as "scheduledAt",
      expires_at as "expiresAt", sent_at as "sentAt", settled_at as "settledAt", updated_at as "updatedAt",
      replied_at as "repliedAt", clicked_at as "clickedAt", cancel_requested as "cancelRequested"
    from messages
    where clinic_id = ${clinicId} and journey_id = any(${[...journeyIds]}::uuid[])
    order by journey_id, step, id`.execute(trx);
  return rows;
}

function chosenBy(choice: MessageChoice) {
  return 'journeyIds' in choice
    ? sql`journey_id = any(${[...choice.journeyIds]}::uuid[])`
    : sql`id = any(${[...choice.messageIds]}::uuid[])`;
}
