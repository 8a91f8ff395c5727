import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import { hostIdsOf } from '../history/patient-store.ts';
import { localDay } from '../local-time.ts';
import { leftInBacklog } from './backlog.ts';
import type { Decision } from './checks.ts';
import {
  addTo,
  addToWay,
  type DaysQuestion,
  type Forecast,
  judgeDays,
  moneyOf,
  openForecast,
  priceWays,
  type Sample,
  spell,
  type Tally,
  type Way,
} from './forecast.ts';
import { foresee } from './foresee.ts';
import type { RulesDeps } from './plan-context.ts';

/**
 * What becomes of those who are due on coming days, supposing that nobody answers, books or changes
 * meanwhile. Who waits from before, and what competes for the same patients, is taken into account.
 */

export interface Preview
  extends Pick<
    Tally,
    'recipients' | 'messages' | 'suppressed' | 'holdout' | 'backlog' | 'warnings'
  > {
  cost: { amount: string; currency: string };
  samples: Sample[];
}

/** @throws AppError for a rule that is not there, or days that are none. */
export async function previewRule(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  question: DaysQuestion,
  now: Temporal.Instant,
): Promise<Preview> {
  const forecast = await openForecast(deps, trx, clinicId, question, now);
  return toPreview(await tallyForeseen(deps, trx, forecast, now), forecast);
}

/** Adds up what is foreseen of the rule on the days that are asked about. */
async function tallyForeseen(
  deps: RulesDeps,
  trx: Trx,
  forecast: Forecast,
  now: Temporal.Instant,
): Promise<Tally> {
  const { rule, window, terms } = forecast;
  const { refused, happenings, backlog } = await foresee(deps, trx, forecast, now);
  const suppressed = new Map<string, number>();
  const days = new Map<string, number>();
  const ways = new Map<string, Way>();
  let recipients = 0;
  for (const { decision } of refused) addTo(suppressed, decision.reason ?? decision.outcome);
  for (const happening of happenings) {
    const { item } = happening;
    if (item.rule.id !== rule.id) continue;
    if (happening.kind !== 'left') {
      const reason = happening.kind === 'absorbed' ? 'household' : happening.reason;
      const isDueThen = item.isFirst && isWithin(item.since, window);
      if (isDueThen && reason !== null) addTo(suppressed, reason);
      continue;
    }
    const { at, named } = happening;
    if (!isWithin(at, window)) continue;
    if (item.isFirst) recipients += 1;
    addTo(days, localDay(at, terms.clinic.timeZone));
    const { patientId, throughId, step, guard } = item;
    const about = { patientId, throughId, step, anchor: guard.anchor };
    // Who is met with the first step is named on the channel that goes first.
    const also = item.isFirst ? item.named : named;
    for (const [index, contact] of item.contacts.entries())
      addToWay(ways, { ...contact, ...about, at, named: index === 0 ? named : also });
  }
  const holdout = suppressed.get('holdout') ?? 0;
  const priced = await priceWays(deps, trx, forecast, ways);
  const counts = { recipients, holdout, backlog, suppressed: Object.fromEntries(suppressed) };
  return { ...counts, days, ...priced };
}

function isWithin(at: Temporal.Instant, { after, upTo }: Forecast['window']): boolean {
  return Temporal.Instant.compare(at, after) > 0 && Temporal.Instant.compare(at, upTo) <= 0;
}

export function toPreview(
  { costMicros, days: _days, ...tally }: Tally,
  { terms }: Forecast,
): Preview {
  return { ...tally, cost: moneyOf(costMicros, terms) };
}

export interface DueRow {
  patientId: string;
  occurrence: string;
  dueAt: string;
  channel: ChannelName | null;
  outcome: Decision['outcome'];
  reason: string | null;
}

/** The recall list of those days, by due instant: at most `limit` rows. */
export async function listDue(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  question: DaysQuestion & { limit: number },
  now: Temporal.Instant,
): Promise<DueRow[]> {
  const forecast = await openForecast(deps, trx, clinicId, question, now);
  const rows: { row: DueRow; at: Temporal.Instant }[] = [];
  for await (const { asked, decision } of judgeDays(trx, forecast)) {
    if (decision === leftInBacklog) continue;
    const { occasion, choice } = asked;
    const row = {
      patientId: occasion.patientId,
      occurrence: occasion.occurrence,
      dueAt: occasion.dueAt.toString(),
      channel: choice.contacts[0]?.channel ?? null,
      ...{ outcome: decision.outcome, reason: decision.reason },
    };
    rows.push({ row, at: occasion.dueAt });
    // Sorted now and then, so that no more than a few pages are ever held.
    if (rows.length > question.limit * 4) keepFirst(rows, question.limit);
  }
  keepFirst(rows, question.limit);
  const ids = await hostIdsOf(
    trx,
    clinicId,
    rows.map(({ row }) => row.patientId),
  );
  return rows.map(({ row }) => ({
    ...row,
    patientId: spell(ids.get(row.patientId), question.source),
  }));
}

function keepFirst(rows: { row: DueRow; at: Temporal.Instant }[], limit: number): void {
  rows.sort(
    (one, other) =>
      Temporal.Instant.compare(one.at, other.at) ||
      (one.row.patientId < other.row.patientId ? -1 : 1),
  );
  rows.length = Math.min(rows.length, limit);
}
