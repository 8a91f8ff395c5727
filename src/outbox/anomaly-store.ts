import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { withdrawableStates } from './message.ts';

/** What rules send on usual days, and which are held because today is none. */

export interface RuleDay {
  ruleId: string;
  lookedAt: Temporal.Instant | null;
  anomaly: 'held' | 'released' | null;
  contactsToday: number;
  /** First contacts of each day before today on which there were any. */
  days: number[];
}

export async function readRuleDays(
  trx: Trx,
  clinicId: string,
  ruleIds: readonly string[],
  { today, since }: { today: string; since: string },
): Promise<RuleDay[]> {
  const { rows } = await sql<RuleDay>`
    select r.id as "ruleId", t.looked_at as "lookedAt", t.anomaly, coalesce(t.contacts, 0) as "contactsToday",
      array(select d.contacts from rule_days d
        where d.clinic_id = ${clinicId} and d.rule_id = r.id and d.contacts > 0
          and d.local_day >= ${since}::date and d.local_day < ${today}::date) as days
    from unnest(${[...ruleIds]}::uuid[]) as r (id)
    left join rule_days t on t.clinic_id = ${clinicId} and t.rule_id = r.id and t.local_day = ${today}::date
    order by r.id`.execute(trx);
  return rows;
}

export interface WaitingQuestion {
  ruleId: string;
  /** What waits for its first contact and is due before. */
  before: Temporal.Instant;
  now: Temporal.Instant;
  /** Counting ends there. */
  most: number;
}

export async function countWaiting(
  trx: Trx,
  clinicId: string,
  { ruleId, before, now, most }: WaitingQuestion,
): Promise<number> {
  const { rows } = await sql<{ waiting: number }>`
    select count(*)::int as waiting from (
      select from messages m
      where m.clinic_id = ${clinicId} and m.rule_id = ${ruleId} and m.state = any(${[...withdrawableStates]}::text[])
        and m.attempt_no = 0 and (m.next_at < ${before} or m.state = 'claimed') and m.expires_at > ${now}
        and not exists (
          select from messages b where b.clinic_id = ${clinicId} and b.journey_id = m.journey_id and b.attempt_no > 0)
      limit ${most}) w`.execute(trx);
  return rows[0]?.waiting ?? 0;
}

export interface Look {
  ruleId: string;
  isHeld: boolean;
  usual: number | null;
  waiting: number | null;
}

/** A release stands for the day. */
export async function keepLook(
  trx: Trx,
  clinicId: string,
  today: string,
  { ruleId, isHeld, usual, waiting }: Look,
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    insert into rule_days as d (clinic_id, rule_id, local_day, looked_at, anomaly, usual, waiting)
    values (${clinicId}, ${ruleId}, ${today}, ${now}, ${isHeld ? 'held' : null}, ${usual}, ${waiting})
    on conflict (clinic_id, rule_id, local_day) do update set looked_at = excluded.looked_at,
      anomaly = coalesce(d.anomaly, excluded.anomaly), usual = excluded.usual, waiting = excluded.waiting`.execute(
    trx,
  );
}

export interface Anomaly {
  day: string;
  usual: number;
  waiting: number;
}

/** The rules that are held on that day. */
export async function findAnomalies(
  trx: Trx,
  clinicId: string,
  today: string,
): Promise<Map<string, Anomaly>> {
  const { rows } = await sql<Anomaly & { ruleId: string }>`
    select rule_id as "ruleId", local_day::text as day, usual, waiting from rule_days
    where clinic_id = ${clinicId} and local_day = ${today}::date and anomaly = 'held'`.execute(trx);
  return new Map(rows.map(({ ruleId, ...anomaly }) => [ruleId, anomaly]));
}

export async function releaseRuleDay(
  trx: Trx,
  clinicId: string,
  ruleId: string,
  today: string,
): Promise<void> {
  await sql`
    insert into rule_days (clinic_id, rule_id, local_day, anomaly)
    values (${clinicId}, ${ruleId}, ${today}, 'released')
    on conflict (clinic_id, rule_id, local_day) do update set anomaly = 'released'`.execute(trx);
}
