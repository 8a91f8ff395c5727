import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Db, Trx } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import { AppError, invalid } from '../errors.ts';
import {
  holdTestClock,
  releaseTestClock,
  renewTestClock,
  setTestNow,
  type TestClock,
} from '../history/clinic-store.ts';
import { type DispatchDeps, dispatchClinic } from '../outbox/dispatch.ts';
import { type PlanDeps, planClinic } from './plan.ts';
import { findTestWork } from './test-clock-store.ts';

/**
 * Moves a test clinic's clock, with the result that every minute between would have had: it jumps from
 * one due instant to the next and does at each what the background roles of a live clinic would do.
 */

export interface Advanced {
  now: Temporal.Instant;
  planned: number;
  sent: number;
  suppressed: number;
}

export type TestClockDeps = PlanDeps & DispatchDeps & { db: Db };

export const daysPerCallMax = 400;

/**
 * Forward only; the present instant is allowed and does what is due now. Where a crash interrupted an
 * earlier move, that one is finished first.
 * @throws AppError for a live clinic, an instant that is past, or one too far ahead.
 */
export async function advanceTestClock(
  deps: TestClockDeps,
  clinicId: string,
  target: Temporal.Instant,
): Promise<Advanced> {
  return whileHeld(deps, clinicId, async (clock) => {
    refuseTarget(target, clock.now);
    const heading = later(target, clock.target ?? target);
    await withClinic(deps.db, clinicId, (trx) => put(trx, clinicId, clock.now, heading));
    return moveTo(deps, clinicId, { now: clock.now, target: heading });
  });
}

/** Does what is due at the present instant of a test clinic; after each write of the API. */
export async function tickTestClinic(deps: TestClockDeps, clinicId: string): Promise<Advanced> {
  return whileHeld(deps, clinicId, (clock) =>
    moveTo(deps, clinicId, { now: clock.now, target: clock.target ?? clock.now }),
  );
}

function notATestClinic(): AppError {
  return new AppError('unprocessable', 'Only a test clinic has a clock of its own.');
}

function refuseTarget(target: Temporal.Instant, now: Temporal.Instant): void {
  if (isBefore(target, now)) {
    throw invalid('/now', 'clock-backwards', `The clock stands at ${now} and only moves forward.`);
  }
  if (isBefore(now.add({ hours: daysPerCallMax * 24 }), target)) {
    throw invalid(
      '/now',
      'clock-too-far',
      `The clock moves by at most ${daysPerCallMax} days a call.`,
    );
  }
}

/** This process, to those that share its database. */
const mover = randomUUID();
const leaseMs = 10_000;
const renewEveryMs = 2_000;
const askAgainMs = 50;
/** As long as the longest move may take. */
const waitMaxMs = 5 * 60_000;

/** One mover at a time: in turn within this process, by a lease among several. */
async function whileHeld<T>(
  deps: TestClockDeps,
  clinicId: string,
  work: (clock: TestClock) => Promise<T>,
): Promise<T> {
  return inTurn(clinicId, async () => {
    const clock = await hold(deps, clinicId);
    // A plan may take longer than a lease should: whoever dies is not waited for.
    const renewal = setInterval(() => {
      withClinic(deps.db, clinicId, (trx) => renewTestClock(trx, clinicId, mover, leaseMs)).catch(
        // A lease that was lost shows when the clock is set.
        () => {},
      );
    }, renewEveryMs);
    try {
      return await work(clock);
    } catch (error) {
      await withClinic(deps.db, clinicId, (trx) => releaseTestClock(trx, clinicId, mover)).catch(
        // Its lease ends by itself.
        () => {},
      );
      throw error;
    } finally {
      clearInterval(renewal);
    }
  });
}

async function hold(deps: TestClockDeps, clinicId: string): Promise<TestClock> {
  for (const since = performance.now(); performance.now() - since < waitMaxMs; ) {
    const clock = await withClinic(deps.db, clinicId, (trx) =>
      holdTestClock(trx, clinicId, mover, leaseMs),
    );
    if (clock === null) throw notATestClinic();
    if (clock !== 'held') return clock;
    await pause(askAgainMs);
  }
  throw clockIsHeld();
}

async function put(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
  target: Temporal.Instant | null,
): Promise<void> {
  if (!(await setTestNow(trx, clinicId, mover, { now, target }))) throw clockIsHeld();
}

function clockIsHeld(): AppError {
  return new AppError('unavailable', "The test clinic's clock is being moved by another process.", {
    retryAfterSeconds,
  });
}

const retryAfterSeconds = 2;
const turns = new Map<string, Promise<unknown>>();

async function inTurn<T>(clinicId: string, work: () => Promise<T>): Promise<T> {
  const before = turns.get(clinicId) ?? Promise.resolve();
  // The one before has told its own caller what went wrong.
  const mine = before.catch(() => {}).then(work);
  turns.set(clinicId, mine);
  try {
    return await mine;
  } finally {
    if (turns.get(clinicId) === mine) turns.delete(clinicId);
  }
}

async function moveTo(
  deps: TestClockDeps,
  clinicId: string,
  clock: { now: Temporal.Instant; target: Temporal.Instant },
): Promise<Advanced> {
  const total: Advanced = { now: clock.now, planned: 0, sent: 0, suppressed: 0 };
  for (;;) {
    await settle(deps, clinicId, total);
    const next = await step(deps, clinicId, total.now, clock.target);
    if (next.target === null) return { ...total, now: next.now };
    total.now = next.now;
  }
}

/** Puts the clock to the next due instant, or to the target; `target` is null once all is done. */
async function step(
  deps: TestClockDeps,
  clinicId: string,
  now: Temporal.Instant,
  target: Temporal.Instant,
): Promise<TestClock> {
  return withClinic(deps.db, clinicId, async (trx) => {
    const { plan, dispatch } = await findTestWork(trx, clinicId);
    const ahead = [plan, dispatch].filter(
      (at) => at !== null && isBefore(now, at) && isBefore(at, target),
    );
    const next =
      ahead.reduce((one, other) => (one && other && isBefore(one, other) ? one : other), target) ??
      target;
    const isDone = !isBefore(now, target);
    const clock = isDone ? { now, target: null } : { now: next, target };
    await put(trx, clinicId, clock.now, clock.target);
    return clock;
  });
}

/** Bounds what one instant can ask for; what waits for the real clock, such as a host's webhook, is left. */
const roundsMax = 1_000;
const idleRoundsMax = 3;

async function settle(deps: TestClockDeps, clinicId: string, total: Advanced): Promise<void> {
  const { now } = total;
  for (let round = 0, idle = 0; round < roundsMax && idle < idleRoundsMax; round += 1) {
    const work = await withClinic(deps.db, clinicId, (trx) => findTestWork(trx, clinicId));
    const isDue = (at: Temporal.Instant | null) => at !== null && !isBefore(now, at);
    if (!isDue(work.plan) && !isDue(work.dispatch)) return;
    const before = total.planned + total.sent + total.suppressed;
    let others = 0;
    if (isDue(work.plan)) {
      const { planned, suppressed, nextAt } = await planClinic(deps, clinicId, now);
      total.planned += planned;
      total.suppressed += suppressed;
      if (isDue(nextAt)) others += 1;
    }
    if (isDue(work.dispatch)) {
      const { sent, suppressed, held, failed, unknown } = await dispatchClinic(deps, clinicId, now);
      total.sent += sent;
      total.suppressed += suppressed;
      others += held + failed + unknown;
    }
    idle = total.planned + total.sent + total.suppressed + others > before ? 0 : idle + 1;
  }
}

function isBefore(one: Temporal.Instant, other: Temporal.Instant): boolean {
  return Temporal.Instant.compare(one, other) < 0;
}

function later(one: Temporal.Instant, other: Temporal.Instant): Temporal.Instant {
  return isBefore(one, other) ? other : one;
}
