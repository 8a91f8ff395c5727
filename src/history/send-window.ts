import type { Purpose } from '../database/tables.ts';
import {
  addToDay,
  isBefore,
  isTimeOfDay,
  later,
  localDay,
  startOfDay,
  toInstant,
} from '../local-time.ts';
import type { EffectivePolicy } from './clinic-policy.ts';
import type { Hours } from './country-policy.ts';
import { type HolidayPlace, holidayOn } from './holidays.ts';

/** When a message may leave: the clinic's send window and the policy's hours, in the recipient's zone. */

/** What holds for a clinic that has set no window, where the country's row names no hours of its own. */
export const defaultSendWindow: Hours = Object.freeze({ start: '09:00', end: '21:00' });

export interface SendTerms {
  purpose: Purpose;
  /** The patient's zone, else the clinic's. */
  zone: string;
  /** As the clinic has set it; null when it never did, so that the country's defaults hold. */
  sendWindow: Hours | null;
  policy: EffectivePolicy;
  /** For a notice of delay on the visit's day: the window is ignored, the hours of a law are not. */
  ignoresSendWindow?: boolean;
  /** Whose public holidays are closed; absent where they are days as others. */
  holidays?: HolidayPlace;
  /** A greeting of this day goes on it, be it a holiday. */
  greetedDay?: string;
}

/** A week and a day, since each weekday has its own hours. */
const weekDays = 8;
/** With the longest run of holidays before or after it. */
const holidayDays = 31;
const minute = Temporal.Duration.from('PT1M');
const allDay: Hours = { start: '00:00', end: '24:00' };
const endOfDay = '24:00';

/** True for hours that open before they close; `24:00` may end them. */
export function isSendWindow({ start, end }: Hours): boolean {
  return isTimeOfDay(start) && (isTimeOfDay(end) || end === endOfDay) && start < end;
}

/** The first allowed instant from this one on, itself when allowed; null when no day near has one. */
export function nextOpening(instant: Temporal.Instant, terms: SendTerms): Temporal.Instant | null {
  let day = localDay(instant, terms.zone);
  for (let looked = 0; looked < searchDays(terms); looked += 1) {
    const opening = openingOn(day, terms);
    if (opening !== null && isBefore(instant, opening.until)) return later(instant, opening.from);
    day = addToDay(day, 'P1D');
  }
  return null;
}

/**
 * The last allowed minute up to this instant, itself when allowed; null when no day near has one. For what
 * must come before an appointment: the next opening could be too late.
 */
export function lastAllowedBefore(
  instant: Temporal.Instant,
  terms: SendTerms,
): Temporal.Instant | null {
  let day = localDay(instant, terms.zone);
  for (let looked = 0; looked < searchDays(terms); looked += 1) {
    const opening = openingOn(day, terms);
    if (opening !== null && !isBefore(instant, opening.from)) {
      if (isBefore(instant, opening.until)) return instant;
      return later(opening.until.subtract(minute), opening.from);
    }
    day = addToDay(day, '-P1D');
  }
  return null;
}

/** The name of the holiday that closes a local day of these terms; null where none does. */
export function closingHoliday(day: string, terms: SendTerms): string | null {
  const { holidays, greetedDay } = terms;
  return holidays === undefined || day === greetedDay ? null : holidayOn(holidays, day);
}

function searchDays({ holidays }: SendTerms): number {
  return holidays === undefined ? weekDays : holidayDays;
}

interface Opening {
  from: Temporal.Instant;
  until: Temporal.Instant;
}

function openingOn(day: string, terms: SendTerms): Opening | null {
  const hours = hoursOn(day, terms);
  if (hours === null || closingHoliday(day, terms) !== null) return null;
  const from = boundary(day, hours.start, terms.zone);
  const until = boundary(day, hours.end, terms.zone);
  // A clock change can swallow narrow hours whole.
  return isBefore(from, until) ? { from, until } : null;
}

function hoursOn(day: string, terms: SendTerms): Hours | null {
  return hoursOfWeekday(Temporal.PlainDate.from(day).dayOfWeek - 1, terms);
}

/**
 * What holds on a weekday, Monday being 0; null is closed. Hours of a law and hours that the clinic set for
 * that day bind: a send window narrows them. Others are defaults that it replaces.
 */
export function hoursOfWeekday(
  weekday: number,
  {
    purpose,
    policy,
    sendWindow,
    ignoresSendWindow,
  }: Pick<SendTerms, 'purpose' | 'policy' | 'sendWindow' | 'ignoresSendWindow'>,
): Hours | null {
  const hours = policy.allowedHours[purpose][weekday] ?? null;
  const isOwn = policy.ownHours?.[purpose][weekday] ?? false;
  if (!policy.isLaw && !isOwn) return ignoresSendWindow ? allDay : (sendWindow ?? hours);
  if (hours === null) return null;
  const missingWindow = isOwn ? allDay : defaultSendWindow;
  return intersect(hours, ignoresSendWindow ? allDay : (sendWindow ?? missingWindow));
}

/** What is within both; null where nothing is. */
export function intersect(one: Hours, other: Hours): Hours | null {
  let { start, end } = one;
  if (other.start > start) start = other.start;
  if (other.end < end) end = other.end;
  return start < end ? { start, end } : null;
}

function boundary(day: string, time: string, zone: string): Temporal.Instant {
  if (time === endOfDay) return startOfDay(addToDay(day, 'P1D'), zone);
  return toInstant(day, time, zone);
}
