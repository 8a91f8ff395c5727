import { addToDay, localDay, startOfDay } from '../local-time.ts';
import {
  countWaiting,
  isReleased,
  lockRelease,
  type RuleDay,
  readRuleDays,
} from './anomaly-store.ts';
import type { GuardFacts } from './guard-store.ts';
import type { LimitTerms } from './hold-over-limits.ts';
import { heldUntilTomorrow } from './judge-message.ts';
import { findLimits } from './rule-days-store.ts';

/**
 * A rule that would send many times what it usually does in a day has met a wrong import, or was changed by
 * mistake: before any of it leaves, people look.
 */

const sendingDaysNeeded = 14;
const contactsAllowed = 50;
const timesUsual = 5;
/** Of how many sending days, the last ones, the usual one is the middle. */
export const sendingDaysMax = 60;

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

/** What was found when a rule's day was looked at. */
export interface Look {
  ruleId: string;
  day: string;
  isHeld: boolean;
  /** First contacts of the day, those that have left and those that wait. */
  foreseen: number;
  usual: number;
  /** Counted no further than is needed to know. */
  waiting: number;
}

/** Holds these first contacts where today is no usual day of their rule. */
export async function holdAnomalies(
  firsts: readonly GuardFacts[],
  terms: LimitTerms,
): Promise<Look[]> {
  if (firsts.length === 0) return [];
  const { trx, clinic, now, verdicts } = terms;
  const byRule = Map.groupBy(firsts, ({ ruleId }) => ruleId ?? '');
  const today = localDay(now, clinic.timeZone);
  const days = await readRuleDays(trx, clinic.id, [...byRule.keys()], today, sendingDaysMax);
  const looks: Look[] = [];
  for (const day of days) {
    const wanted = byRule.get(day.ruleId) ?? [];
    const journeys = new Set(wanted.map(({ journeyId }) => journeyId)).size;
    const look = day.anomaly === null ? await lookAt(day, journeys, today, terms) : null;
    if (look !== null) looks.push(look);
    if (day.anomaly !== 'held' && look?.isHeld !== true) continue;
    await lockRelease(trx, clinic.id, day.ruleId);
    if (await isReleased(trx, clinic.id, day.ruleId, today)) continue;
    for (const facts of wanted) {
      verdicts.set(facts.id, heldUntilTomorrow('anomaly', facts, clinic, now));
    }
  }
  return looks;
}

/**
 * What the last look at the day foresaw may leave; beyond it, somebody has arrived since, and all are counted
 * anew. @returns null where there is nothing to look at.
 */
async function lookAt(
  { ruleId, foreseen, contactsToday, days }: RuleDay,
  journeys: number,
  today: string,
  { trx, clinic, now, stayers }: LimitTerms,
): Promise<Look | null> {
  const usual = usualDay(days);
  if (usual === null) return null;
  if (foreseen !== null && contactsToday + journeys <= foreseen) return null;
  const most = mostOfDay(usual);
  const [limited] = await findLimits(trx, clinic.id, [ruleId]);
  if ((limited?.limits.perDay ?? Number.POSITIVE_INFINITY) <= most) return null;
  const waiting = await countWaiting(trx, clinic.id, {
    ruleId,
    now,
    before: startOfDay(addToDay(today, 'P1D'), clinic.timeZone),
    except: stayers,
    most: Math.max(most - contactsToday, 0) + 1,
  });
  const wouldSend = contactsToday + waiting;
  const isHeld = wouldSend > most;
  return { ruleId, day: today, isHeld, foreseen: wouldSend, usual: Math.round(usual), waiting };
}
