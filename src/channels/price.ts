import type { Money } from './channel.ts';

/** A provider's decimal price or balance, exactly to the millionth; null for what is none. */
export function parsePrice(amount: unknown, currency: string): Money | null {
  const text = typeof amount === 'number' ? String(amount) : amount;
  if (typeof text !== 'string') return null;
  const [, sign, whole, fraction] = /^\s*(-?)(\d{1,9})(?:[.,](\d{1,20}))?\s*$/.exec(text) ?? [];
  if (whole === undefined) return null;
  const micros = Number(whole) * 1_000_000 + Number((fraction ?? '').padEnd(6, '0').slice(0, 6));
  return { micros: sign === '-' && micros > 0 ? -micros : micros, currency };
}
