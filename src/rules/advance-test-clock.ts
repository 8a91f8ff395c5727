import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Db, Trx } from '../database/connect.ts';
import { repeatSacrificed } from '../database/outage.ts';
import { withClinic } from '../database/with-clinic.ts';
import { AppError, invalid, notFound } from '../errors.ts';
import {
  findClinic,
  holdTestClock,
  releaseTestClock,
  renewTestClock,
  setTestNow,
  type TestClock,
} from '../history/clinic-store.ts';
import { isBefore, later } from '../local-time.ts';
import { type DispatchDeps, dispatchClinic } from '../outbox/dispatch.ts';
import { reconcileClinic } from '../outbox/reconcile.ts';
import { type DeliverDeps, deliverInTest } from '../outbox/webhooks/deliver.ts';
import { type PlanDeps, planClinic } from './plan.ts';
import { findTestWork, type TestWork } from './test-clock-store.ts';

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

export type TestClockDeps = PlanDeps &
  DispatchDeps &
  DeliverDeps & {
    db: Db;
    /** What is due at the clinic's desk, which stands in a room beside this one. @returns how much came of it. */
    serveDesk?: (clinicId: string, now: Temporal.Instant) => Promise<number>;
  };

/** Of what happens in one move the host is told so many shares at once; the rest goes with what comes next. */
const webhookSharesMax = 50;

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
  const advanced = await whileHeld(deps, clinicId, async (clock) => {
    refuseTarget(target, clock.now);
    const heading = later(target, clock.target ?? target);
    await withClinic(deps.db, clinicId, (trx) => put(trx, clinicId, clock.now, heading));
    return moveTo(deps, clinicId, { now: clock.now, target: heading });
  });
  await deliverInTest(deps, clinicId, webhookSharesMax);
  return advanced;
}

/** Does what is due at the present instant of a test clinic; after each write of the API. */
export async function tickTestClinic(deps: TestClockDeps, clinicId: string): Promise<Advanced> {
  // What a transaction lost to another it does again: all of it may be done twice.
  const advanced = await repeatSacrificed(() =>
    whileHeld(deps, clinicId, (clock) =>
      moveTo(deps, clinicId, { now: clock.now, target: clock.target ?? clock.now }),
    ),
  );
  await repeatSacrificed(() => deliverInTest(deps, clinicId, 1));
  return advanced;
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
  if (await setTestNow(trx, clinicId, mover, { now, target })) return;
  // The clinic may have been deleted under the move.
  throw (await findClinic(trx, clinicId)) === null ? notFound('clinic') : clockIsHeld();
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

/** Bounds what one instant can ask for; what waits for the real clock, such as a host's webhook, is left. */
const roundsMax = 1_000;
const idleRoundsMax = 3;

async function moveTo(
  deps: TestClockDeps,
  clinicId: string,
  clock: { now: Temporal.Instant; target: Temporal.Instant },
): Promise<Advanced> {
  const total: Advanced = { now: clock.now, planned: 0, sent: 0, suppressed: 0 };
  for (let rounds = 0, idle = 0; ; ) {
    const isSettled = rounds >= roundsMax || idle >= idleRoundsMax;
    const stand = await step(deps, clinicId, { ...clock, now: total.now }, isSettled);
    if (stand.target === null) return { ...total, now: stand.now };
    if (isBefore(total.now, stand.now)) {
      total.now = stand.now;
      rounds = 0;
      idle = 0;
    }
    if (!isAnything(stand.due)) continue;
    rounds += 1;
    idle = (await workOnce(deps, clinicId, stand.due, total)) ? 0 : idle + 1;
  }
}

interface Due {
  plan: boolean;
  dispatch: boolean;
  /** Of a webhook's answer that was lost: the sandbox leaves nothing open. */
  reconcile: boolean;
  desk: boolean;
}

function isAnything({ plan, dispatch, reconcile, desk }: Due): boolean {
  return plan || dispatch || reconcile || desk;
}

interface Stand extends TestClock {
  /** What is due at that instant. */
  due: Due;
}

/**
 * Says what is due at the present instant; once nothing is, puts the clock to the next due instant or to
 * the target. `target` is null once all is done.
 */
async function step(
  deps: TestClockDeps,
  clinicId: string,
  { now, target }: { now: Temporal.Instant; target: Temporal.Instant },
  isSettled: boolean,
): Promise<Stand> {
  return withClinic(deps.db, clinicId, async (trx) => {
    const work = await findTestWork(trx, clinicId);
    const due = dueAt(work, now);
    if (!isSettled && isAnything(due)) return { now, target, due };
    if (!isBefore(now, target)) {
      await put(trx, clinicId, now, null);
      return { now, target: null, due };
    }
    const ahead = [work.plan, work.dispatch, work.reconcile, work.desk]
      .filter((at) => at !== null)
      .filter((at) => isBefore(now, at) && isBefore(at, target));
    const next = ahead.reduce((one, other) => (isBefore(one, other) ? one : other), target);
    await put(trx, clinicId, next, target);
    return { now: next, target, due: dueAt(work, next) };
  });
}

function dueAt({ plan, dispatch, reconcile, desk }: TestWork, now: Temporal.Instant): Due {
  const isDue = (at: Temporal.Instant | null) => at !== null && !isBefore(now, at);
  return {
    plan: isDue(plan),
    dispatch: isDue(dispatch),
    reconcile: isDue(reconcile),
    desk: isDue(desk),
  };
}

/** What the background roles would do in one round. @returns whether anything came of it. */
async function workOnce(
  deps: TestClockDeps,
  clinicId: string,
  due: Due,
  total: Advanced,
): Promise<boolean> {
  const { now } = total;
  let moved = 0;
  if (due.plan) {
    const { planned, suppressed, nextAt } = await planClinic(deps, clinicId, now);
    total.planned += planned;
    total.suppressed += suppressed;
    moved += planned + suppressed;
    if (nextAt !== null && !isBefore(now, nextAt)) moved += 1;
  }
  if (due.desk) moved += (await deps.serveDesk?.(clinicId, now)) ?? 0;
  if (due.reconcile) moved += (await reconcileClinic(deps, clinicId, now)).changed;
  if (due.dispatch) {
    const share = await dispatchClinic(deps, clinicId, now);
    total.sent += share.sent;
    total.suppressed += share.suppressed;
    moved += share.sent + share.suppressed + share.held + share.failed + share.unknown;
    if (share.remaining) moved += 1;
  }
  return moved > 0;
}
