import { parseMicros } from '../money.ts';

/** What parts cost by a channel's tariff, in millionths of a unit; null where it names no price. */
export function priceOf(
  tariff: Readonly<Record<string, string>>,
  country: string | null,
  segments: number,
): number | null {
  const price = (country === null ? undefined : tariff[country]) ?? tariff.default;
  const micros = price === undefined ? null : parseMicros(price);
  return micros === null ? null : micros * segments;
}
