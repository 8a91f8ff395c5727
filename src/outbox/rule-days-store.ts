import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import type { Guard } from './guard.ts';
import { wantingPlace } from './turn-store.ts';
import type { Turn } from './turns.ts';

/** What rules have sent and spent, by the clinic's local day. */

export interface StoredLimits {
  perDay?: number;
  budget?: { amount: string; per: string };
  messages?: { count: number; per: string };
}

/** The limits of these rules as they stand now; rules without any are left out. By id. */
export async function findLimits(
  trx: Trx,
  clinicId: string,
  ruleIds: readonly string[],
): Promise<{ ruleId: string; limits: StoredLimits }[]> {
  if (ruleIds.length === 0) return [];
  const { rows } = await sql<{ ruleId: string; limits: StoredLimits }>`
    select id as "ruleId", definition -> 'limits' as limits from rules
    where clinic_id = ${clinicId} and id = any(${[...ruleIds]}::uuid[])
      and jsonb_typeof(definition -> 'limits') = 'object'
    order by id`.execute(trx);
  return rows;
}

/**
 * Until the transaction ends nobody else counts these rules. No row of the rule itself is locked: its
 * planners hold that for longer than a sender may wait.
 */
export async function lockRuleDays(
  trx: Trx,
  clinicId: string,
  ruleIds: readonly string[],
): Promise<void> {
  for (const ruleId of [...ruleIds].sort()) {
    const turn = `rule-days/${clinicId}/${ruleId}`;
    await sql`select pg_advisory_xact_lock(hashtextextended(${turn}, 0))`.execute(trx);
  }
}

export interface Spent {
  contactsToday: number;
  costMicros: number;
  messages: number;
}

export interface SpentQuestion {
  ruleId: string;
  today: string;
  /** The money of the days after this one, today included. */
  after: string;
  /** The messages likewise. */
  messagesAfter: string;
}

export async function readSpent(
  trx: Trx,
  clinicId: string,
  { ruleId, today, after, messagesAfter }: SpentQuestion,
): Promise<Spent> {
  const { rows } = await sql<Spent>`
    select coalesce(sum(contacts) filter (where local_day = ${today}::date), 0)::int as "contactsToday",
      coalesce(sum(cost_micros) filter (where local_day > ${after}::date), 0)::bigint as "costMicros",
      coalesce(sum(messages) filter (where local_day > ${messagesAfter}::date), 0)::int as messages
    from rule_days
    where clinic_id = ${clinicId} and rule_id = ${ruleId}
      and local_day >= least(${after}::date, ${messagesAfter}::date, ${today}::date) and local_day <= ${today}::date`.execute(
    trx,
  );
  return rows[0] ?? { contactsToday: 0, costMicros: 0, messages: 0 };
}

export interface DaySpending {
  ruleId: string;
  contacts: number;
  costMicros: number;
  messages: number;
  /** With a look at the day, what it found; a release stands all the same. */
  anomaly?: 'held' | null;
  foreseen?: number;
  usual?: number;
  waiting?: number;
}

export async function addToRuleDays(
  trx: Trx,
  clinicId: string,
  today: string,
  spending: readonly DaySpending[],
): Promise<void> {
  if (spending.length === 0) return;
  await sql`
    insert into rule_days as d (clinic_id, rule_id, local_day, contacts, cost_micros, messages,
      anomaly, foreseen, usual, waiting)
    select ${clinicId}::uuid, "ruleId", ${today}::date, contacts, "costMicros", messages, anomaly, foreseen, usual, waiting
    from jsonb_to_recordset(${JSON.stringify(spending)}::jsonb)
      as s ("ruleId" uuid, contacts integer, "costMicros" bigint, messages integer,
        anomaly text, foreseen integer, usual integer, waiting integer)
    order by "ruleId"
    on conflict (clinic_id, rule_id, local_day) do update
      set contacts = d.contacts + excluded.contacts, cost_micros = d.cost_micros + excluded.cost_micros,
        messages = d.messages + excluded.messages, anomaly = coalesce(d.anomaly, excluded.anomaly),
        foreseen = coalesce(excluded.foreseen, d.foreseen), usual = coalesce(excluded.usual, d.usual),
        waiting = coalesce(excluded.waiting, d.waiting)`.execute(trx);
}

/** Which of these journeys have reached out before: another message of theirs is no first contact. */
export async function findBegunJourneys(
  trx: Trx,
  clinicId: string,
  journeyIds: readonly string[],
): Promise<Set<string>> {
  if (journeyIds.length === 0) return new Set();
  const { rows } = await sql<{ journey_id: string }>`
    select distinct journey_id from messages
    where clinic_id = ${clinicId} and journey_id = any(${[...journeyIds]}::uuid[]) and attempt_no > 0`.execute(
    trx,
  );
  return new Set(rows.map((row) => row.journey_id));
}

export interface OverdueQuestion {
  ruleId: string;
  now: Temporal.Instant;
  limit: number;
  /** Journeys that would go now. */
  going: ReadonlySet<string>;
  /** Journeys of which it is known that nothing goes now. */
  except: ReadonlySet<string>;
}

/** The most overdue of all that wait now for their first contact by a rule, on whatever channel. */
export async function findMostOverdue(
  trx: Trx,
  clinicId: string,
  { ruleId, now, limit, going, except }: OverdueQuestion,
): Promise<Set<string>> {
  const { rows } = await sql<{ id: string }>`
    select j.id from journeys j
    where j.clinic_id = ${clinicId} and j.id in (
        select m.journey_id from ${wantingPlace(clinicId, { now, going })} where m.rule_id = ${ruleId})
      and j.id <> all(${[...except]}::uuid[])
      and not exists (
        select from messages b where b.clinic_id = ${clinicId} and b.journey_id = j.id and b.attempt_no > 0)
    order by j.due_at, j.patient_id, j.id limit ${limit}`.execute(trx);
  return new Set(rows.map((row) => row.id));
}

/** A message that wants its share of a rule's budget. */
export interface Waiting extends Turn {
  channel: ChannelName;
  template: string | null;
  address: string | null;
  anchor: Guard['anchor'] | null;
}

/** All messages of a rule that would go now, on whatever channel: the most overdue first. */
export async function findWaitingOfRule(
  trx: Trx,
  clinicId: string,
  { ruleId, now, limit, going, except }: OverdueQuestion,
): Promise<Waiting[]> {
  const { rows } = await sql<Waiting>`
    select m.id, m.channel, m.journey_id as "journeyId", j.patient_id as "patientId", j.due_at as "dueAt",
      m.template, m.address, m.guard->'anchor' as anchor
    from ${wantingPlace(clinicId, { now, going })}
    join journeys j on j.clinic_id = ${clinicId} and j.id = m.journey_id
    where m.rule_id = ${ruleId} and m.attempt_no = 0 and m.journey_id <> all(${[...except]}::uuid[])
    order by j.due_at, j.patient_id, m.journey_id, m.id limit ${limit}`.execute(trx);
  return rows;
}
