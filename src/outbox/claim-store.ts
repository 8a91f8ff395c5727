import { sql } from 'kysely';
import { type Channel, channelNames } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import { rowSet } from '../database/row-set.ts';
import type { ChannelName, Purpose } from '../database/tables.ts';

/**
 * Leases on messages. They live on the database's clock, whatever the business time is, so that the
 * replicas of a clinic agree about them.
 */

export const leaseMs = 45_000;
/** Hard limit of one call to a provider. */
export const sendTimeoutMs = 10_000;
/** What is left of a lease when a call may still begin: its time-out, and time to record the outcome. */
export const leaseNeededMs = sendTimeoutMs + 5_000;

export interface Claim {
  id: string;
  leaseEpoch: number;
}

const leaseOver = sql`clock_timestamp() + ${`${leaseMs} ms`}::interval`;

export interface DueMessage extends Claim {
  patientId: string;
  purpose: Purpose;
}

/**
 * S1: holds due messages of one channel until the transaction ends: reminders first, which do not bear waiting
 * after an outage, and of each kind the most overdue. Nothing is written: a sender that dies leaves no claim behind.
 * A trial of a channel that rested may leave its message unknown: that risk is not a reminder's, if there is another.
 */
export async function lockDueMessages(
  trx: Trx,
  clinicId: string,
  channel: ChannelName,
  now: Temporal.Instant,
  limit: number,
  { isTrial = false } = {},
): Promise<DueMessage[]> {
  const due = sql`
    select id, patient_id as "patientId", purpose, lease_epoch as "leaseEpoch", next_at, priority, scheduled_at
    from messages
    where clinic_id = ${clinicId} and channel = ${channel} and state in ('scheduled', 'retry', 'held')
      and next_at <= ${now} and expires_at > ${now}`;
  const reminders = sql`purpose = 'transactional'`;
  const others = sql`purpose <> 'transactional'`;
  const inTurn = sql`order by next_at, priority desc, scheduled_at, id`;
  const { rows } = await sql<DueMessage>`
    with first as (
      ${due} and ${isTrial ? others : reminders} ${inTurn} limit ${limit} for no key update skip locked
    ), rest as (
      ${due} and ${isTrial ? reminders : others} ${inTurn} limit ${limit} - (select count(*) from first)
      for no key update skip locked
    )
    select id, "patientId", purpose, "leaseEpoch" from (
      select 1 as turn, * from first union all select 2, * from rest
    ) due
    order by turn, next_at, priority desc, scheduled_at, id`.execute(trx);
  return rows;
}

export interface DueWork {
  /** On which something waits that is due. */
  channels: Channel[];
  /** Whether a sender lost its lease. */
  hasLostLeases: boolean;
}

/** What a share of a clinic has to do, by a look at the indexes. */
export async function findDueWork(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
): Promise<DueWork> {
  const { rows } = await sql<DueWork>`
    select
      array(select c.channel from unnest(${[...channelNames]}::text[]) as c (channel)
        where exists (
          select from messages
          where clinic_id = ${clinicId} and channel = c.channel and state in ('scheduled', 'retry', 'held')
            and next_at <= ${now})) as channels,
      exists (select from messages where clinic_id = ${clinicId} and lease_until <= clock_timestamp()) as "hasLostLeases"`.execute(
    trx,
  );
  return rows[0] ?? { channels: [], hasLostLeases: false };
}

export interface Recovered {
  /** Nothing had been sent for these: they are due again. */
  rescheduled: number;
  /** Their process died with the call perhaps on the wire. */
  unknown: number;
  concerned: Ended[];
}

/** S4: takes messages back from a process that lost its lease. */
export async function recoverLeases(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
  limit: number,
): Promise<Recovered> {
  const { rows } = await sql<Ended & { state: string }>`
    with lost as (
      select id from messages
      where clinic_id = ${clinicId} and lease_until <= clock_timestamp()
      order by id limit ${limit} for no key update skip locked
    )
    update messages m set
      state = case m.state when 'sending' then 'unknown' else 'scheduled' end,
      reason = case m.state when 'sending' then 'interrupted' end,
      next_at = least(${now}, case m.state when 'sending' then ${now} else m.expires_at end),
      lease_until = null, updated_at = ${now}
    from lost
    where m.clinic_id = ${clinicId} and m.id = lost.id and m.state in ('claimed', 'sending')
      and m.lease_until <= clock_timestamp()
    returning m.state, m.patient_id as "patientId", m.journey_continues as "journeyContinues"`.execute(
    trx,
  );
  const unknown = rows.filter((row) => row.state === 'unknown');
  return {
    rescheduled: rows.length - unknown.length,
    unknown: unknown.length,
    concerned: unknown,
  };
}

/**
 * For a batch that takes longer to send than was foreseen: only what is extended may still be sent.
 * @returns the ids that this process still holds.
 */
export async function extendLeases(
  trx: Trx,
  clinicId: string,
  claims: readonly Claim[],
): Promise<Set<string>> {
  const { rows } = await sql<{ id: string }>`
    update messages m set lease_until = ${leaseOver}
    from ${rowSet(claims, { id: 'uuid', leaseEpoch: 'int' }, 'held')}
    where m.clinic_id = ${clinicId} and m.id = held.id and m.state = 'sending'
      and m.lease_epoch = held."leaseEpoch" and m.lease_until > clock_timestamp()
    returning m.id`.execute(trx);
  return new Set(rows.map((row) => row.id));
}

/** What the planner may wait for. */
export interface Ended {
  patientId: string;
  journeyContinues: boolean;
}

/** What waited until it was too late: a held one ends with the reason that held it. */
export async function expireDueMessages(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
  limit: number,
): Promise<Ended[]> {
  const { rows } = await sql<Ended>`
    with late as (
      select m.id from unnest(array['sms', 'email', 'whatsapp', 'telegram', 'webhook', 'inbox', 'task']) as c (channel)
      cross join lateral (
        select id from messages
        where clinic_id = ${clinicId} and channel = c.channel and state in ('scheduled', 'retry', 'held')
          and next_at <= ${now} and expires_at <= ${now}
        order by next_at limit ${limit} for no key update skip locked
      ) m
    )
    update messages m set
      state = case m.state when 'held' then 'suppressed' else 'expired' end,
      reason = case m.state when 'held' then m.reason else 'too-late' end,
      next_at = null, settled_at = ${now}, updated_at = ${now}
    from late where m.clinic_id = ${clinicId} and m.id = late.id and m.state in ('scheduled', 'retry', 'held')
    returning m.patient_id as "patientId", m.journey_continues as "journeyContinues"`.execute(trx);
  return rows;
}

/** When the dispatcher has something to do for a clinic: the earliest wait or lease that ends. */
export async function nextDispatchAt(trx: Trx, clinicId: string): Promise<Temporal.Instant | null> {
  const { rows } = await sql<{ at: Temporal.Instant | null }>`
    select least(
      (select min(first.next_at) from unnest(array['sms', 'email', 'whatsapp', 'telegram', 'webhook', 'inbox', 'task']) as c (channel)
        cross join lateral (
          select next_at from messages
          where clinic_id = ${clinicId} and channel = c.channel and state in ('scheduled', 'retry', 'held')
          order by next_at limit 1
        ) first),
      (select min(lease_until) from messages
        where clinic_id = ${clinicId} and lease_until is not null
          and not exists (select from clinics where id = ${clinicId} and mode = 'test'))
    ) as at`.execute(trx);
  return rows[0]?.at ?? null;
}
