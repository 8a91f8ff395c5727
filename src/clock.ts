/** The only file that reads the wall clock. Everything else is given a `now`. */

export interface Clock {
  /** The present instant, whole milliseconds. */
  now(): Temporal.Instant;
}

/** This machine's clock. */
export const systemClock: Clock = {
  now: () => Temporal.Instant.fromEpochMilliseconds(Date.now()),
};

/** A clock that stands where it is put; for tests. */
export interface FixedClock extends Clock {
  set(now: Temporal.Instant | string): void;
  advance(duration: Temporal.DurationLike | string): void;
}

export function fixedClock(start: Temporal.Instant | string): FixedClock {
  let current = Temporal.Instant.from(start);
  return {
    now: () => current,
    set: (now) => {
      current = Temporal.Instant.from(now);
    },
    advance: (duration) => {
      current = current.add(duration);
    },
  };
}

/**
 * Follows the database's clock, so that replicas whose own clocks differ agree about what is due.
 * Between two `sync` calls it advances by the monotonic timer, which no clock change can move.
 */
export interface DatabaseClock extends Clock {
  /** Reads the database's clock; returns how far this machine's clock is ahead of it, in ms. */
  sync(): Promise<number>;
}

export function databaseClock(readNow: () => Promise<Temporal.Instant>): DatabaseClock {
  let offsetMs = Date.now() - performance.now();
  return {
    now: () => Temporal.Instant.fromEpochMilliseconds(Math.floor(performance.now() + offsetMs)),
    sync: async () => {
      const asked = performance.now();
      const databaseMs = (await readNow()).epochMilliseconds;
      const answered = performance.now();
      offsetMs = databaseMs - (asked + answered) / 2;
      return Date.now() - databaseMs;
    },
  };
}
