/**
 * The one place where a local time becomes an instant and back, by native Temporal. A gap shifts
 * forward, a fold takes the first occurrence; SQL never resolves a local time, because its time zone
 * data and its choice in a fold are others.
 */

const firstYear = 1900;
const lastYear = 2100;
const earliest = Temporal.Instant.from('1900-01-01T00:00:00Z').epochMilliseconds;
const afterLatest = Temporal.Instant.from('2101-01-01T00:00:00Z').epochMilliseconds;

const zoneNameForm = /^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/;
const timeForm =
  /^(\d{4})-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})?$/;
const dayForm = /^(\d{4})-\d{2}-\d{2}$/;
const timeOfDayForm = /^(?:[01]\d|2[0-3]):[0-5]\d$/;

const knownZones = new Map<string, boolean>();
const knownZonesMax = 2000;

/** True for a zone with a name and so with rules, such as `America/Bogota`; a bare `+03:00` has none. */
export function isTimeZone(name: string): boolean {
  const known = knownZones.get(name);
  if (known !== undefined) return known;
  const isKnown = zoneNameForm.test(name) && temporalTakesZone(name);
  if (knownZones.size >= knownZonesMax) knownZones.clear();
  knownZones.set(name, isKnown);
  return isKnown;
}

function temporalTakesZone(name: string): boolean {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    // Temporal knows no gentler way to ask.
    return false;
  }
}

export type TimeWarning = 'dst-gap' | 'dst-fold';

export interface ParsedInstant {
  instant: Temporal.Instant;
  epochMilliseconds: number;
  /** The local time does not exist (shifted forward) or exists twice (the first was taken). */
  warning?: TimeWarning;
}

export const timeProblems = [
  'not-a-time',
  'out-of-range',
  'no-time-zone',
  'unknown-time-zone',
] as const;
export type TimeProblem = (typeof timeProblems)[number];

/**
 * Reads RFC 3339 with an offset, or a local date-time in the given zone; an offset wins. Anything finer
 * than a millisecond is cut off. `2026-03-29T02:30` in Europe/Berlin is 01:30Z with `dst-gap`.
 */
export function parseInstant(text: string, zone?: string): ParsedInstant | TimeProblem {
  const form = timeForm.exec(text);
  if (form === null) return 'not-a-time';
  if (!isYearInRange(Number(form[1]))) return 'out-of-range';
  if (form[2] === undefined) return zone === undefined ? 'no-time-zone' : parseLocal(text, zone);
  try {
    return inRange(Temporal.Instant.from(text).epochMilliseconds);
  } catch {
    // The form is right, so a field is impossible: 30 February, 25 o'clock.
    return 'not-a-time';
  }
}

function parseLocal(text: string, zone: string): ParsedInstant | TimeProblem {
  if (!isTimeZone(zone)) return 'unknown-time-zone';
  let local: Temporal.PlainDateTime;
  try {
    local = Temporal.PlainDateTime.from(text);
  } catch {
    // As above: the form is right, a field is impossible.
    return 'not-a-time';
  }
  const earlier = local.toZonedDateTime(zone, { disambiguation: 'earlier' });
  const later = local.toZonedDateTime(zone, { disambiguation: 'later' });
  if (earlier.epochMilliseconds === later.epochMilliseconds)
    return inRange(earlier.epochMilliseconds);
  return earlier.toPlainDateTime().equals(local)
    ? inRange(earlier.epochMilliseconds, 'dst-fold')
    : inRange(later.epochMilliseconds, 'dst-gap');
}

function inRange(epochMilliseconds: number, warning?: TimeWarning): ParsedInstant | TimeProblem {
  if (epochMilliseconds < earliest || epochMilliseconds >= afterLatest) return 'out-of-range';
  const instant = Temporal.Instant.fromEpochMilliseconds(epochMilliseconds);
  return warning === undefined
    ? { instant, epochMilliseconds }
    : { instant, epochMilliseconds, warning };
}

function isYearInRange(year: number): boolean {
  return year >= firstYear && year <= lastYear;
}

/** True for a day that the calendar has, `YYYY-MM-DD`, from 1900 to 2100. */
export function isDay(text: string): boolean {
  const form = dayForm.exec(text);
  if (form === null || !isYearInRange(Number(form[1]))) return false;
  try {
    Temporal.PlainDate.from(text, { overflow: 'reject' });
    return true;
  } catch {
    // Temporal knows no gentler way to ask.
    return false;
  }
}

/** True for `00:00` to `23:59`. */
export function isTimeOfDay(text: string): boolean {
  return timeOfDayForm.test(text);
}

/** The calendar day in that zone, `YYYY-MM-DD`. */
export function localDay(instant: Temporal.Instant, zone: string): string {
  return instant.toZonedDateTimeISO(zone).toPlainDate().toString();
}

/** The instant of a local time: a gap shifts forward, a fold takes the first. */
export function toInstant(day: string, time: string, zone: string): Temporal.Instant {
  const local = Temporal.PlainDate.from(day).toPlainDateTime(Temporal.PlainTime.from(time));
  return local.toZonedDateTime(zone, { disambiguation: 'compatible' }).toInstant();
}

/** The first instant of a local day, which is not midnight where a gap swallows it. */
export function startOfDay(day: string, zone: string): Temporal.Instant {
  return Temporal.PlainDate.from(day).toZonedDateTime(zone).toInstant();
}

const periodForm = /^-?P(?:\d{1,6}[YMWD])*(?:T(?:\d{1,6}[HMS])+)?$/;
const longestPeriod = Temporal.Duration.from('P10Y');
/** Ten years from here hold three leap days, so that 3,653 days still count as ten years. */
const periodReference = Temporal.PlainDate.from('2000-01-01');

export const periodProblems = [
  'not-a-period',
  'mixed-period',
  'negative-period',
  'period-too-long',
] as const;
export type PeriodProblem = (typeof periodProblems)[number];

/**
 * Reads an ISO 8601 period of whole units, ten years at most. Days and hours do not mix: `P1D` is the same
 * local time on the next day, `PT24H` is elapsed time, and `P1DT2H` would be neither.
 */
export function parsePeriod(
  text: string,
  options: { negative?: 'refused' | 'allowed' } = {},
): Temporal.Duration | PeriodProblem {
  if (!periodForm.test(text)) return 'not-a-period';
  let period: Temporal.Duration;
  try {
    period = Temporal.Duration.from(text);
  } catch {
    // Right characters in the wrong order, such as P1D1Y, or none at all, such as P.
    return 'not-a-period';
  }
  if (hasCalendarUnits(period) && hasElapsedUnits(period)) return 'mixed-period';
  if (period.sign < 0 && options.negative !== 'allowed') return 'negative-period';
  const isTooLong =
    Temporal.Duration.compare(period.abs(), longestPeriod, { relativeTo: periodReference }) > 0;
  return isTooLong ? 'period-too-long' : period;
}

/** True for years to days, counted on the calendar; false for hours to seconds, which elapse. */
export function isCalendarPeriod(period: Temporal.Duration | string): boolean {
  return !hasElapsedUnits(Temporal.Duration.from(period));
}

function hasCalendarUnits(period: Temporal.Duration): boolean {
  return period.years !== 0 || period.months !== 0 || period.weeks !== 0 || period.days !== 0;
}

function hasElapsedUnits(period: Temporal.Duration): boolean {
  return period.hours !== 0 || period.minutes !== 0 || period.seconds !== 0;
}

/**
 * Calendar periods keep the local time and count from the anchor's local day (31 January + P1M is 28 or
 * 29 February); elapsed ones are exact. Always call it with the first anchor: repeated addition drifts.
 */
export function addPeriod(
  anchor: Temporal.Instant,
  period: Temporal.Duration | string,
  zone: string,
): Temporal.Instant {
  return anchor.toZonedDateTimeISO(zone).add(period, { overflow: 'constrain' }).toInstant();
}

/** The instant that lies `period` before a start: the same local time days before, or hours elapsed. */
export function subtractBefore(
  start: Temporal.Instant,
  period: Temporal.Duration | string,
  zone: string,
): Temporal.Instant {
  return start.toZonedDateTimeISO(zone).subtract(period, { overflow: 'constrain' }).toInstant();
}

/** A local day plus a calendar period; a month that is too short ends the count on its last day. */
export function addToDay(day: string, period: Temporal.Duration | string): string {
  return Temporal.PlainDate.from(day).add(period, { overflow: 'constrain' }).toString();
}

export interface DueQuestion {
  anchor: Temporal.Instant;
  after: Temporal.Duration | string;
  /** `HH:MM`; without it the message is due when `after` has passed. */
  sendAt?: string | undefined;
  patientZone?: string | null | undefined;
  clinicZone: string;
}

/**
 * When something is due after an anchor. With `sendAt` it is the anchor's day in the clinic's zone plus
 * `after`, at that time in the patient's zone, else the clinic's; never before the anchor, so a visit that
 * ends after `sendAt` is followed up on the next day.
 */
export function dueAt(question: DueQuestion): Temporal.Instant {
  const { anchor, after, sendAt, clinicZone } = question;
  if (sendAt === undefined) return addPeriod(anchor, after, clinicZone);
  const zone = question.patientZone ?? clinicZone;
  let day = isCalendarPeriod(after)
    ? addToDay(localDay(anchor, clinicZone), after)
    : localDay(anchor.add(after), clinicZone);
  let due = toInstant(day, sendAt, zone);
  // One round where both zones are near; a second one only across the date line.
  while (Temporal.Instant.compare(due, anchor) < 0) {
    day = addToDay(day, 'P1D');
    due = toInstant(day, sendAt, zone);
  }
  return due;
}

/** How far month ends can move a day away from plain subtraction. */
const monthEndReachDays = 4;

/**
 * The local days, ascending, whose day plus a calendar period is `dueDay`: the inverse by which planning
 * finds anchors by index. Several where a month ends early (28 February after P1M: 28 to 31 January), none
 * for 30 March after P1M. It inverts the days alone: what `dueAt` moves to the next day was due a day before.
 */
export function anchorDaysFor(dueDay: string, after: Temporal.Duration | string): string[] {
  if (!isCalendarPeriod(after)) throw new RangeError('An elapsed period has no anchor days');
  const due = Temporal.PlainDate.from(dueDay);
  const middle = due.subtract(after, { overflow: 'constrain' });
  const days: string[] = [];
  for (let shift = -monthEndReachDays; shift <= monthEndReachDays; shift += 1) {
    const day = middle.add({ days: shift });
    if (day.add(after, { overflow: 'constrain' }).equals(due)) days.push(day.toString());
  }
  return days;
}

/**
 * The day on which the birthday of `year` is due, such as three days before it with `-P3D`. Someone born on
 * 29 February has it on the 28th in other years. The offset may lead into another year; `year` stays the
 * birthday's own.
 */
export function birthdayDueDay(
  birthDate: string,
  year: number,
  offset: Temporal.Duration | string = 'P0D',
): string {
  const birthday = Temporal.PlainDate.from(birthDate).with({ year }, { overflow: 'constrain' });
  return addToDay(birthday.toString(), offset);
}

export interface BirthdaysOfYear {
  /** The birthdays' own year, whatever the offset. */
  year: number;
  /** `MM-DD` of the birth dates, with 29 February where it is kept on the 28th. */
  monthDays: string[];
}

/** The inverse of `birthdayDueDay`: whose birthdays are due on that day. */
export function birthdaysDueOn(
  dueDay: string,
  offset: Temporal.Duration | string = 'P0D',
): BirthdaysOfYear[] {
  const byYear = new Map<number, string[]>();
  for (const text of anchorDaysFor(dueDay, offset)) {
    const birthday = Temporal.PlainDate.from(text);
    const monthDays = byYear.get(birthday.year) ?? [];
    byYear.set(birthday.year, monthDays);
    monthDays.push(text.slice(5));
    if (text.endsWith('-02-28') && !birthday.inLeapYear) monthDays.push('02-29');
  }
  return Array.from(byYear, ([year, monthDays]) => ({ year, monthDays }));
}

export function earlier(one: Temporal.Instant, other: Temporal.Instant): Temporal.Instant {
  return Temporal.Instant.compare(one, other) <= 0 ? one : other;
}

export function later(one: Temporal.Instant, other: Temporal.Instant): Temporal.Instant {
  return Temporal.Instant.compare(one, other) >= 0 ? one : other;
}

export function isBefore(one: Temporal.Instant, other: Temporal.Instant): boolean {
  return Temporal.Instant.compare(one, other) < 0;
}

export function isAfter(one: Temporal.Instant, other: Temporal.Instant): boolean {
  return Temporal.Instant.compare(one, other) > 0;
}
