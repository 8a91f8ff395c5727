import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName, MessageState, Purpose } from '../database/tables.ts';
import { formatMicros } from '../money.ts';
import {
  bucketBounds,
  localDays,
  type Period,
  type ReportClinic,
  type ReportQuery,
  reportPeriod,
} from './period.ts';

/** What was sent, what it cost, and what was not sent and why. */

export const messageDimensions = ['rule', 'channel', 'purpose', 'day', 'state', 'reason'] as const;
export type MessageDimension = (typeof messageDimensions)[number];

export interface MessagesQuery extends ReportQuery {
  /** What to count by; all of them unless given. What is left out is null in every row. */
  by?: readonly MessageDimension[];
}

export interface MessagesRow {
  /** Null for messages that the host wrote itself. */
  ruleId: string | null;
  name: string | null;
  /** Null for an occurrence that ended before it had a message. */
  channel: ChannelName | null;
  purpose: Purpose | null;
  /** The clinic's day on which the message left, else for which it was planned. */
  day: string | null;
  state: MessageState | null;
  reason: string | null;
  messages: number;
  /** Of them, those that a patient answered: by a reply, a tap or the form behind a link. */
  replied: number;
  segments: number;
  cost: string;
  currency: string;
}

export interface MessagesTotals {
  messages: number;
  /** Handed over to a provider, the inbox or the staff. */
  sent: number;
  delivered: number;
  /** Answered by a patient. */
  replied: number;
  suppressed: Record<string, number>;
  held: Record<string, number>;
  segments: number;
  /** Of the clinic's currency. */
  cost: string;
  currency: string;
}

export interface MessagesReport {
  asOf: string;
  from: string;
  to: string;
  data: MessagesRow[];
  totals: MessagesTotals;
}

export const messagesColumns = [
  'ruleId',
  'name',
  'channel',
  'purpose',
  'day',
  'state',
  'reason',
  'messages',
  'replied',
  'segments',
  'cost',
  'currency',
] as const satisfies readonly (keyof MessagesRow)[];

/** Counts a clinic's messages by day, rule, channel, purpose, state and reason. */
export async function messagesReport(
  trx: Trx,
  clinic: ReportClinic,
  query: MessagesQuery,
  now: Temporal.Instant,
): Promise<MessagesReport> {
  const period = reportPeriod(query, clinic, now);
  const counts = await countMessages(trx, clinic, query, period);
  return {
    asOf: now.toString(),
    from: period.from,
    to: period.to,
    data: summarise(counts, query.by ?? messageDimensions).map(toRow),
    totals: totalOf(counts, clinic.currency),
  };
}

interface Count extends Omit<MessagesRow, 'cost'> {
  costMicros: number;
}

async function countMessages(
  trx: Trx,
  clinic: ReportClinic,
  query: MessagesQuery,
  period: Period,
): Promise<Count[]> {
  const lastInstant = period.closesAt.subtract({ nanoseconds: 1 });
  const days = localDays(period.from, lastInstant, clinic.timeZone);
  const ruleId = query.ruleId ?? null;
  const { rows } = await sql<Omit<Count, 'day'> & { bucket: number }>`
    with facts as (
      select rule_id, channel, purpose, state, reason, coalesce(sent_at, scheduled_at) as at,
             replied_at, segments, cost_micros, cost_currency
      from messages
      where clinic_id = ${clinic.id} and (${ruleId}::uuid is null or rule_id = ${ruleId}::uuid)
      union all
      -- What was suppressed or held before it had a message.
      select j.rule_id, null, r.definition ->> 'purpose', j.state, j.reason, j.due_at, null, null, null, null
      from journeys j join rules r on r.clinic_id = j.clinic_id and r.id = j.rule_id
      where j.clinic_id = ${clinic.id} and (${ruleId}::uuid is null or j.rule_id = ${ruleId}::uuid)
        and j.state in ('held', 'suppressed', 'cancelled', 'expired')
        and not exists (
          select from messages m where m.clinic_id = j.clinic_id and m.journey_id = j.id)
    ), counts as (
      select rule_id, channel, purpose, state, reason,
             width_bucket(at, ${bucketBounds(days)}::text::timestamptz[]) as bucket,
             coalesce(cost_currency, ${clinic.currency}) as currency,
             count(*)::int as messages, count(replied_at)::int as replied, coalesce(sum(segments), 0)::int as segments,
             coalesce(sum(cost_micros), 0)::bigint as "costMicros"
      from facts
      where at >= ${period.opensAt} and at < ${period.closesAt}
      group by 1, 2, 3, 4, 5, 6, 7
    )
    select c.rule_id as "ruleId", r.name, c.channel, c.purpose, c.bucket, c.state, c.reason, c.currency,
           c.messages, c.replied, c.segments, c."costMicros"
    from counts c left join rules r on r.clinic_id = ${clinic.id} and r.id = c.rule_id
    order by c.bucket, r.name, c.rule_id, c.channel, c.purpose, c.state, c.reason, c.currency`.execute(
    trx,
  );
  return rows.map(({ bucket, ...row }) => ({ ...row, day: days[bucket - 1]?.day ?? null }));
}

/** Adds up what differs only in what was not asked for; keeps the order in which rows first come. */
function summarise(counts: readonly Count[], by: readonly MessageDimension[]): Count[] {
  const sums = new Map<string, Count>();
  for (const count of counts) {
    const kept = keep(count, new Set(by));
    const { messages, replied, segments, costMicros, ...key } = kept;
    const sum = sums.get(JSON.stringify(key));
    if (sum === undefined) sums.set(JSON.stringify(key), kept);
    else {
      sum.messages += messages;
      sum.replied += replied;
      sum.segments += segments;
      sum.costMicros += costMicros;
    }
  }
  return [...sums.values()];
}

function keep(count: Count, by: ReadonlySet<MessageDimension>): Count {
  return {
    ruleId: by.has('rule') ? count.ruleId : null,
    name: by.has('rule') ? count.name : null,
    channel: by.has('channel') ? count.channel : null,
    purpose: by.has('purpose') ? count.purpose : null,
    day: by.has('day') ? count.day : null,
    state: by.has('state') ? count.state : null,
    reason: by.has('reason') ? count.reason : null,
    currency: count.currency,
    messages: count.messages,
    replied: count.replied,
    segments: count.segments,
    costMicros: count.costMicros,
  };
}

function toRow({ costMicros, currency, ...row }: Count): MessagesRow {
  return { ...row, cost: formatMicros(costMicros, currency), currency };
}

const sentStates: readonly (MessageState | null)[] = ['sent', 'delivered', 'read'];
const deliveredStates: readonly (MessageState | null)[] = ['delivered', 'read'];

function totalOf(counts: readonly Count[], currency: string): MessagesTotals {
  const sum = (value: (count: Count) => number) =>
    counts.reduce((total, count) => total + value(count), 0);
  return {
    messages: sum(({ channel, messages }) => (channel === null ? 0 : messages)),
    sent: sum(({ state, messages }) => (sentStates.includes(state) ? messages : 0)),
    delivered: sum(({ state, messages }) => (deliveredStates.includes(state) ? messages : 0)),
    replied: sum(({ replied }) => replied),
    suppressed: byReason(counts, 'suppressed'),
    held: byReason(counts, 'held'),
    segments: sum(({ segments }) => segments),
    cost: formatMicros(
      sum((count) => (count.currency === currency ? count.costMicros : 0)),
      currency,
    ),
    currency,
  };
}

function byReason(counts: readonly Count[], state: MessageState): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { state: found, reason, messages } of counts)
    if (found === state && reason !== null) sums[reason] = (sums[reason] ?? 0) + messages;
  return sums;
}
