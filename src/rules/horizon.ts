import { addToDay, localDay, startOfDay } from '../local-time.ts';
import type { Rule } from './rule.ts';

/** How far ahead rules are planned: whole days of the clinic, as each day begins. */

/** Today and the two days after it hold the next 48 hours. */
const daysAhead = 'P3D';

/** How far a rule must be planned at that instant: to the end of the day after tomorrow. */
export function horizonAt(now: Temporal.Instant, zone: string): Temporal.Instant {
  return startOfDay(addToDay(localDay(now, zone), daysAhead), zone);
}

/** When the watermark of a rule must move on: as the day begins from which it falls short. */
export function nextHorizonAt({ plannedThrough }: Rule, zone: string): Temporal.Instant | null {
  if (plannedThrough === null) return null;
  return startOfDay(addToDay(localDay(plannedThrough, zone), '-P2D'), zone);
}
