import { sql } from 'kysely';
import { channelNames } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { HeldReason } from './guard.ts';

/** What rules send on usual days, and which are held because today is none. */

export interface RuleDay {
  ruleId: string;
  /** How many first contacts the last look at today foresaw. */
  foreseen: number | null;
  anomaly: 'held' | 'released' | null;
  contactsToday: number;
  /** First contacts of the last days before today on which there were any. */
  days: number[];
}

export async function readRuleDays(
  trx: Trx,
  clinicId: string,
  ruleIds: readonly string[],
  today: string,
  daysMax: number,
): Promise<RuleDay[]> {
  const { rows } = await sql<RuleDay>`
    select r.id as "ruleId", t.foreseen, t.anomaly, coalesce(t.contacts, 0) as "contactsToday",
      array(select d.contacts from rule_days d
        where d.clinic_id = ${clinicId} and d.rule_id = r.id and d.contacts > 0 and d.local_day < ${today}::date
        order by d.local_day desc limit ${daysMax}) as days
    from unnest(${[...ruleIds]}::uuid[]) as r (id)
    left join rule_days t on t.clinic_id = ${clinicId} and t.rule_id = r.id and t.local_day = ${today}::date
    order by r.id`.execute(trx);
  return rows;
}

export interface WaitingQuestion {
  ruleId: string;
  now: Temporal.Instant;
  /** What waits for its first contact and is due before. */
  before: Temporal.Instant;
  /** Journeys that are not asked about. */
  except: ReadonlySet<string>;
  /** Counting ends there. */
  most: number;
}

/** What waits for its turn alone, or for people to release it; other obstacles lie with the patient or the clinic. */
const countedReasons: readonly HeldReason[] = [
  'anomaly',
  'send-window',
  'channel-paused',
  'frequency-cap',
  'lower-priority',
  'daily-limit',
];

/** How many patients wait for their first contact by a rule. */
export async function countWaiting(
  trx: Trx,
  clinicId: string,
  { ruleId, now, before, except, most }: WaitingQuestion,
): Promise<number> {
  const { rows } = await sql<{ waiting: number }>`
    select count(*)::int as waiting from (
      select m.journey_id
      from unnest(${[...channelNames]}::text[]) as c (channel)
      join messages m on m.clinic_id = ${clinicId} and m.channel = c.channel
        and m.state in ('scheduled', 'held', 'retry') and m.next_at < ${before}
      where m.rule_id = ${ruleId} and m.attempt_no = 0 and m.expires_at > ${now}
        and (m.state <> 'held' or m.reason = any(${[...countedReasons]}::text[]))
        and m.journey_id <> all(${[...except]}::uuid[])
        and not exists (
          select from messages b where b.clinic_id = ${clinicId} and b.journey_id = m.journey_id and b.attempt_no > 0)
      group by m.journey_id limit ${most}) w`.execute(trx);
  return rows[0]?.waiting ?? 0;
}

/**
 * Until the transaction ends, whoever holds a rule's day and whoever releases it wait for each other, so that
 * no release misses what is being held. It is taken before all other turns of the rule.
 */
export async function lockRelease(trx: Trx, clinicId: string, ruleId: string): Promise<void> {
  const turn = `rule-release/${clinicId}/${ruleId}`;
  await sql`select pg_advisory_xact_lock(hashtextextended(${turn}, 0))`.execute(trx);
}

export async function isReleased(
  trx: Trx,
  clinicId: string,
  ruleId: string,
  today: string,
): Promise<boolean> {
  const { rows } = await sql`
    select from rule_days
    where clinic_id = ${clinicId} and rule_id = ${ruleId} and local_day = ${today}::date and anomaly = 'released'`.execute(
    trx,
  );
  return rows.length > 0;
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
