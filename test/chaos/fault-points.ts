/**
 * Every named fault point, with each provider: a dispatcher kills itself there, another one finishes the
 * work. Random kills make it likely that a gap is found; this makes it certain.
 */
import { connect, type Db } from '../../src/database/connect.ts';
import { migrateToLatest } from '../../src/database/migrate.ts';
import { type FaultPoint, faultPoints } from '../../src/outbox/fault.ts';
import type { Faults } from '../simulators/control.ts';
import { type Callbacks, receiveCallbacks } from './callbacks.ts';
import { makeChaosClinic } from './chaos-clinic.ts';
import { startChild } from './child.ts';
import type { DispatcherSettings } from './dispatcher.ts';
import { judge, type ProviderName, type Taken, type Verdict } from './judge.ts';
import { drain, endLeases } from './kills.ts';
import { outbox } from './outbox-contestant.ts';
import { type Providers, startProviders } from './providers.ts';
import { scaledClock, timeScale } from './scaled-clock.ts';

export interface SweptPoint {
  point: FaultPoint;
  provider: ProviderName;
  /** Whether the process ended there. */
  isReached: boolean;
  verdict: Verdict;
}

export interface SweepOptions {
  /** An empty database. */
  databaseUrl: string;
  seed: number;
  report?: (done: number, total: number, note: string) => void;
}

const factor = 300;
const patientsPerCase = 6;
const reachMsMax = 120_000;
const lanes = 2;

export async function sweepFaultPoints(options: SweepOptions): Promise<SweptPoint[]> {
  const scale = timeScale(factor);
  const clock = scaledClock(scale);
  const settings: DispatcherSettings = { scale, callTimeoutMs: 5_000 };
  const { db, close } = await connect({ url: options.databaseUrl });
  const callbacks = await receiveCallbacks(db, clock);
  const simulators: Providers[] = [];
  try {
    await migrateToLatest(db);
    await outbox.prepare(db);
    const cases = faultPoints.flatMap((point) =>
      (['smsc', 'sendgrid'] as const).map((provider) => ({ point, provider })),
    );
    const swept: (Case & { clinicId: string; isReached: boolean })[] = [];
    const waiting = cases.entries();
    const work = async () => {
      for (const [index, each] of waiting) {
        const providers = await startProviders(options.seed + index, clock);
        simulators.push(providers);
        const clinic = await makeChaosClinic(db, {
          ...{ providers, clock, provider: each.provider },
          ...{ patients: patientsPerCase, firstPatient: index * patientsPerCase },
        });
        const here = { ...each, clinicId: clinic.id, providers, callbacks };
        const isReached = await reach(options, db, settings, here);
        swept.push({ ...each, clinicId: clinic.id, isReached });
        options.report?.(swept.length, cases.length, `${each.point} with ${each.provider}`);
      }
    };
    await Promise.all(Array.from({ length: lanes }, work));
    await finish(options, db, settings);
    await Promise.all(simulators.map((each) => each.settled()));
    const told = await outbox.tell(db);
    const taken = simulators.flatMap((each) => each.taken());
    return swept.map(({ clinicId, ...each }) => {
      const mine = told.filter((message) => message.clinicId === clinicId);
      return { ...each, verdict: judge(mine, takenOf(mine, taken)) };
    });
  } finally {
    for (const each of simulators) await each.close();
    await callbacks.close();
    await close();
  }
}

interface Case {
  point: FaultPoint;
  provider: ProviderName;
}

/** @returns whether a dispatcher for this clinic ended at the point. */
async function reach(
  { databaseUrl }: SweepOptions,
  db: Db,
  settings: DispatcherSettings,
  {
    point,
    provider,
    clinicId,
    providers,
    callbacks,
  }: Case & { clinicId: string; providers: Providers; callbacks: Callbacks },
): Promise<boolean> {
  // Who can be asked is asked: what SMSC.ru has to tell must not come by itself.
  if (provider === 'sendgrid') providers.callBack(provider, callbacks.url, clinicId);
  providers.faults(() => faultsFor(point, provider));
  const child = startChild({
    ...{ program: 'dispatcher.ts', databaseUrl, settings: { ...settings, clinicId } },
    environment: { RETORNO_FAULT: `${point}:1` },
  });
  const timer = setTimeout(() => void child.kill(), reachMsMax);
  const started = performance.now();
  const end = await child.ended;
  clearTimeout(timer);
  await endLeases(db, outbox.table, child);
  return end === 'SIGKILL' && performance.now() - started < reachMsMax;
}

/** What brings a dispatcher to the point. */
function faultsFor(point: FaultPoint, provider: ProviderName): Faults {
  if (point === 'before_pause_commit') return { http429: true, retryAfterSeconds: 60, times: 1 };
  const isForReconciler = point.includes('reconcile');
  // A letter that was taken is told of at once, so that nobody looks for it.
  return isForReconciler && provider === 'sendgrid'
    ? { dropBeforeAccept: true, times: 1 }
    : { acceptThenDropReply: true, times: 1 };
}

async function finish(options: SweepOptions, db: Db, settings: DispatcherSettings): Promise<void> {
  const { databaseUrl } = options;
  const healthy = startChild({ program: 'dispatcher.ts', databaseUrl, settings });
  await drain({ contestant: outbox }, db, 0);
  await healthy.kill();
}

function takenOf(told: readonly { address: string }[], taken: readonly Taken[]): Taken[] {
  const addresses = new Set(told.map(({ address }) => address));
  return taken.filter(({ address }) => addresses.has(address));
}
