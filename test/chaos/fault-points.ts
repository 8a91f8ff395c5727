/**
 * Every named fault point, with each provider: a dispatcher kills itself there, another one finishes the
 * work. Random kills make it likely that a gap is found; this makes it certain.
 */
import type { Clock } from '../../src/clock.ts';
import { connect, type Db } from '../../src/database/connect.ts';
import { migrateToLatest } from '../../src/database/migrate.ts';
import { callbackId } from '../../src/outbox/channel-store.ts';
import { type FaultPoint, faultPoints } from '../../src/outbox/fault.ts';
import type { Faults } from '../simulators/control.ts';
import { type SendgridSimulator, startSendgridSimulator } from '../simulators/sendgrid.ts';
import { type SmscSimulator, startSmscSimulator } from '../simulators/smsc.ts';
import { type Callbacks, receiveCallbacks } from './callbacks.ts';
import { makeChaosClinic } from './chaos-clinic.ts';
import { startChild } from './child.ts';
import type { DispatcherSettings } from './dispatcher.ts';
import { judge, type ProviderChannel, type Taken, type Verdict } from './judge.ts';
import { drain, endLeases, takenBy } from './kills.ts';
import { outbox } from './outbox-contestant.ts';
import { scaledClock, timeScale } from './scaled-clock.ts';

export interface SweptPoint {
  point: FaultPoint;
  channel: ProviderChannel;
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
const reachMsMax = 30_000;
const lanes = 2;

interface Simulators {
  smsc: SmscSimulator;
  sendgrid: SendgridSimulator;
}

export async function sweepFaultPoints(options: SweepOptions): Promise<SweptPoint[]> {
  const scale = timeScale(factor);
  const clock = scaledClock(scale);
  const settings: DispatcherSettings = { scale, callTimeoutMs: 5_000 };
  const { db, close } = await connect({ url: options.databaseUrl });
  const callbacks = await receiveCallbacks(db, clock);
  const simulators: Simulators[] = [];
  try {
    await migrateToLatest(db);
    await outbox.prepare(db);
    const cases = faultPoints.flatMap((point) =>
      (['sms', 'email'] as const).map((channel) => ({ point, channel })),
    );
    const swept: (Case & { clinicId: string; isReached: boolean })[] = [];
    const waiting = cases.entries();
    const work = async () => {
      for (const [index, each] of waiting) {
        const providers = await startSimulators(options.seed + index, clock);
        simulators.push(providers);
        const clinic = await makeChaosClinic(db, {
          ...{ providers, clock, channel: each.channel },
          ...{ patients: patientsPerCase, firstPatient: index * patientsPerCase },
        });
        const here = { ...each, clinicId: clinic.id, providers, callbacks };
        const isReached = await reach(options, db, settings, here);
        swept.push({ ...each, clinicId: clinic.id, isReached });
        options.report?.(swept.length, cases.length, `${each.point} with ${each.channel}`);
      }
    };
    await Promise.all(Array.from({ length: lanes }, work));
    await finish(options, db, settings);
    await Promise.all(simulators.map(({ sendgrid }) => sendgrid.settled()));
    const told = await outbox.tell(db);
    const taken = simulators.flatMap(takenBy);
    return swept.map(({ clinicId, ...each }) => {
      const mine = told.filter((message) => message.clinicId === clinicId);
      return { ...each, verdict: judge(mine, takenOf(mine, taken)) };
    });
  } finally {
    for (const { smsc, sendgrid } of simulators)
      await Promise.all([smsc.close(), sendgrid.close()]);
    await callbacks.close();
    await close();
  }
}

interface Case {
  point: FaultPoint;
  channel: ProviderChannel;
}

async function startSimulators(seed: number, clock: Clock): Promise<Simulators> {
  return {
    smsc: await startSmscSimulator({ seed, clock }),
    sendgrid: await startSendgridSimulator({ seed, clock }),
  };
}

/** @returns whether a dispatcher for this clinic ended at the point. */
async function reach(
  { databaseUrl }: SweepOptions,
  db: Db,
  settings: DispatcherSettings,
  {
    point,
    channel,
    clinicId,
    providers,
    callbacks,
  }: Case & { clinicId: string; providers: Simulators; callbacks: Callbacks },
): Promise<boolean> {
  const { smsc, sendgrid } = providers;
  // Who can be asked is asked: what SMSC.ru has to tell must not come by itself.
  sendgrid.webhookTo(`${callbacks.url}/${callbackId(clinicId, 'email')}`);
  const faults = faultsFor(point, channel);
  smsc.faults(faults);
  sendgrid.faults(faults);
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
function faultsFor(point: FaultPoint, channel: ProviderChannel): Faults {
  if (point === 'before_pause_commit') return { http429: true, retryAfterSeconds: 60, times: 1 };
  const isForReconciler = point.includes('reconcile');
  // A letter that was taken is told of at once, so that nobody looks for it.
  return isForReconciler && channel === 'email'
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
