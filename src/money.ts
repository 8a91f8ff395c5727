/**
 * Money is an integer in storage and a decimal string in the API. Amounts of visits are minor units of
 * their currency; costs of messages are millionths of a unit, because one SMS part has more places.
 */

const microPlaces = 6;
const microsOfOne = 1_000_000;

/**
 * ISO 4217, where it is not 2. What is stored counts in these units, so they may not change with the
 * runtime's own table, which follows what people pay in cash and gives COP none.
 */
const placesByCurrency: Readonly<Record<number, readonly string[]>> = Object.freeze({
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'.split(' '),
  3: 'BHD IQD JOD KWD LYD OMR TND'.split(' '),
  4: 'CLF UYW'.split(' '),
});
const unusualPlaces = new Map(
  Object.entries(placesByCurrency).flatMap(([places, currencies]) =>
    currencies.map((currency) => [currency, Number(places)] as const),
  ),
);

/** How many places a currency has: 2 for RUB and COP, 0 for CLP. */
export function currencyPlaces(currency: string): number {
  return unusualPlaces.get(currency) ?? 2;
}

/** `formatMicros(12_500_000)` is `12.50`, `formatMicros(7_900)` is `0.0079`. */
export function formatMicros(micros: number, currency?: string): string {
  const places = currency === undefined ? 2 : currencyPlaces(currency);
  const text = decimal(micros, microPlaces);
  const point = text.indexOf('.');
  let end = text.length;
  while (end > point + 1 + places && text[end - 1] === '0') end -= 1;
  return text.slice(0, end === point + 1 ? point : end);
}

/** `formatMinor(250_000, 'RUB')` is `2500.00`. */
export function formatMinor(minor: number, currency: string): string {
  return decimal(minor, currencyPlaces(currency));
}

/** The millionths of a unit that so many minor units are. */
export function minorToMicros(minor: number, currency: string): number {
  return minor * (microsOfOne / 10 ** currencyPlaces(currency));
}

const microsForm = /^(\d{1,6})(?:\.(\d{1,6}))?$/;

/** `parseMicros('2.5')` is 2,500,000; null for what is no price. */
export function parseMicros(text: string): number | null {
  const form = microsForm.exec(text);
  if (form === null) return null;
  return Number(form[1]) * microsOfOne + Number((form[2] ?? '').padEnd(microPlaces, '0'));
}

/** The millionths of a unit of a decimal with up to nine places before the point and six after it. */
export function amountToMicros(amount: string): number {
  const [whole = '0', fraction = ''] = amount.split('.');
  return Number(whole) * microsOfOne + Number(fraction.padEnd(microPlaces, '0'));
}

function decimal(value: number, places: number): string {
  const digits = String(Math.abs(value)).padStart(places + 1, '0');
  const sign = value < 0 ? '-' : '';
  if (places === 0) return sign + digits;
  return `${sign}${digits.slice(0, -places)}.${digits.slice(-places)}`;
}
