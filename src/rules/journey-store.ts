import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';
import type { JourneyState } from '../database/tables.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import type { Guard } from '../outbox/guard.ts';
import { withdrawMessages } from '../outbox/message-store.ts';
import { uuidv7 } from '../uuid.ts';
import type { Anchor } from './triggers/trigger.ts';

/** Journeys: one row for each occurrence, for ever. */

/** Something of it may still happen. */
export const openStates = ['planned', 'active', 'held'] as const satisfies readonly JourneyState[];

export function isOpen({ state }: { state: JourneyState }): boolean {
  return (openStates as readonly string[]).includes(state);
}

export interface Journey {
  id: string;
  ruleId: string;
  patientId: string;
  occurrence: string;
  anchor: Anchor;
  dueAt: Temporal.Instant;
  expiresAt: Temporal.Instant;
  state: JourneyState;
  reason: string | null;
  step: number;
  nextAt: Temporal.Instant | null;
  holdout: boolean;
  /** When it was let in by the backlog; null for what fell due while the rule was on. */
  enteredAt: Temporal.Instant | null;
  /** Of what was let in: when it had fallen due. Its `dueAt` is of the day on which it entered. */
  wasDueAt: Temporal.Instant | null;
}

export type NewJourney = Omit<Journey, 'id'> & { ruleVersion: number };

const columns = sql`
  id, rule_id as "ruleId", patient_id as "patientId", occurrence, anchor, due_at as "dueAt",
  expires_at as "expiresAt", state, reason, step, next_at as "nextAt", holdout,
  entered_at as "enteredAt", was_due_at as "wasDueAt"`;

type NewRow = Pick<
  NewJourney,
  | 'ruleId'
  | 'ruleVersion'
  | 'patientId'
  | 'occurrence'
  | 'anchor'
  | 'state'
  | 'reason'
  | 'step'
  | 'holdout'
> & {
  id: string;
  dueMs: number;
  expiresMs: number;
  nextMs: number | undefined;
  enteredMs: number | undefined;
  wasDueMs: number | undefined;
};

const newTypes: ColumnTypes<NewRow> = {
  id: 'uuid',
  ruleId: 'uuid',
  ruleVersion: 'int',
  patientId: 'uuid',
  occurrence: 'text',
  anchor: 'jsonb',
  dueMs: 'epoch_ms',
  expiresMs: 'epoch_ms',
  state: 'text',
  reason: 'text',
  step: 'int',
  nextMs: 'epoch_ms',
  holdout: 'boolean',
  enteredMs: 'epoch_ms',
  wasDueMs: 'epoch_ms',
};

/** @returns the ids by position; null for occurrences that have a journey already. */
export async function insertJourneys(
  trx: Trx,
  clinicId: string,
  journeys: readonly NewJourney[],
  now: Temporal.Instant,
): Promise<(string | null)[]> {
  if (journeys.length === 0) return [];
  const rows = journeys.map((journey) => ({
    ...journey,
    id: uuidv7(now),
    dueMs: journey.dueAt.epochMilliseconds,
    expiresMs: journey.expiresAt.epochMilliseconds,
    nextMs: journey.nextAt?.epochMilliseconds,
    enteredMs: journey.enteredAt?.epochMilliseconds,
    wasDueMs: journey.wasDueAt?.epochMilliseconds,
  }));
  const { rows: stored } = await sql<{ id: string }>`
    insert into journeys (clinic_id, id, rule_id, rule_version, patient_id, occurrence, anchor, due_at, expires_at,
      state, reason, step, next_at, holdout, entered_at, was_due_at, created_at, updated_at)
    select ${clinicId}::uuid, id, "ruleId", "ruleVersion", "patientId", occurrence, anchor, "dueMs", "expiresMs",
      state, reason, step, "nextMs", holdout, "enteredMs", "wasDueMs", ${now}, ${now}
    from ${rowSet<NewRow>(rows, newTypes, 'new')}
    order by "patientId", occurrence
    on conflict (clinic_id, rule_id, patient_id, occurrence) do nothing
    returning id`.execute(trx);
  const ids = new Set(stored.map((row) => row.id));
  return rows.map((row) => (ids.has(row.id) ? row.id : null));
}

/** Locks these patients' journeys: the open ones, and those of the occurrences named. */
export async function lockJourneys(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
  occurrences: readonly { ruleId: string; patientId: string; occurrence: string }[],
): Promise<Journey[]> {
  const { rows } = await sql<Journey>`
    select ${columns} from journeys
    where clinic_id = ${clinicId} and patient_id = any(${[...patientIds]}::uuid[])
      and (state = any(${[...openStates]}::text[])
        or (rule_id, patient_id, occurrence) in (
          select o."ruleId", o."patientId", o.occurrence
          from jsonb_to_recordset(${JSON.stringify(occurrences.map(({ ruleId, patientId, occurrence }) => ({ ruleId, patientId, occurrence })))}::jsonb)
            as o ("ruleId" uuid, "patientId" uuid, occurrence text)))
    order by id for no key update`.execute(trx);
  return rows;
}

/** Whose journeys of these occurrences have ended before anything left. */
export async function patientsOfEnded(
  trx: Trx,
  clinicId: string,
  occurrences: readonly { ruleId: string; patientId: string; occurrence: string }[],
): Promise<string[]> {
  if (occurrences.length === 0) return [];
  const { rows } = await sql<{ patient_id: string }>`
    select distinct j.patient_id
    from unnest(${occurrences.map(({ ruleId }) => ruleId)}::uuid[], ${occurrences.map(({ patientId }) => patientId)}::uuid[],
      ${occurrences.map(({ occurrence }) => occurrence)}::text[]) as o (rule_id, patient_id, occurrence)
    join journeys j on j.clinic_id = ${clinicId} and j.rule_id = o.rule_id and j.patient_id = o.patient_id
      and j.occurrence = o.occurrence
    where j.state in ('suppressed', 'cancelled')
    order by j.patient_id`.execute(trx);
  return rows.map((row) => row.patient_id);
}

export interface EarliestOpen {
  dueAt: Temporal.Instant;
  createdAt: Temporal.Instant;
}

/** How far back each rule's open journeys of these patients reach. */
export async function earliestOpen(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<Map<string, EarliestOpen>> {
  const { rows } = await sql<EarliestOpen & { ruleId: string }>`
    select rule_id as "ruleId", min(coalesce(was_due_at, due_at)) as "dueAt", min(created_at) as "createdAt" from journeys
    where clinic_id = ${clinicId} and patient_id = any(${[...patientIds]}::uuid[])
      and state = any(${[...openStates]}::text[])
    group by rule_id`.execute(trx);
  return new Map(rows.map((row) => [row.ruleId, row]));
}

export type JourneyChange = Pick<
  Journey,
  | 'id'
  | 'anchor'
  | 'dueAt'
  | 'expiresAt'
  | 'state'
  | 'reason'
  | 'step'
  | 'nextAt'
  | 'holdout'
  | 'enteredAt'
  | 'wasDueAt'
>;

export async function updateJourneys(
  trx: Trx,
  clinicId: string,
  changes: readonly JourneyChange[],
  now: Temporal.Instant,
): Promise<void> {
  if (changes.length === 0) return;
  await sql`
    update journeys j set anchor = new.anchor, due_at = new."dueAt", expires_at = new."expiresAt", state = new.state,
      reason = new.reason, step = new.step, next_at = new."nextAt", holdout = new.holdout,
      entered_at = new."enteredAt", was_due_at = new."wasDueAt", updated_at = ${now}
    from jsonb_to_recordset(${JSON.stringify(changes)}::jsonb) as new (id uuid, anchor jsonb, "dueAt" timestamptz,
      "expiresAt" timestamptz, state text, reason text, step smallint, "nextAt" timestamptz, holdout boolean,
      "enteredAt" timestamptz, "wasDueAt" timestamptz)
    where j.clinic_id = ${clinicId} and j.id = new.id`.execute(trx);
}

/** Journeys whose next look is due, as patients to be planned anew. Several planners get different ones. */
export async function patientsWithDueJourneys(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ patient_id: string }>`
    with due as (
      select j.patient_id from journeys j join rules r on r.clinic_id = ${clinicId} and r.id = j.rule_id
        and r.state = 'active' and r.deleted_at is null
      where j.clinic_id = ${clinicId} and j.next_at <= ${now}
      order by j.next_at limit ${limit} for no key update of j skip locked
    )
    select distinct patient_id from due order by patient_id`.execute(trx);
  return rows.map((row) => row.patient_id);
}

/**
 * Ends, in one statement, journeys of which nothing is left to plan: their last step's message has left
 * or ended. @returns how many.
 */
export async function finishJourneys(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
  limit: number,
): Promise<number> {
  const { numAffectedRows } = await sql`
    with done as (
      select j.id, m.state, m.reason from journeys j
      join lateral (
        select state, reason, sent_at, journey_continues from messages m
        where m.clinic_id = ${clinicId} and m.journey_id = j.id
          and not (state = 'cancelled' and coalesce(reason, '') = 'channel-changed')
        order by step desc, (sent_at is not null) desc limit 1) m on not m.journey_continues
      where j.clinic_id = ${clinicId} and j.next_at <= ${now} and j.state in ('planned', 'active')
        and m.state not in ('scheduled', 'held', 'claimed', 'sending', 'retry')
      order by j.next_at limit ${limit} for no key update of j skip locked
    )
    update journeys j set next_at = null, updated_at = ${now},
      state = case when j.state = 'active' or done.state in ('sent', 'delivered', 'read', 'unknown', 'failed') then 'finished' else done.state end,
      reason = case when j.state = 'active' or done.state in ('sent', 'delivered', 'read', 'unknown', 'failed') then null else done.reason end
    from done where j.clinic_id = ${clinicId} and j.id = done.id`.execute(trx);
  return Number(numAffectedRows ?? 0n);
}

/** Whether changed patients wait to be planned anew. */
export async function hasReplanMarks(trx: Trx, clinicId: string): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    select exists (select from replan where clinic_id = ${clinicId}) as found`.execute(trx);
  return rows[0]?.found ?? false;
}

/** When the next journey wants a look; null when none does. Those of rules that rest do not. */
export async function nextJourneyAt(trx: Trx, clinicId: string): Promise<Temporal.Instant | null> {
  const { rows } = await sql<{ next_at: Temporal.Instant }>`
    select j.next_at from journeys j join rules r on r.clinic_id = ${clinicId} and r.id = j.rule_id
      and r.state = 'active' and r.deleted_at is null
    where j.clinic_id = ${clinicId} and j.next_at is not null
    order by j.next_at limit 1`.execute(trx);
  return rows[0]?.next_at ?? null;
}

/** Drops messages that never left, of these journeys and by their own ids, so that new ones can have their places. */
export async function dropUnsentMessages(
  trx: Trx,
  clinicId: string,
  journeyIds: readonly string[],
  messageIds: readonly string[],
): Promise<void> {
  if (journeyIds.length + messageIds.length === 0) return;
  await sql`
    delete from messages
    where clinic_id = ${clinicId}
      and (journey_id = any(${[...journeyIds]}::uuid[]) or id = any(${[...messageIds]}::uuid[]))
      and state in ('cancelled', 'suppressed', 'expired') and attempt_no = 0`.execute(trx);
}

export interface HeldMessage {
  id: string;
  reason: string;
  nextAt: Temporal.Instant;
  expiresAt: Temporal.Instant;
  guard: Guard;
}

/** Shows why waiting messages would not go now; the dispatcher asks again when they are due. */
export async function holdMessages(
  trx: Trx,
  clinicId: string,
  held: readonly HeldMessage[],
  now: Temporal.Instant,
): Promise<void> {
  if (held.length === 0) return;
  const { rows } = await sql<{ next_at: Temporal.Instant }>`
    with chosen as (
      select m.id, new.reason, new."nextAt", new."expiresAt", new.guard
      from jsonb_to_recordset(${JSON.stringify(held)}::jsonb) as new (id uuid, reason text, "nextAt" timestamptz,
        "expiresAt" timestamptz, guard jsonb)
      join messages m on m.clinic_id = ${clinicId} and m.id = new.id and m.state in ('scheduled', 'held', 'retry')
      order by m.id for no key update of m
    )
    update messages m set state = 'held', reason = chosen.reason, expires_at = chosen."expiresAt", guard = chosen.guard,
      next_at = least(greatest(chosen."nextAt", ${now}::timestamptz), chosen."expiresAt"), updated_at = ${now}
    from chosen where m.clinic_id = ${clinicId} and m.id = chosen.id and m.state in ('scheduled', 'held', 'retry')
    returning m.next_at`.execute(trx);
  await wakeDispatch(trx, clinicId, rows);
}

async function wakeDispatch(
  trx: Trx,
  clinicId: string,
  rows: readonly { next_at: Temporal.Instant }[],
): Promise<void> {
  const first = rows.map((row) => row.next_at).sort(Temporal.Instant.compare)[0];
  if (first) await wakeClinic(trx, clinicId, 'dispatch', first);
}

/** Has the patients planned anew of whom nothing has left yet: the rule is another now. */
export async function replanUnsentOfRule(
  trx: Trx,
  clinicId: string,
  ruleId: string,
): Promise<void> {
  await sql`
    insert into replan (clinic_id, patient_id)
    select distinct clinic_id, patient_id from journeys
    where clinic_id = ${clinicId} and rule_id = ${ruleId} and state = any(${[...openStates]}::text[])`.execute(
    trx,
  );
}

export async function holdMessagesOfRule(
  trx: Trx,
  clinicId: string,
  ruleId: string,
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    with waiting as (
      select id from messages
      where clinic_id = ${clinicId} and rule_id = ${ruleId} and state in ('scheduled', 'held', 'retry', 'claimed')
      order by id for no key update
    )
    update messages m set state = 'held', reason = 'rule-paused', next_at = expires_at, lease_until = null,
      updated_at = ${now}
    from waiting where m.clinic_id = ${clinicId} and m.id = waiting.id
      and m.state in ('scheduled', 'held', 'retry', 'claimed')`.execute(trx);
}

export async function resumeMessagesOfRule(
  trx: Trx,
  clinicId: string,
  ruleId: string,
  now: Temporal.Instant,
): Promise<void> {
  const { rows } = await sql<{ next_at: Temporal.Instant }>`
    with waiting as (
      select id from messages
      where clinic_id = ${clinicId} and rule_id = ${ruleId} and state = 'held' and reason = 'rule-paused'
      order by id for no key update
    )
    update messages m set state = 'scheduled', reason = null, updated_at = ${now},
      next_at = least(greatest(scheduled_at, ${now}::timestamptz), expires_at)
    from waiting where m.clinic_id = ${clinicId} and m.id = waiting.id and m.state = 'held'
    returning m.next_at`.execute(trx);
  await wakeDispatch(trx, clinicId, rows);
}

export async function cancelJourneysOfRule(
  trx: Trx,
  clinicId: string,
  ruleId: string,
  reason: string,
  now: Temporal.Instant,
): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    update journeys set state = 'cancelled', reason = ${reason}, next_at = null, updated_at = ${now},
      anchor = case when state = 'held' and reason is not null
        then anchor || jsonb_build_object('waitedFor', reason) else anchor end
    where clinic_id = ${clinicId} and rule_id = ${ruleId} and state = any(${[...openStates]}::text[])
    returning id`.execute(trx);
  const journeyIds = rows.map((row) => row.id);
  await withdrawMessages(trx, clinicId, { journeyIds }, { state: 'cancelled', reason }, now);
}
