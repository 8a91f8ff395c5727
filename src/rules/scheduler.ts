import cron from 'node-cron';
import type { DatabaseClock } from '../clock.ts';
import type { Db } from '../database/connect.ts';
import { claimClinics } from '../history/clinic-work-store.ts';
import type { Service } from '../service.ts';
import { type PlanDeps, planClinic } from './plan.ts';

/**
 * Rings the planners. node-cron is the alarm and decides nothing; where it falls silent, a monotonic
 * guard rings in its place.
 */

export interface Scheduler extends Service {
  /** When the last tick finished, by the monotonic clock; null before the first. */
  lastTickMs(): number | null;
  /** One round now; for the start and for tests. */
  tick(): Promise<void>;
}

export interface SchedulerDeps extends PlanDeps {
  db: Db;
  clock: Pick<DatabaseClock, 'now' | 'sync'>;
  onError: (error: unknown, clinicId?: string) => void;
  /** How far this machine's clock is ahead of the database's. */
  onSkew?: (aheadMs: number) => void;
  onTick?: (counts: { clinics: number; planned: number; suppressed: number }) => void;
}

const everyQuarterMinute = '*/15 * * * * *';
const guardEveryMs = 30_000;
const silentAfterMs = 45_000;
const clinicsPerClaim = 20;
/** Bounds a tick; what is left waits for the next, which comes at once. */
const claimsMax = 50;

export function createScheduler(deps: SchedulerDeps): Scheduler {
  let lastTickMs: number | null = null;
  let running: Promise<void> | null = null;
  let isStopping = false;
  let task: ReturnType<typeof cron.schedule> | null = null;
  let guard: NodeJS.Timeout | null = null;

  const round = async () => {
    try {
      deps.onSkew?.(await deps.clock.sync());
      const counts = await planDueClinics(deps, () => isStopping);
      deps.onTick?.(counts);
      lastTickMs = performance.now();
    } catch (error) {
      // An outage is no reason to stop; `/readyz` tells when it lasts.
      deps.onError(error);
    }
  };
  const tick = () => {
    running ??= round().finally(() => {
      running = null;
    });
    return running;
  };

  return {
    start: () => {
      if (task !== null) return;
      isStopping = false;
      task = cron.schedule(everyQuarterMinute, tick, {
        timezone: 'UTC',
        noOverlap: true,
        name: 'tick',
        suppressMissedWarning: true,
      });
      guard = setInterval(() => {
        if (lastTickMs === null || performance.now() - lastTickMs > silentAfterMs) void tick();
      }, guardEveryMs);
      void tick();
    },
    stop: async () => {
      isStopping = true;
      await task?.destroy();
      task = null;
      if (guard !== null) clearInterval(guard);
      guard = null;
      await running;
    },
    wake: () => void tick(),
    tick,
    lastTickMs: () => lastTickMs,
  };
}

async function planDueClinics(deps: SchedulerDeps, isStopping: () => boolean) {
  const counts = { clinics: 0, planned: 0, suppressed: 0 };
  const now = deps.clock.now();
  // A clinic whose work goes on is left to the next tick, so that none is served twice before all once.
  const served = new Set<string>();
  for (let claim = 0; claim < claimsMax && !isStopping(); claim += 1) {
    const clinicIds = await claimClinics(deps.db, 'plan', now, clinicsPerClaim);
    const fresh = clinicIds.filter((id) => !served.has(id));
    if (fresh.length === 0) break;
    for (const clinicId of fresh) {
      served.add(clinicId);
      if (isStopping()) break;
      try {
        const { planned, suppressed } = await planClinic(deps, clinicId, now);
        counts.planned += planned;
        counts.suppressed += suppressed;
        counts.clinics += 1;
      } catch (error) {
        // One clinic's trouble must not keep the others from being planned.
        deps.onError(error, clinicId);
      }
    }
  }
  return counts;
}
