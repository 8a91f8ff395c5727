import type { Clock } from '../../src/clock.ts';

/**
 * Business time that runs faster, so that waits of minutes pass in seconds. It is computed from a shared
 * start: a process that is started again goes on where the others are.
 */

export interface TimeScale {
  /** By the wall clock. */
  startedAtMs: number;
  /** What business time was then. */
  shownMs: number;
  factor: number;
}

/**
 * Starts at noon of the next day: always ahead of the database's clock, so that no lease, which lives on
 * that one, ends in business time's future.
 */
export function timeScale(factor: number): TimeScale {
  const startedAtMs = Date.now();
  const tomorrow = Temporal.Instant.fromEpochMilliseconds(startedAtMs)
    .toZonedDateTimeISO('UTC')
    .add({ days: 1 })
    .with({ hour: 12, minute: 0, second: 0 });
  return { startedAtMs, shownMs: tomorrow.epochMilliseconds, factor };
}

export function scaledClock({ startedAtMs, shownMs, factor }: TimeScale): Clock {
  return {
    now: () =>
      Temporal.Instant.fromEpochMilliseconds(
        Math.floor(shownMs + (Date.now() - startedAtMs) * factor),
      ),
  };
}
