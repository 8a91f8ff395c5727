import type { Settlement } from './outcome.ts';

/**
 * Writes outcomes soon after they are known without a transaction for each: while they come fast, so
 * many go together; the first after a silence goes at once.
 */
export interface OutcomeRecorder {
  add(settlements: readonly Settlement[]): void;
  /** Resolves once all that was added is written. @throws what a write threw. */
  drained(): Promise<void>;
}

const togetherMin = 256;
const silenceMs = 100;

export function createOutcomeRecorder(
  write: (settlements: readonly Settlement[]) => Promise<void>,
  monotonicMs: () => number,
): OutcomeRecorder {
  let writtenAtMs = Number.NEGATIVE_INFINITY;
  let waiting: Settlement[] = [];
  let writing: Promise<void> | null = null;
  let failure: unknown = null;
  let isDraining = false;

  const writeAll = async () => {
    while (waiting.length > 0 && failure === null) {
      const batch = waiting;
      waiting = [];
      await write(batch);
      writtenAtMs = monotonicMs();
      if (!isDraining && waiting.length < togetherMin) break;
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
      const isSilent = monotonicMs() - writtenAtMs >= silenceMs;
      if (isSilent || waiting.length >= togetherMin) start();
    },
    drained: async () => {
      isDraining = true;
      while (writing || (waiting.length > 0 && failure === null)) {
        start();
        await writing;
      }
      if (failure !== null) throw failure;
    },
  };
}
