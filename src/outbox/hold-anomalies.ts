import { addToDay, localDay, startOfDay } from '../local-time.ts';
import { countWaiting, keepLook, type RuleDay, readRuleDays } from './anomaly-store.ts';
import type { GuardFacts } from './guard-store.ts';
import type { LimitTerms } from './hold-over-limits.ts';
import { heldUntilTomorrow } from './judge-message.ts';
import { findBegunJourneys, findLimits } from './rule-days-store.ts';

/**
 * A rule that would send many times what it usually does in a day has met a wrong import, or was changed by
 * mistake: before any of it leaves, people look.
 */

const sendingDaysNeeded = 14;
const contactsAllowed = 50;
const timesUsual = 5;
/** Of which days the usual one is the middle. */
const daysKnown = 'P60D';
/** What arrives after the first look of a day waits at most so long for the next one. */
const lookAgain = Temporal.Duration.from('PT10M');

/** @param days first contacts of each day on which there were any. @returns null while there are too few. */
export function usualDay(days: readonly number[]): number | null {
  if (days.length < sendingDaysNeeded) return null;
  const sorted = days.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  const [below = 0, above = 0] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (below + above) / 2;
}

/** More first contacts than that on one day are an anomaly. */
export function mostOfDay(usual: number): number {
  return Math.max(contactsAllowed, Math.floor(usual * timesUsual));
}

/** Holds the first contacts of rules for which today is no usual day. @returns the rules held anew. */
export async function holdAnomalies(
  goers: readonly GuardFacts[],
  terms: LimitTerms,
): Promise<string[]> {
  const { trx, clinic, now, verdicts } = terms;
  const fresh = goers.filter(
    ({ attemptNo, ruleId, journeyId }) => attemptNo === 0 && ruleId !== null && journeyId !== null,
  );
  if (fresh.length === 0) return [];
  const byRule = Map.groupBy(fresh, ({ ruleId }) => ruleId ?? '');
  const today = localDay(now, clinic.timeZone);
  const since = addToDay(today, `-${daysKnown}`);
  const days = await readRuleDays(trx, clinic.id, [...byRule.keys()], { today, since });
  const heldAnew: string[] = [];
  for (const day of days) {
    const isNew = day.anomaly === null && (await isAnomaly(day, today, terms));
    if (isNew) heldAnew.push(day.ruleId);
    if (day.anomaly !== 'held' && !isNew) continue;
    const wanted = byRule.get(day.ruleId) ?? [];
    const journeyIds = wanted.flatMap(({ journeyId }) => journeyId ?? []);
    const begun = await findBegunJourneys(trx, clinic.id, journeyIds);
    for (const facts of wanted) {
      if (facts.journeyId !== null && begun.has(facts.journeyId)) continue;
      verdicts.set(facts.id, heldUntilTomorrow('anomaly', facts, clinic, now));
    }
  }
  return heldAnew;
}

async function isAnomaly(
  { ruleId, lookedAt, contactsToday, days }: RuleDay,
  today: string,
  { trx, clinic, now }: LimitTerms,
): Promise<boolean> {
  const usual = usualDay(days);
  if (usual === null) return false;
  const isFresh = lookedAt !== null && Temporal.Instant.compare(lookedAt.add(lookAgain), now) > 0;
  if (isFresh) return false;
  const [limited] = await findLimits(trx, clinic.id, [ruleId]);
  const most = mostOfDay(usual);
  const before = startOfDay(addToDay(today, 'P1D'), clinic.timeZone);
  const waiting = await countWaiting(trx, clinic.id, { ruleId, before, now, most: most + 1 });
  const wouldSend = Math.min(contactsToday + waiting, limited?.limits.perDay ?? Infinity);
  const isHeld = wouldSend > most;
  await keepLook(trx, clinic.id, today, { ruleId, isHeld, usual: Math.round(usual), waiting }, now);
  return isHeld;
}
