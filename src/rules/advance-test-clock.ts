import type { Db } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import { AppError, invalid } from '../errors.ts';
import { lockTestClock, setTestNow, type TestClock } from '../history/clinic-store.ts';
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
  return inTurn(clinicId, async () => {
    const clock = await withClinic(deps.db, clinicId, async (trx) => {
      const found = await lockTestClock(trx, clinicId);
      if (found === null) throw notATestClinic();
      refuseTarget(target, found.now);
      const heading = later(target, found.target ?? target);
      await setTestNow(trx, clinicId, found.now, heading);
      return { now: found.now, target: heading };
    });
    return moveTo(deps, clinicId, clock);
  });
}

/** Does what is due at the present instant of a test clinic; after each write of the API. */
export async function tickTestClinic(deps: TestClockDeps, clinicId: string): Promise<Advanced> {
  return inTurn(clinicId, async () => {
    const clock = await withClinic(deps.db, clinicId, (trx) => lockTestClock(trx, clinicId));
    if (clock === null) throw notATestClinic();
    return moveTo(deps, clinicId, { now: clock.now, target: clock.target ?? clock.now });
  });
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

const turns = new Map<string, Promise<unknown>>();

/** One at a time for each clinic in this process; others are held apart by the clock's row. */
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
    const clock = await lockTestClock(trx, clinicId);
    if (clock === null) throw notATestClinic();
    // Another process has moved it on meanwhile: that is where we are.
    if (isBefore(now, clock.now)) return clock.target === null ? { now: clock.now, target } : clock;
    const { plan, dispatch } = await findTestWork(trx, clinicId);
    const ahead = [plan, dispatch].filter(
      (at) => at !== null && isBefore(now, at) && isBefore(at, target),
    );
    const next =
      ahead.reduce((one, other) => (one && other && isBefore(one, other) ? one : other), target) ??
      target;
    const isDone = !isBefore(now, target);
    await setTestNow(trx, clinicId, isDone ? now : next, isDone ? null : target);
    return isDone ? { now, target: null } : { now: next, target };
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
