/** A background loop. Starting twice is harmless; `stop` waits for the round in progress. */
export interface Service {
  start(): void;
  stop(): Promise<void>;
  /** Runs a round soon, without waiting for the pause to end. */
  wake(): void;
}

export interface LoopOptions {
  /** One bounded round. Its answer says whether more work waits, so that no pause is made. */
  round: (signal: AbortSignal) => Promise<'more' | 'idle'>;
  /** The pause between rounds that found nothing. */
  idleMs: number;
  /** A round that throws is reported here and tried again after the pause: an outage is no reason to stop. */
  onError: (error: unknown) => void;
}

export function loop({ round, idleMs, onError }: LoopOptions): Service {
  let running: Promise<void> | undefined;
  let stopping = new AbortController();
  let wakeUp: () => void = () => {};

  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, idleMs);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const run = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      const found = await round(signal).catch((error: unknown) => {
        onError(error);
        return 'idle' as const;
      });
      if (found === 'idle' && !signal.aborted) await pause();
    }
  };

  return {
    start: () => {
      if (running) return;
      stopping = new AbortController();
      running = run(stopping.signal);
    },
    stop: async () => {
      stopping.abort();
      wakeUp();
      await running;
      running = undefined;
    },
    wake: () => wakeUp(),
  };
}
