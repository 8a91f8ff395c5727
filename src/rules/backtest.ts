import type { Trx } from '../database/connect.ts';
import { invalid } from '../errors.ts';
import { addPeriod, addToDay, localDay } from '../local-time.ts';
import { countReturned, type Recipient, type Returned } from './backtest-store.ts';
import { type DaysQuestion, openForecast, tallyDays } from './forecast.ts';
import type { RulesDeps } from './plan-context.ts';
import { type Preview, toPreview } from './preview.ts';

/**
 * What a rule would have done on days that are past, each seen as it was known then: later visits and
 * bookings are left out. What is not kept by time, such as consent, tags and contact points, is as it is now.
 */

export interface Backtest extends Preview, Returned {
  days: { day: string; messages: number }[];
}

const countedMax = 2_000;

/** @throws AppError for a rule that is not there, or days that are none or have not come. */
export async function backtestRule(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  question: DaysQuestion,
  now: Temporal.Instant,
): Promise<Backtest> {
  const opened = await openForecast(deps, trx, clinicId, question, now);
  const forecast = { ...opened, asKnown: true };
  const { rule, terms } = forecast;
  const { timeZone } = terms.clinic;
  if (question.to > localDay(now, timeZone))
    throw invalid('/to', 'not-past', 'It has not come yet: ask for a preview.');
  const recipients: Recipient[] = [];
  const tally = await tallyDays(deps, trx, forecast, ({ asked, at }) => {
    const until = addPeriod(at, rule.definition.attributionWindow, timeZone);
    recipients.push({
      patientId: asked.occasion.patientId,
      dueMs: at.epochMilliseconds,
      untilMs: Math.min(until.epochMilliseconds, now.epochMilliseconds),
    });
  });
  const total = { returned: 0, returnedAnyway: 0 };
  for (let from = 0; from < recipients.length; from += countedMax) {
    const part = await countReturned(trx, clinicId, recipients.slice(from, from + countedMax));
    total.returned += part.returned;
    total.returnedAnyway += part.returnedAnyway;
  }
  const preview = toPreview(tally, forecast);
  const warnings = [...preview.warnings, 'as-it-is-now'];
  return { ...preview, ...total, warnings, days: toDays(question, tally.days) };
}

function toDays({ from, to }: DaysQuestion, counts: ReadonlyMap<string, number>): Backtest['days'] {
  const days: Backtest['days'] = [];
  for (let day = from; day <= to; day = addToDay(day, 'P1D'))
    days.push({ day, messages: counts.get(day) ?? 0 });
  return days;
}
