import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { formatMicros, formatMinor, minorToMicros } from '../money.ts';
import { newcombe } from './interval.ts';
import {
  bucketBounds,
  type LocalDay,
  localDays,
  type Period,
  type ReportClinic,
  type ReportQuery,
  reportPeriod,
  windowEnds,
} from './period.ts';

/**
 * Who came back, and what it brought. A journey belongs to the period in which its first message left.
 * Whoever came is told by `attendances`, as for the last visit: where the host sends appointments alone,
 * a fulfilled one is the visit. Someone came when the visit started: who sat in the chair as the message
 * left did not come because of it. A window ends at its time of day, counted as elapsed since that day began.
 */

export interface ReturnsFigures {
  /** Journeys of which a message left. */
  journeys: number;
  /** Their messages that left. */
  messages: number;
  delivered: number;
  cost: string;
  /** Journeys after which a booking was made that still stands, was kept or was missed. */
  booked: number;
  /** Journeys with at least one visit credited to them. */
  returned: number;
  /** Of all visits credited. */
  revenue: string;
  /** Revenue less cost, as a multiple of the cost; null where nothing was spent. */
  roi: number | null;
  /** Journeys that have not returned and still can. */
  open: number;
  /** Occurrences held out. */
  holdout: number;
  holdoutReturned: number;
  uplift: number | null;
  upliftLow: number | null;
  upliftHigh: number | null;
  costPerAdditionalVisit: string | null;
  /** Amounts of other currencies are not added. */
  currency: string;
}

export interface ReturnsRow extends ReturnsFigures {
  ruleId: string;
  name: string;
}

export interface ReturnsReport {
  asOf: string;
  from: string;
  to: string;
  data: ReturnsRow[];
  totals: ReturnsFigures;
}

export const returnsColumns = [
  'ruleId',
  'name',
  'journeys',
  'messages',
  'delivered',
  'cost',
  'booked',
  'returned',
  'revenue',
  'roi',
  'open',
  'holdout',
  'holdoutReturned',
  'uplift',
  'upliftLow',
  'upliftHigh',
  'costPerAdditionalVisit',
  'currency',
] as const satisfies readonly (keyof ReturnsRow)[];

/** Counts the returns of every rule of care and marketing; only these compete for a visit. */
export async function returnsReport(
  trx: Trx,
  clinic: ReportClinic,
  query: ReportQuery,
  now: Temporal.Instant,
): Promise<ReturnsReport> {
  const period = reportPeriod(query, clinic, now);
  const rules = await findRules(trx, clinic.id);
  const days = localDays(period.from, laterOf(now, period.opensAt), clinic.timeZone);
  const window: Windows = {
    bounds: bucketBounds(days),
    ends: toEnds(rules, days, clinic.timeZone),
  };
  const counts = await countReturns(trx, clinic, period, window, now);
  const arms = await countArms(trx, clinic, period, window, now);
  const tallies = rules
    .filter(({ id }) => query.ruleId === undefined || query.ruleId === id)
    .map((rule) => toTally(rule, counts.get(rule.id), arms.get(rule.id)))
    .filter(({ rule, journeys, holdout }) => rule.isShown || journeys > 0 || holdout > 0);
  return {
    asOf: now.toString(),
    from: period.from,
    to: period.to,
    data: tallies.map((tally) => ({
      ruleId: tally.rule.id,
      name: tally.rule.name,
      ...toFigures(tally, clinic.currency),
    })),
    totals: toTotals(tallies, clinic.currency),
  };
}

function laterOf(one: Temporal.Instant, other: Temporal.Instant): Temporal.Instant {
  return Temporal.Instant.compare(one, other) >= 0 ? one : other;
}

const windowDefault = 'P90D';

interface ReportedRule {
  id: string;
  name: string;
  window: string;
  /** Also while it has sent nothing: it exists and competes. */
  isShown: boolean;
}

async function findRules(trx: Trx, clinicId: string): Promise<ReportedRule[]> {
  const { rows } = await sql<ReportedRule>`
    select id, name, coalesce(definition ->> 'attributionWindow', ${windowDefault}) as window,
           deleted_at is null and definition ->> 'purpose' in ('care', 'marketing') as "isShown"
    from rules where clinic_id = ${clinicId} order by name, id`.execute(trx);
  return rows;
}

interface Windows {
  bounds: string;
  /** JSON: for each rule and day, when the day opens and where a window from there ends. */
  ends: string;
}

function toEnds(rules: readonly ReportedRule[], days: readonly LocalDay[], zone: string): string {
  const byWindow = Map.groupBy(rules, ({ window }) => window);
  const ends = [...byWindow].map(([window, alike]) => ({
    rules: alike.map(({ id }) => id),
    opens: days.map(({ opensAt }) => opensAt.toString()),
    ends: windowEnds(days, window, zone).map(String),
  }));
  return JSON.stringify(ends);
}

/** A row for each rule and day: `rule_id, bucket, opens_at, ends_at`. */
const windowDays = ({ ends }: Windows) => sql`
  select r.rule_id::uuid as rule_id, d.bucket::int as bucket, d.opens::timestamptz as opens_at,
         d.ends::timestamptz as ends_at
  from jsonb_to_recordset(${ends}::jsonb) as w(rules jsonb, opens jsonb, ends jsonb)
  cross join lateral jsonb_array_elements_text(w.rules) as r(rule_id)
  cross join lateral rows from (jsonb_array_elements_text(w.opens), jsonb_array_elements_text(w.ends))
    with ordinality as d(opens, ends, bucket)`;

interface ReturnCount {
  ruleId: string;
  journeys: number;
  messages: number;
  delivered: number;
  costMicros: number;
  booked: number;
  returned: number;
  revenueMinor: number;
  open: number;
}

/** Bookings that came to nothing because someone called them off, or that never were any, do not count. */
const countedBookings = ['pending', 'booked', 'arrived', 'checked-in', 'fulfilled', 'noshow'];

async function countReturns(
  trx: Trx,
  clinic: ReportClinic,
  period: Period,
  windows: Windows,
  now: Temporal.Instant,
): Promise<Map<string, ReturnCount>> {
  // Journeys of later periods compete as well; earlier ones lose to any of this period.
  const { rows } = await sql<ReturnCount>`
    with days as (${windowDays(windows)}),
    started as (
      select m.journey_id, m.rule_id, j.patient_id, min(m.sent_at) as left_at,
             -- What failed for good has reached nobody.
             min(m.sent_at) filter (where m.state <> 'failed') as reached_at,
             count(*) as messages, count(*) filter (where m.state in ('delivered', 'read')) as delivered,
             sum(m.cost_micros) filter (where m.cost_currency = ${clinic.currency}) as cost_micros
      from messages m join journeys j on j.clinic_id = m.clinic_id and j.id = m.journey_id
      where m.clinic_id = ${clinic.id} and m.sent_at is not null and m.purpose in ('care', 'marketing')
      group by 1, 2, 3
      having min(m.sent_at) >= ${period.opensAt}
    ), touches as (
      select s.journey_id, s.patient_id, s.reached_at, d.ends_at + (s.reached_at - d.opens_at) as closes_at
      from started s join days d on d.rule_id = s.rule_id
        and d.bucket = width_bucket(s.reached_at, ${windows.bounds}::text::timestamptz[])
    ), came as (
      select a.kind, a.source, a.external_id, a.patient_id, coalesce(a.started_at, a.anchor_at) as came_at,
             case when a.currency = ${clinic.currency} then a.amount_minor end as amount_minor, b.booked_at
      from attendances a left join appointments b on b.clinic_id = ${clinic.id}
        and b.source = a.source and b.external_id = a.appointment_id
      where a.clinic_id = ${clinic.id} and a.anchor_at >= ${period.opensAt}
    ), credited as (
      select distinct on (c.kind, c.source, c.external_id) t.journey_id, c.amount_minor
      from came c join touches t on t.patient_id = c.patient_id
        and t.reached_at < c.came_at and c.came_at < t.closes_at
        and (c.booked_at is null or t.reached_at < c.booked_at)
      where c.came_at <= ${now}
      order by c.kind, c.source, c.external_id, t.reached_at desc, t.journey_id desc
    ), returns as (
      select journey_id, sum(amount_minor) as revenue_minor from credited group by 1
    ), bookings as (
      select distinct on (b.source, b.external_id) t.journey_id
      from appointments b join touches t on t.patient_id = b.patient_id
        and t.reached_at < b.booked_at and b.booked_at < t.closes_at
      where b.clinic_id = ${clinic.id} and b.deleted_at is null and b.booked_at <= ${now}
        and b.status in (${sql.join(countedBookings)})
      order by b.source, b.external_id, t.reached_at desc, t.journey_id desc
    )
    select s.rule_id as "ruleId", count(*)::int as journeys, sum(s.messages)::int as messages,
           sum(s.delivered)::int as delivered, coalesce(sum(s.cost_micros), 0)::bigint as "costMicros",
           count(*) filter (where s.journey_id in (select journey_id from bookings))::int as booked,
           count(r.journey_id)::int as returned, coalesce(sum(r.revenue_minor), 0)::bigint as "revenueMinor",
           count(*) filter (where r.journey_id is null and t.closes_at > ${now} and not p.deceased)::int as open
    from started s
    join patients p on p.clinic_id = ${clinic.id} and p.id = s.patient_id
    left join touches t on t.journey_id = s.journey_id
    left join returns r on r.journey_id = s.journey_id
    where s.left_at < ${period.closesAt}
    group by s.rule_id`.execute(trx);
  return new Map(rows.map((row) => [row.ruleId, row]));
}

interface ArmCount {
  ruleId: string;
  holdout: number;
  holdoutReturned: number;
  treated: number;
  treatedReturned: number;
}

async function countArms(
  trx: Trx,
  clinic: ReportClinic,
  period: Period,
  windows: Windows,
  now: Temporal.Instant,
): Promise<Map<string, ArmCount>> {
  // What was called off had passed every check as much as what was sent. Somebody in both arms is
  // the outcome of a merge, and tells nothing. Who came or booked between planning and the due instant
  // passed no check when it counted, in either arm; nor did who was booked already, or waited for a
  // consent or a contact point until the end.
  const { rows } = await sql<ArmCount>`
    with days as (${windowDays(windows)}),
    occurrences as (
      select j.id, j.rule_id, j.patient_id, j.holdout, j.due_at, d.ends_at + (j.due_at - d.opens_at) as closes_at,
             count(*) filter (where j.holdout) over arm > 0 and count(*) filter (where not j.holdout) over arm > 0 as is_mixed
      from journeys j join days d on d.rule_id = j.rule_id
        and d.bucket = width_bucket(j.due_at, ${windows.bounds}::text::timestamptz[])
      where j.clinic_id = ${clinic.id} and j.due_at <= ${now}
        and j.due_at >= ${period.opensAt} and j.due_at < ${period.closesAt}
        and not j.anchor ?| array['bookedUntil', 'freedAt', 'waitedFor']
        and (j.holdout or j.state = 'cancelled' or (j.state = 'suppressed' and j.reason = 'visited') or exists (
          select from messages m
          where m.clinic_id = ${clinic.id} and m.journey_id = j.id and m.sent_at is not null))
        and not exists (
          select from attendances a
          where a.clinic_id = ${clinic.id} and a.patient_id = j.patient_id
            and a.anchor_at >= j.created_at and a.anchor_at < j.due_at)
        and not exists (
          select from appointments b
          where b.clinic_id = ${clinic.id} and b.patient_id = j.patient_id and b.deleted_at is null
            and b.booked_at >= j.created_at and b.booked_at < j.due_at)
      window arm as (partition by j.rule_id, j.patient_id)
    ), outcomes as (
      select o.rule_id, o.holdout, o.is_mixed, exists (
               select from attendances a
               where a.clinic_id = ${clinic.id} and a.patient_id = o.patient_id and a.anchor_at >= o.due_at
                 and coalesce(a.started_at, a.anchor_at) >= o.due_at
                 and coalesce(a.started_at, a.anchor_at) < least(o.closes_at, ${now}::timestamptz + interval '1 microsecond')) as came
      from occurrences o
      where o.rule_id in (select rule_id from occurrences where holdout)
    )
    select rule_id as "ruleId",
           count(*) filter (where holdout)::int as holdout,
           count(*) filter (where holdout and came)::int as "holdoutReturned",
           count(*) filter (where not holdout)::int as treated,
           count(*) filter (where not holdout and came)::int as "treatedReturned"
    from outcomes where not is_mixed group by rule_id`.execute(trx);
  return new Map(rows.map((row) => [row.ruleId, row]));
}

interface Tally extends Omit<ReturnCount, 'ruleId'>, Omit<ArmCount, 'ruleId'> {
  rule: ReportedRule;
}

const nothingReturned: Omit<ReturnCount, 'ruleId'> = {
  journeys: 0,
  messages: 0,
  delivered: 0,
  costMicros: 0,
  booked: 0,
  returned: 0,
  revenueMinor: 0,
  open: 0,
};

const noArms: Omit<ArmCount, 'ruleId'> = {
  holdout: 0,
  holdoutReturned: 0,
  treated: 0,
  treatedReturned: 0,
};

function toTally(
  rule: ReportedRule,
  count: ReturnCount | undefined,
  arms: ArmCount | undefined,
): Tally {
  return { ...(count ?? nothingReturned), ...(arms ?? noArms), rule };
}

type Uplift = Pick<
  ReturnsFigures,
  'uplift' | 'upliftLow' | 'upliftHigh' | 'costPerAdditionalVisit'
>;

function toFigures(tally: Tally, currency: string): ReturnsFigures {
  return { ...toSums(tally, currency), ...toUplift(tally, currency) };
}

function toSums(sums: Omit<Tally, 'rule'>, currency: string): Omit<ReturnsFigures, keyof Uplift> {
  const revenueMicros = minorToMicros(sums.revenueMinor, currency);
  return {
    journeys: sums.journeys,
    messages: sums.messages,
    delivered: sums.delivered,
    cost: formatMicros(sums.costMicros, currency),
    booked: sums.booked,
    returned: sums.returned,
    revenue: formatMinor(sums.revenueMinor, currency),
    roi:
      sums.costMicros === 0 ? null : rounded((revenueMicros - sums.costMicros) / sums.costMicros),
    open: sums.open,
    holdout: sums.holdout,
    holdoutReturned: sums.holdoutReturned,
    currency,
  };
}

const noUplift: Uplift = {
  uplift: null,
  upliftLow: null,
  upliftHigh: null,
  costPerAdditionalVisit: null,
};

function toUplift(tally: Omit<Tally, 'rule'>, currency: string): Uplift {
  if (tally.holdout === 0 || tally.treated === 0) return noUplift;
  const { difference, low, high } = newcombe(
    { count: tally.treatedReturned, of: tally.treated },
    { count: tally.holdoutReturned, of: tally.holdout },
  );
  const additional = difference * tally.treated;
  return {
    uplift: rounded(difference),
    upliftLow: rounded(low),
    upliftHigh: rounded(high),
    costPerAdditionalVisit:
      additional > 0 ? formatMicros(Math.round(tally.costMicros / additional), currency) : null,
  };
}

/** Rules differ in whom they hold out, so that one uplift of them all would say nothing. */
function toTotals(tallies: readonly Tally[], currency: string): ReturnsFigures {
  const sums = { ...nothingReturned, ...noArms };
  for (const tally of tallies)
    for (const field of Object.keys(sums) as (keyof typeof sums)[]) sums[field] += tally[field];
  return { ...toSums(sums, currency), ...noUplift };
}

function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
