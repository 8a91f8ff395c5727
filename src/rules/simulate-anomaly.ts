import { mostOfDay, sendingDaysMax, usualDay } from '../outbox/hold-anomalies.ts';
import type { Item, State, UsualDays } from './simulate-world.ts';

/** Which rules would be held since a simulated day is none of their usual ones. */

const unknownDays: UsualDays = Object.freeze({ days: [], anomaly: null, foreseen: null });

/**
 * The rules of these first contacts that are held today.
 * @param going now @param later today, of any rule
 */
export function findAnomalies(
  going: readonly Item[],
  later: readonly Item[],
  { ruleDays, contactsOfDay }: State,
): Set<string> {
  const held = new Set<string>();
  for (const [ruleId, own] of Map.groupBy(going, ({ rule }) => rule.id)) {
    const known = ruleDays.get(ruleId) ?? unknownDays;
    const usual = usualDay(known.days);
    const perDay = own[0]?.rule.definition.limits?.perDay ?? Number.POSITIVE_INFINITY;
    const contacts = contactsOfDay.get(ruleId) ?? 0;
    if (known.anomaly === 'held') held.add(ruleId);
    if (known.anomaly !== null || usual === null || perDay <= mostOfDay(usual)) continue;
    if (known.foreseen !== null && contacts + own.length <= known.foreseen) continue;
    const waiting = later.filter(({ rule, isFirst }) => rule.id === ruleId && isFirst).length;
    const foreseen = contacts + own.length + waiting;
    const anomaly = foreseen > mostOfDay(usual) ? 'held' : null;
    ruleDays.set(ruleId, { ...known, foreseen, anomaly });
    if (anomaly !== null) held.add(ruleId);
  }
  return held;
}

/** Makes the day one of those before. */
export function closeRuleDays({ ruleDays, contactsOfDay }: State): void {
  for (const ruleId of new Set([...ruleDays.keys(), ...contactsOfDay.keys()])) {
    const { days } = ruleDays.get(ruleId) ?? unknownDays;
    const contacts = contactsOfDay.get(ruleId) ?? 0;
    const known = contacts > 0 ? [contacts, ...days].slice(0, sendingDaysMax) : days;
    ruleDays.set(ruleId, { days: known, anomaly: null, foreseen: null });
  }
}
