import { invalid } from '../errors.ts';
import type { Clinic } from '../history/clinic.ts';
import { addPeriod, addToDay, isDay, localDay, startOfDay } from '../local-time.ts';

/** What the query of every report may hold. Days are the clinic's, both ends included. */
export interface ReportQuery {
  from?: string;
  to?: string;
  /** One rule alone. */
  ruleId?: string;
}

/** The part of a clinic that a report needs. */
export type ReportClinic = Pick<Clinic, 'id' | 'timeZone' | 'currency'>;

export interface Period {
  from: string;
  to: string;
  /** Half-open: the first instant of `from` and that of the day after `to`. */
  opensAt: Temporal.Instant;
  closesAt: Temporal.Instant;
}

/** A report may take long over a clinic's years. */
export const reportTimeoutMs = 60_000;

const daysDefault = 365;
const daysMax = 3_660;

/** The days asked for, else the last 365 of the clinic's own clock. */
export function reportPeriod(
  query: ReportQuery,
  clinic: ReportClinic,
  now: Temporal.Instant,
): Period {
  for (const field of ['from', 'to'] as const) {
    const day = query[field];
    if (day !== undefined && !isDay(day))
      throw invalid(`/${field}`, 'day', 'A day is written YYYY-MM-DD.');
  }
  const to = query.to ?? laterOf(localDay(now, clinic.timeZone), query.from);
  const from = query.from ?? addToDay(to, `-P${daysDefault - 1}D`);
  const days = Temporal.PlainDate.from(from).until(to, { largestUnit: 'day' }).days + 1;
  if (days < 1) throw invalid('/to', 'period', '`to` lies before `from`.');
  if (days > daysMax) throw invalid('/from', 'period', `A report covers at most ${daysMax} days.`);
  return {
    from,
    to,
    opensAt: startOfDay(from, clinic.timeZone),
    closesAt: startOfDay(addToDay(to, 'P1D'), clinic.timeZone),
  };
}

function laterOf(one: string, other: string | undefined): string {
  return other !== undefined && other > one ? other : one;
}

export interface LocalDay {
  day: string;
  opensAt: Temporal.Instant;
}

/** The local days from `from` to that of `until`, ascending: SQL sorts instants into them and resolves no local time. */
export function localDays(from: string, until: Temporal.Instant, zone: string): LocalDay[] {
  const last = localDay(until, zone);
  const days: LocalDay[] = [];
  for (let day = from; day <= last; day = addToDay(day, 'P1D'))
    days.push({ day, opensAt: startOfDay(day, zone) });
  return days;
}

/** The days as an array of PostgreSQL, for `width_bucket`: the first day is bucket 1. */
export function bucketBounds(days: readonly LocalDay[]): string {
  return `{${days.map(({ opensAt }) => opensAt.toString()).join(',')}}`;
}

/** For each day, where a window that opens as the day begins would end. */
export function windowEnds(
  days: readonly LocalDay[],
  window: string,
  zone: string,
): Temporal.Instant[] {
  return days.map(({ opensAt }) => addPeriod(opensAt, window, zone));
}
