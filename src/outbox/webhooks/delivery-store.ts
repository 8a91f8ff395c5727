import { sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import { wakeClinic } from '../../history/clinic-work-store.ts';
import type { Followed } from './follow-answer.ts';
import { receiverColumns, type SealedReceiver } from './receiver-store.ts';
import type { Delivery, DeliveryAttempt, DeliveryState } from './webhook.ts';

/** Who is to hear what, and how far that has come. Leases live on the database's clock, as those of messages do. */

/** Longer than one call and its record; renewed with each of them. */
const leaseMs = 45_000;
const leaseOver = sql`clock_timestamp() + ${`${leaseMs} ms`}::interval`;

/** A webhook that this process alone tells until its lease is over. */
export interface Lane extends SealedReceiver {
  leaseEpoch: number;
  failures: number;
  failingSince: Temporal.Instant | null;
}

/** Claims every webhook of the clinic that has something due and rests not, and which nobody else tells. */
export async function claimLanes(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
): Promise<Lane[]> {
  const { rows } = await sql<Lane>`
    with due as (
      select name from webhooks w
      where clinic_id = ${clinicId} and state = 'active' and coalesce(rests_until <= ${now}, true)
        and coalesce(lease_until <= clock_timestamp(), true)
        and exists (select from webhook_deliveries d where d.clinic_id = ${clinicId} and d.webhook = w.name
          and d.state = 'waiting' and d.next_at <= ${now})
      order by name for no key update skip locked
    )
    update webhooks w set lease_epoch = w.lease_epoch + 1, lease_until = ${leaseOver}
    from due where w.clinic_id = ${clinicId} and w.name = due.name
    returning ${receiverColumns}, w.lease_epoch as "leaseEpoch", w.failures, w.failing_since as "failingSince"`.execute(
    trx,
  );
  return rows;
}

export async function releaseLane(trx: Trx, clinicId: string, lane: Lane): Promise<void> {
  await sql`
    update webhooks set lease_until = null
    where clinic_id = ${clinicId} and name = ${lane.name} and lease_epoch = ${lane.leaseEpoch}`.execute(
    trx,
  );
}

export interface DueDelivery {
  eventId: string;
  type: string;
  occurredAt: Temporal.Instant;
  hostIds: Record<string, string | null>;
  data: Record<string, unknown>;
  tries: number;
  firstTriedAt: Temporal.Instant | null;
}

/** In the order in which it happened. */
export async function findDueDeliveries(
  trx: Trx,
  clinicId: string,
  webhook: string,
  now: Temporal.Instant,
  limit: number,
): Promise<DueDelivery[]> {
  const { rows } = await sql<DueDelivery>`
    select d.event_id as "eventId", e.type, e.occurred_at as "occurredAt", e.host_ids as "hostIds", e.data,
      d.tries, d.first_tried_at as "firstTriedAt"
    from webhook_deliveries d join host_events e on e.clinic_id = ${clinicId} and e.id = d.event_id
    where d.clinic_id = ${clinicId} and d.webhook = ${webhook} and d.state = 'waiting' and d.next_at <= ${now}
    order by d.position limit ${limit}`.execute(trx);
  return rows;
}

export interface NewAttempt extends DeliveryAttempt {
  eventId: string;
}

/**
 * Records one call. What was heard is recorded whoever holds the lease by now; the webhook's own state only
 * by its holder.
 * @returns whether this process still holds it.
 */
export async function recordAttempt(
  trx: Trx,
  clinicId: string,
  lane: Lane,
  attempt: NewAttempt,
  { delivery, webhook, hastens }: Followed,
): Promise<boolean> {
  const { rows } = await sql<{ held: boolean }>`
    with told as (
      update webhook_deliveries set state = ${delivery.state}, next_at = ${delivery.nextAt},
        settled_at = case when ${delivery.state} = 'waiting' then null else ${attempt.at}::timestamptz end,
        attempt_no = attempt_no + 1, tries = tries + 1, first_tried_at = coalesce(first_tried_at, ${attempt.at})
      where clinic_id = ${clinicId} and webhook = ${lane.name} and event_id = ${attempt.eventId} and state = 'waiting'
      returning attempt_no
    ), kept as (
      insert into webhook_attempts (clinic_id, webhook, event_id, attempt_no, started_at, duration_ms, http_status, reason)
      select ${clinicId}, ${lane.name}, ${attempt.eventId}, attempt_no, ${attempt.at}, ${attempt.durationMs},
        ${attempt.status}, ${attempt.reason} from told
    ), stood as (
      update webhooks set state = ${webhook.state}, stopped_at = case when ${webhook.state} = 'active' then null else ${attempt.at}::timestamptz end,
        failures = ${webhook.failures}, failing_since = ${webhook.failingSince}, rests_until = ${webhook.restsUntil},
        lease_until = ${leaseOver}
      where clinic_id = ${clinicId} and name = ${lane.name} and lease_epoch = ${lane.leaseEpoch}
      returning name
    )
    select exists (select from stood) as held`.execute(trx);
  if (hastens) await hasten(trx, clinicId, lane.name);
  return rows[0]?.held ?? false;
}

async function hasten(trx: Trx, clinicId: string, webhook: string): Promise<void> {
  await sql`
    update webhook_deliveries set next_at = 'epoch'
    where clinic_id = ${clinicId} and webhook = ${webhook} and state = 'waiting' and next_at > 'epoch'`.execute(
    trx,
  );
}

/** Begins anew with all that waits for a webhook. */
export async function retryAll(trx: Trx, clinicId: string, webhook: string): Promise<void> {
  await sql`
    update webhook_deliveries set next_at = 'epoch', tries = 0, first_tried_at = null
    where clinic_id = ${clinicId} and webhook = ${webhook} and state = 'waiting'`.execute(trx);
  await wakeClinic(trx, clinicId, 'webhook', beginning);
}

const beginning = Temporal.Instant.fromEpochMilliseconds(0);

/** When the next call is due; what somebody is telling now is looked at again when their lease ends. */
export async function nextCallAt(trx: Trx, clinicId: string): Promise<Temporal.Instant | null> {
  const { rows } = await sql<{ at: Temporal.Instant | null }>`
    select min(greatest(d.next_at, w.rests_until, w.lease_until)) as at
    from webhooks w cross join lateral (
      select next_at from webhook_deliveries
      where clinic_id = ${clinicId} and webhook = w.name and state = 'waiting'
      order by next_at limit 1
    ) d
    where w.clinic_id = ${clinicId} and w.state = 'active'`.execute(trx);
  return rows[0]?.at ?? null;
}

/** Events are kept so long, heard or not. */
export const keptDays = 30;

export async function pruneHostEvents(trx: Trx, clinicId: string, limit: number): Promise<void> {
  await sql`
    delete from host_events where clinic_id = ${clinicId} and id in (
      select id from host_events
      where clinic_id = ${clinicId} and created_at < clock_timestamp() - ${`${keptDays} days`}::interval
      order by created_at limit ${limit} for update skip locked)`.execute(trx);
}

export interface DeliveryPage {
  state?: DeliveryState;
  /** `position` of the last row of the page before. */
  afterPosition: string | null;
  limit: number;
}

const attemptsShown = 20;

/** The latest first. */
export async function listDeliveries(
  trx: Trx,
  clinicId: string,
  webhook: string,
  page: DeliveryPage,
): Promise<(Delivery & { position: string })[]> {
  const states = page.state === undefined ? ['waiting', 'done', 'failed'] : [page.state];
  const { rows } = await sql<Omit<Delivery, 'attempts'> & { position: string; attempts: Stored[] }>`
    select d.event_id as id, e.type, d.state, e.occurred_at as timestamp, nullif(d.next_at, 'epoch') as "nextAttemptAt",
      d.settled_at as "settledAt", d.position::text as position,
      (select coalesce(jsonb_agg(jsonb_build_object('at', a.started_at, 'durationMs', a.duration_ms,
          'status', a.http_status, 'reason', a.reason) order by a.attempt_no), '[]')
        from (select * from webhook_attempts where clinic_id = ${clinicId} and webhook = d.webhook and event_id = d.event_id
          order by attempt_no desc limit ${attemptsShown}) a) as attempts
    from webhook_deliveries d join host_events e on e.clinic_id = ${clinicId} and e.id = d.event_id
    where d.clinic_id = ${clinicId} and d.webhook = ${webhook} and d.state = any(${states}::text[])
      ${page.afterPosition === null ? sql`` : sql`and d.position < ${page.afterPosition}::bigint`}
    order by d.position desc limit ${page.limit}`.execute(trx);
  return rows.map(({ attempts, ...row }) => ({
    ...row,
    attempts: attempts.map((attempt) => ({ ...attempt, at: Temporal.Instant.from(attempt.at) })),
  }));
}

type Stored = Omit<DeliveryAttempt, 'at'> & { at: string };

/** Tells an event once more, under the same id. @returns whether that webhook was ever to hear it. */
export async function replayDelivery(
  trx: Trx,
  clinicId: string,
  webhook: string,
  eventId: string,
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update webhook_deliveries set state = 'waiting', next_at = 'epoch', tries = 0, first_tried_at = null, settled_at = null
    where clinic_id = ${clinicId} and webhook = ${webhook} and event_id = ${eventId}`.execute(trx);
  if (numAffectedRows === 0n) return false;
  await wakeClinic(trx, clinicId, 'webhook', beginning);
  return true;
}

/** One call to replay takes so many; the next one begins where it ended. */
export const replayMax = 10_000;

export interface Replayed {
  replayed: number;
  /** The instant to go on from where more have happened since; null where that was all. */
  next: Temporal.Instant | null;
}

/**
 * Tells all that happened since then and that the webhook asks for, the oldest first, under the ids of old;
 * also what it did not ask for when it happened, where another webhook did.
 */
export async function replaySince(
  trx: Trx,
  clinicId: string,
  webhook: string,
  since: Temporal.Instant,
): Promise<Replayed> {
  const { rows } = await sql<Replayed>`
    with chosen as materialized (
      select e.id, e.position, e.occurred_at from host_events e
      join webhooks w on w.clinic_id = ${clinicId} and w.name = ${webhook}
      where e.clinic_id = ${clinicId} and e.occurred_at >= ${since} and hears_event(w.events, e.type)
      order by e.occurred_at, e.position limit ${replayMax}
    ), told as (
      insert into webhook_deliveries as d (clinic_id, webhook, event_id, position)
      select ${clinicId}, ${webhook}, id, position from chosen order by position
      on conflict (clinic_id, webhook, event_id) do update
        set state = 'waiting', next_at = 'epoch', tries = 0, first_tried_at = null, settled_at = null
    )
    select count(*)::int as replayed,
      case when count(*) >= ${replayMax} then max(occurred_at) end as next from chosen`.execute(
    trx,
  );
  await wakeClinic(trx, clinicId, 'webhook', beginning);
  return rows[0] ?? { replayed: 0, next: null };
}
