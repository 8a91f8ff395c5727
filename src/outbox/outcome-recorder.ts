import type { Settlement } from './outcome.ts';

/**
 * Writes outcomes soon after they are known without a transaction for each: what comes in while one
 * write runs goes with the next.
 */
export interface OutcomeRecorder {
  add(settlements: readonly Settlement[]): void;
  /** Resolves once all that was added is written. @throws what a write threw. */
  drained(): Promise<void>;
}

export function createOutcomeRecorder(
  write: (settlements: readonly Settlement[]) => Promise<void>,
): OutcomeRecorder {
  let waiting: Settlement[] = [];
  let writing: Promise<void> | null = null;
  let failure: unknown = null;

  const writeAll = async () => {
    while (waiting.length > 0 && failure === null) {
      const batch = waiting;
      waiting = [];
      await write(batch);
    }
  };
  const start = () => {
    writing ??= writeAll()
      .catch((error: unknown) => {
        // Kept for `drained`: until then nobody waits for it.
        failure = error;
      })
      .finally(() => {
        writing = null;
      });
  };

  return {
    add: (settlements) => {
      waiting.push(...settlements);
      start();
    },
    drained: async () => {
      while (writing) await writing;
      if (failure !== null) throw failure;
    },
  };
}
