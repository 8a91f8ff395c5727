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
const awayMs = 30_000;
const refusedMs = 900_000;

export function createBreaker(random: () => number): Breaker {
  let failures = 0;
  let opening: Opening | null = null;
  return {
    seen: (outcomes) => {
      for (const outcome of outcomes) {
        const error = outcome.kind === 'accepted' ? null : outcome.error;
        failures = error !== null && isAway(error) ? failures + 1 : 0;
        opening ??= openingFor(error, failures, random);
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
  random: () => number,
): Opening | null {
  if (error?.class === 'config')
    return { reason: 'refused', waitMs: error.retryAfterMs ?? refusedMs };
  if (error?.scope === 'channel' && error.retryAfterMs !== undefined)
    return { reason: 'rate-limited', waitMs: error.retryAfterMs };
  if (failures < failuresMax) return null;
  return { reason: 'unavailable', waitMs: Math.ceil(awayMs * (1 + random())) };
}
