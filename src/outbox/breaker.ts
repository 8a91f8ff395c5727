import type { AdapterError, SendOutcome } from '../channels/channel.ts';

/**
 * Sees that a provider is away, refuses the account, or asks to slow down, so that the rest of a batch
 * is not thrown after it.
 */
export interface Breaker {
  seen(outcomes: readonly SendOutcome[]): void;
  /** Why nothing more may be sent now, and how long the channel should rest; null while all is well. */
  opened(): Opening | null;
}

export interface Opening {
  reason: 'refused' | 'rate-limited' | 'unavailable';
  waitMs: number;
}

/** So many failures in a row mean that the provider is away. */
const failuresMax = 5;
const awayMs = { first: 30_000, most: 300_000 } as const;
const refusedMs = { first: 900_000, most: 14_400_000 } as const;

export interface BreakerTerms {
  random: () => number;
  /** For how long the channel has rested, where this batch tries whether it works again; else null. */
  restedMs: number | null;
}

export function createBreaker(terms: BreakerTerms): Breaker {
  let failures = 0;
  let opening: Opening | null = null;
  return {
    seen: (outcomes) => {
      for (const outcome of outcomes) {
        const error = outcome.kind === 'accepted' ? null : outcome.error;
        failures = error !== null && isAway(error) ? failures + 1 : 0;
        opening ??= openingFor(error, failures, terms);
      }
    },
    opened: () => opening,
  };
}

function isAway(error: AdapterError): boolean {
  return error.class === 'temporary' || error.class === 'unknown_outcome';
}

function openingFor(
  error: AdapterError | null,
  failures: number,
  { random, restedMs }: BreakerTerms,
): Opening | null {
  if (error?.class === 'config')
    return { reason: 'refused', waitMs: error.retryAfterMs ?? growing(refusedMs, restedMs) };
  if (error?.scope === 'channel' && error.retryAfterMs !== undefined)
    return { reason: 'rate-limited', waitMs: error.retryAfterMs };
  if (failures < (restedMs === null ? failuresMax : 1)) return null;
  const waitMs = Math.ceil(growing(awayMs, restedMs) * (1 + random()));
  return { reason: 'unavailable', waitMs };
}

/** Each wait is as long as all before it together, up to the longest. */
function growing({ first, most }: { first: number; most: number }, restedMs: number | null) {
  return Math.min(Math.max(first, restedMs ?? 0), most);
}
