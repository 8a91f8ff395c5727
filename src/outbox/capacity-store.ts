import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { Guard } from './guard.ts';
import type { Pool } from './places.ts';
import { wantingPlace } from './turn-store.ts';

/** Whether the host tells of slots at all. */
export async function tellsCapacity(trx: Trx, clinicId: string, today: string): Promise<boolean> {
  const { rows } = await sql<{ tells: boolean }>`
    select exists (
      select from capacities where clinic_id = ${clinicId} and local_day >= ${today}::date) as tells`.execute(
    trx,
  );
  return rows[0]?.tells ?? false;
}

/** The slots of today and later, by kind. */
export async function findPools(trx: Trx, clinicId: string, today: string): Promise<Pool[]> {
  const { rows } = await sql<Pool>`
    select nullif(service, '') as service, nullif(practitioner, '') as practitioner, sum(free)::int as free
    from capacities where clinic_id = ${clinicId} and local_day >= ${today}::date
    group by service, practitioner order by service, practitioner`.execute(trx);
  return rows;
}

/** What a rule names that invites to it. */
export interface RuleWish {
  services: string[];
  practitioners: string[];
}

export async function findRuleWishes(
  trx: Trx,
  clinicId: string,
  ruleIds: readonly string[],
): Promise<Map<string, RuleWish>> {
  const { rows } = await sql<RuleWish & { ruleId: string }>`
    select id as "ruleId", coalesce(definition #> '{trigger,services}', '[]') as services,
      coalesce(definition #> '{trigger,practitioners}', '[]') as practitioners
    from rules where clinic_id = ${clinicId} and id = any(${[...ruleIds]}::uuid[])`.execute(trx);
  return new Map(rows.map(({ ruleId, ...wish }) => [ruleId, wish]));
}

export interface OpenInvitation {
  ruleId: string;
  anchor: Guard['anchor'] | null;
  count: number;
}

/**
 * Journeys whose first message left since then, whatever has become of their rule, and whose patients have
 * neither booked nor come. What a provider refused for good has invited nobody.
 */
export async function findOpenInvitations(
  trx: Trx,
  clinicId: string,
  since: Temporal.Instant,
): Promise<OpenInvitation[]> {
  const { rows } = await sql<OpenInvitation>`
    with lately as (
      select distinct m.journey_id from messages m
      where m.clinic_id = ${clinicId} and m.updated_at >= ${since} and m.attempt_no > 0
        and m.journey_id is not null and m.guard ->> 'unlessBooked' = 'true' and m.purpose in ('care', 'marketing')
    ), invited as (
      select first.* from lately l
      cross join lateral (
        select m.rule_id, m.patient_id, m.guard -> 'anchor' as anchor, coalesce(m.sent_at, m.updated_at) as left_at
        from messages m
        where m.clinic_id = ${clinicId} and m.journey_id = l.journey_id and m.attempt_no > 0
          and m.state not in ('failed', 'expired', 'cancelled', 'suppressed')
        order by coalesce(m.sent_at, m.updated_at), m.id limit 1
      ) first
      where first.left_at >= ${since}
    )
    select i.rule_id as "ruleId", i.anchor, count(*)::int as count from invited i
    where not exists (
        select from appointments a where a.clinic_id = ${clinicId} and a.patient_id = i.patient_id
          and a.deleted_at is null and a.booked_at >= i.left_at
          and a.status in ('proposed', 'pending', 'booked', 'arrived', 'checked-in', 'fulfilled'))
      and not exists (
        select from attendances v where v.clinic_id = ${clinicId} and v.patient_id = i.patient_id
          and v.anchor_at >= i.left_at)
    group by i.rule_id, i.anchor`.execute(trx);
  return rows;
}

export interface WaitingInvitation {
  journeyId: string;
  ruleId: string;
  patientId: string;
  dueAt: Temporal.Instant;
  anchor: Guard['anchor'] | null;
}

export interface QueueQuestion {
  now: Temporal.Instant;
  limit: number;
  /** Journeys that are not asked about. */
  except: ReadonlySet<string>;
  /** Journeys that would go now. */
  going: ReadonlySet<string>;
}

/** All that wait now for their invitation, by whatever rule and on whatever channel: the most overdue first. */
export async function findWaitingInvitations(
  trx: Trx,
  clinicId: string,
  { now, limit, except, going }: QueueQuestion,
): Promise<WaitingInvitation[]> {
  const { rows } = await sql<WaitingInvitation>`
    select w.journey_id as "journeyId", w.rule_id as "ruleId", j.patient_id as "patientId", j.due_at as "dueAt", w.anchor
    from (
      select distinct on (m.journey_id) m.journey_id, m.rule_id, m.guard -> 'anchor' as anchor
      from ${wantingPlace(clinicId, { now, going })}
      where m.journey_id <> all(${[...except]}::uuid[]) and m.purpose in ('care', 'marketing')
        and m.guard ->> 'unlessBooked' = 'true'
        and not exists (
          select from messages b where b.clinic_id = ${clinicId} and b.journey_id = m.journey_id and b.attempt_no > 0)
      order by m.journey_id
    ) w
    join journeys j on j.clinic_id = ${clinicId} and j.id = w.journey_id
    order by j.due_at, j.patient_id, j.id limit ${limit}`.execute(trx);
  return rows;
}
