/** Whether this process does its work: what `/readyz` and the metrics tell. */
export interface Health {
  /** False where this process runs no scheduler, so that nobody waits for its ticks. */
  ticks: boolean;
  /** Called whenever a tick has ended. */
  ticked(): void;
  /** Seconds since the last tick ended, null before the first. By the monotonic timer. */
  tickAgeSeconds(): number | null;
  /** The process is being stopped: a balancer should look elsewhere. */
  isStopping: boolean;
}

export function createHealth({ ticks }: { ticks: boolean }): Health {
  let lastTick: number | null = null;
  return {
    ticks,
    ticked: () => {
      lastTick = performance.now();
    },
    tickAgeSeconds: () => (lastTick === null ? null : (performance.now() - lastTick) / 1000),
    isStopping: false,
  };
}

const tickAgeMaxSeconds = 120;

export function isTicking(health: Health): boolean {
  if (!health.ticks) return true;
  const age = health.tickAgeSeconds();
  return age !== null && age <= tickAgeMaxSeconds;
}
