import { createRequire } from 'node:module';

/** Public holidays of a country, by the library `date-holidays` (the NOTICE credits its data). */

type Library = typeof import('date-holidays').default;

const require = createRequire(import.meta.url);
let library: Library | null = null;

/** Its data takes memory, which a clinic that asks for no holidays does not pay. */
function loaded(): Library {
  library ??= require('date-holidays') as Library;
  return library;
}

/** A country by its two letters, and a region of it with holidays of its own, such as `SP`. */
export interface HolidayPlace {
  country: string;
  region: string | null;
}

export function hasHolidays(country: string): boolean {
  return Object.hasOwn(new (loaded())().getCountries(), country);
}

export function hasHolidayRegion(country: string, region: string): boolean {
  return Object.hasOwn(new (loaded())().getStates(country) ?? {}, region);
}

/** `YYYY-MM-DD` to the name of the holiday, of one country, region and year. */
const byYear = new Map<string, ReadonlyMap<string, string>>();
/** Of all clinics together. */
const yearsMax = 2_000;

/** The name of the public holiday that a local day is, in the country's words; null for any other day. */
export function holidayOn(place: HolidayPlace, day: string): string | null {
  const year = Number(day.slice(0, 4));
  const key = `${place.country} ${place.region ?? ''} ${year}`;
  const known = byYear.get(key) ?? holidaysOf(place, year);
  if (byYear.size < yearsMax) byYear.set(key, known);
  return known.get(day) ?? null;
}

function holidaysOf({ country, region }: HolidayPlace, year: number): ReadonlyMap<string, string> {
  const Holidays = loaded();
  const calendar = region === null ? new Holidays(country) : new Holidays(country, region);
  const days = new Map<string, string>();
  // A holiday of several days may have begun in the old year.
  for (const { type, date, start, end, name } of [
    ...(calendar.getHolidays(year - 1) ?? []),
    ...(calendar.getHolidays(year) ?? []),
  ]) {
    if (type !== 'public') continue;
    const first = Temporal.PlainDate.from(date.slice(0, 10));
    const length = Math.max(1, Math.round((end.getTime() - start.getTime()) / msOfDay));
    for (let one = 0; one < length; one += 1) {
      const day = first.add({ days: one });
      if (day.year === year && !days.has(day.toString())) days.set(day.toString(), name);
    }
  }
  return days;
}

const msOfDay = 86_400_000;
