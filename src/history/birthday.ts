import { invalid } from '../errors.ts';
import { isDay } from '../local-time.ts';

/** The days from one to another, each with the birth days that are kept on it, as month times 100 plus day. */

const daysMax = 366;

/** @throws AppError a 400 for what is no day, an end before its start, or more than a year. */
export function birthdaysBetween(from: string, to: string): { on: string; birthDay: number }[] {
  if (!isDay(from)) throw invalid('/from', 'not-a-day', 'This is no day, such as 2026-03-28.');
  if (!isDay(to)) throw invalid('/to', 'not-a-day', 'This is no day, such as 2026-03-28.');
  const first = Temporal.PlainDate.from(from);
  const count = first.until(Temporal.PlainDate.from(to)).days + 1;
  if (count < 1) throw invalid('/to', 'out-of-range', 'The last day lies before the first.');
  if (count > daysMax) throw invalid('/to', 'out-of-range', `At most ${daysMax} days are listed.`);
  return Array.from({ length: count }, (_, days) => first.add({ days })).flatMap(keptOn);
}

const leapDay = 229;

function keptOn(day: Temporal.PlainDate): { on: string; birthDay: number }[] {
  const on = day.toString();
  const birthDay = day.month * 100 + day.day;
  const isEve = birthDay === leapDay - 1 && !day.inLeapYear;
  return isEve
    ? [
        { on, birthDay },
        { on, birthDay: leapDay },
      ]
    : [{ on, birthDay }];
}
