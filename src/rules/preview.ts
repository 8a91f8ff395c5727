import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import { hostIdsOf } from '../history/patient-store.ts';
import type { Decision } from './checks.ts';
import {
  type DaysQuestion,
  judgeDays,
  moneyOf,
  openForecast,
  type Sample,
  spell,
  type Tally,
  tallyDays,
} from './forecast.ts';
import type { RulesDeps } from './plan-context.ts';

/**
 * What becomes of those who are due on coming days, supposing that nobody answers, books or changes
 * meanwhile. Who waits from before those days is not among them.
 */

export interface Preview
  extends Pick<Tally, 'recipients' | 'messages' | 'suppressed' | 'holdout' | 'warnings'> {
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
  return toPreview(await tallyDays(deps, trx, forecast), forecast);
}

export function toPreview(
  { costMicros, days: _days, ...tally }: Tally,
  { terms }: Parameters<typeof tallyDays>[2],
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
