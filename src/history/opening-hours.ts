import { addToDay, isBefore, localDay, startOfDay, toInstant } from '../local-time.ts';
import { type Clinic, holidayPlaceOf, weekdays } from './clinic.ts';
import type { Hours } from './country-policy.ts';
import { holidayOn } from './holidays.ts';

/** When somebody is at the clinic's desk: its opening hours, and usual hours where it has set none. Pure. */

export type Desk = Pick<Clinic, 'timeZone' | 'country' | 'settings'>;

/** A clinic without opening hours: its days are told apart by these alone. */
const usualDay: Hours = Object.freeze({ start: '08:00', end: '18:00' });
/** Longer than any holidays. */
const searchDaysMax = 62;
const endOfDay = '24:00';

/** When a task that is made then is due: at once while the clinic is open, and where it never said when it is. */
export function nextAtDesk(clinic: Desk, at: Temporal.Instant): Temporal.Instant {
  if (clinic.settings.openingHours === undefined) return at;
  const next = findDay(clinic, at, (openings) => openings.find(({ until }) => isBefore(at, until)));
  if (next === null) return at;
  return isBefore(at, next.from) ? next.from : at;
}

/** Until when a patient who writes then is answered: the last closing of that day, else of the next open day. */
export function answerBy(clinic: Desk, at: Temporal.Instant): Temporal.Instant {
  const last = findDay(clinic, at, (openings) => {
    const closing = openings.at(-1);
    return closing !== undefined && isBefore(at, closing.until) ? closing : undefined;
  });
  return last?.until ?? at;
}

/** When the clinic's next day begins at the desk, after that instant; null where no day near is open. */
export function nextDayAtDesk(clinic: Desk, after: Temporal.Instant): Temporal.Instant | null {
  const first = findDay(clinic, after, ([opening]) =>
    opening !== undefined && isBefore(after, opening.from) ? opening : undefined,
  );
  return first?.from ?? null;
}

/** The last day before that one on which somebody was at the desk; the day before where none near was. */
export function lastDayAtDesk(clinic: Desk, before: string): string {
  let day = addToDay(before, '-P1D');
  for (let looked = 0; looked < searchDaysMax; looked += 1) {
    if (openingsOn(clinic, day).length > 0) return day;
    day = addToDay(day, '-P1D');
  }
  return addToDay(before, '-P1D');
}

/** The first day after that one on which somebody is at the desk; the day after where none near is. */
export function followingDayAtDesk(clinic: Desk, after: string): string {
  const next = nextDayAtDesk(clinic, startOfDay(addToDay(after, 'P1D'), clinic.timeZone));
  return next === null ? addToDay(after, 'P1D') : localDay(next, clinic.timeZone);
}

/** When a day begins at the desk; its midnight where it is closed. */
export function openingOf(clinic: Desk, day: string): Temporal.Instant {
  return openingsOn(clinic, day)[0]?.from ?? startOfDay(day, clinic.timeZone);
}

interface Opening {
  from: Temporal.Instant;
  until: Temporal.Instant;
}

function findDay(
  clinic: Desk,
  at: Temporal.Instant,
  choose: (openings: readonly Opening[]) => Opening | undefined,
): Opening | null {
  let day = localDay(at, clinic.timeZone);
  for (let looked = 0; looked < searchDaysMax; looked += 1) {
    const found = choose(openingsOn(clinic, day));
    if (found !== undefined) return found;
    day = addToDay(day, 'P1D');
  }
  return null;
}

function openingsOn(clinic: Desk, day: string): Opening[] {
  const { timeZone, settings } = clinic;
  const place = settings.openingHours && holidayPlaceOf(clinic);
  if (place && holidayOn(place, day) !== null) return [];
  const weekday = weekdays[Temporal.PlainDate.from(day).dayOfWeek - 1];
  const hours =
    settings.openingHours === undefined
      ? [usualDay]
      : ((weekday && settings.openingHours[weekday]) ?? []);
  return hours
    .map(({ start, end }) => ({
      from: toInstant(day, start, timeZone),
      until:
        end === endOfDay
          ? startOfDay(addToDay(day, 'P1D'), timeZone)
          : toInstant(day, end, timeZone),
    }))
    .filter(({ from, until }) => isBefore(from, until))
    .toSorted((one, other) => Temporal.Instant.compare(one.from, other.from));
}
