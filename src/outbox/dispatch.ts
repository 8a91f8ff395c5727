import type { Channel } from '../channels/channel.ts';
import type { Db } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import type { Clinic } from '../history/clinic.ts';
import { findClinic } from '../history/clinic-store.ts';
import { claimClinics, rescheduleClinic, wakeClinic } from '../history/clinic-work-store.ts';
import { loop, type Service } from '../service.ts';
import { type BeginDeps, type BeginResult, beginMessages } from './begin-messages.ts';
import type { Opening } from './breaker.ts';
import { callPlanner } from './call-planner.ts';
import {
  type ChannelDeps,
  type EffectiveChannel,
  effectiveChannels,
  pauseChannel,
  resumeChannel,
} from './channel-store.ts';
import {
  expireDueMessages,
  extendLeases,
  findDueWork,
  lockDueMessages,
  nextDispatchAt,
  type Recovered,
  recoverLeases,
} from './claim-store.ts';
import type { Settlement } from './outcome.ts';
import { createOutcomeRecorder } from './outcome-recorder.ts';
import { recordOutcomes } from './outcome-store.ts';
import { aheadMs, findSlots, isBlind, takeSlots } from './rate-store.ts';
import { type SendDeps, sendCalls } from './send-calls.ts';

/**
 * Works through what is due. Any number of dispatchers may serve a clinic at once; each message is
 * held by one of them, and nothing is sent before the intent to send it is committed.
 */

export interface DispatchDeps extends BeginDeps, ChannelDeps, SendDeps {
  db: Db;
  /** Told of each share that a dispatcher worked, for whoever counts. */
  onShare?: (share: DispatchResult) => void;
}

export interface DispatchLimits {
  /** How many messages of each channel one share takes. */
  messages: number;
  /** Once it is aborted nothing more is begun, and what was not called yet is given back. */
  signal?: AbortSignal;
}

export const defaultLimits: DispatchLimits = Object.freeze({ messages: 5_000 });

export interface DispatchResult {
  sent: number;
  suppressed: number;
  held: number;
  failed: number;
  unknown: number;
  /** Rules that are held from now on because today is no usual day. */
  anomalies: number;
  /** Why channels were put to rest, or rest on. */
  pauses: Opening['reason'][];
  /** The limit was reached, or somebody was writing to a patient: more may be due. */
  remaining: boolean;
}

/** What one transaction holds, judges and commits. */
const batchMax = 500;
const batchOfBatchesMax = 1_000;
const batchOfBlindMax = 32;
const recoverMax = 1_000;
const expireMax = 1_000;

/** One bounded share of one clinic's due messages, with what crashed dispatchers left. */
export async function dispatchClinic(
  deps: DispatchDeps,
  clinicId: string,
  now: Temporal.Instant,
  limits: DispatchLimits = defaultLimits,
): Promise<DispatchResult> {
  const result = noResult();
  const opened = await open(deps, clinicId, now, result);
  if (opened === null) return result;
  const share: Share = {
    deps,
    ...opened,
    limits,
    result,
    now: presentOf(deps, opened.clinic, now),
  };
  const drains = await Promise.allSettled(share.due.map((channel) => drain(share, channel)));
  deps.faults('before_reschedule');
  await withClinic(deps.db, clinicId, (trx) =>
    rescheduleClinic(trx, clinicId, 'dispatch', () => nextDispatchAt(trx, clinicId)),
  );
  deps.faults('after_reschedule');
  const broken = drains.find((drained) => drained.status === 'rejected');
  if (broken) throw broken.reason;
  return result;
}

function noResult(): DispatchResult {
  return {
    ...{ sent: 0, suppressed: 0, held: 0, failed: 0, unknown: 0, anomalies: 0 },
    ...{ pauses: [], remaining: false },
  };
}

interface Opened {
  clinic: Clinic;
  channels: Map<Channel, EffectiveChannel>;
  /** On which something is due. */
  due: Channel[];
}

interface Share extends Opened {
  deps: DispatchDeps;
  limits: DispatchLimits;
  result: DispatchResult;
  now: () => Temporal.Instant;
}

/** A live clinic's time goes on while its share is worked; a test clinic's stands. */
function presentOf(deps: DispatchDeps, clinic: Clinic, now: Temporal.Instant) {
  if (clinic.mode === 'test') return () => now;
  return () => {
    const present = deps.clock.now();
    return Temporal.Instant.compare(present, now) > 0 ? present : now;
  };
}

const nothingRecovered: Recovered = Object.freeze({ rescheduled: 0, unknown: 0, concerned: [] });

async function open(
  deps: DispatchDeps,
  clinicId: string,
  now: Temporal.Instant,
  result: DispatchResult,
): Promise<Opened | null> {
  return withClinic(deps.db, clinicId, async (trx) => {
    const clinic = await findClinic(trx, clinicId);
    if (clinic === null) return null;
    const look = await findDueWork(trx, clinicId, now);
    const recovered = look.hasLostLeases
      ? await recoverLeases(trx, clinicId, now, recoverMax)
      : nothingRecovered;
    if (recovered.unknown > 0) {
      deps.log.warn({ clinicId, messages: recovered.unknown }, 'Sends were interrupted.');
    }
    deps.faults('after_recover');
    const { channels: due } =
      recovered.rescheduled > 0 ? await findDueWork(trx, clinicId, now) : look;
    const expired = due.length === 0 ? [] : await expireDueMessages(trx, clinicId, now, expireMax);
    result.suppressed += expired.length;
    result.unknown += recovered.unknown;
    result.remaining = expired.length >= expireMax;
    deps.faults('after_expire');
    const channels = await effectiveChannels(deps, trx, clinic);
    const concerned = [...expired, ...recovered.concerned].filter((each) => each.journeyContinues);
    await callPlanner(trx, clinicId, concerned, now);
    if (recovered.unknown > 0) await wakeClinic(trx, clinicId, 'reconcile', now);
    return { clinic, channels, due };
  });
}

async function drain(share: Share, channel: Channel): Promise<void> {
  const recorder = createOutcomeRecorder(
    (settlements) => record(share, settlements),
    share.deps.monotonicMs,
  );
  let left = share.limits.messages;
  let sending: Promise<void> = Promise.resolve();
  let broken: unknown = null;
  const isOver = () => left <= 0 || broken !== null || share.limits.signal?.aborted === true;
  try {
    // While one batch is being sent the next one is begun.
    while (!isOver()) {
      // But a channel that has rested is tried first.
      if (restedMs(share, channel) !== null) await sending;
      const begun = await begin(share, channel, Math.min(left, batchSize(share, channel)));
      await sending;
      if (begun.taken === 0) break;
      left -= begun.taken;
      sending = send(share, channel, begun, recorder.add).catch((error: unknown) => {
        // Thrown below, once what is under way has ended.
        broken = error;
      });
    }
  } finally {
    await sending;
    await recorder.drained();
  }
  if (broken !== null) throw broken;
  if (left <= 0) share.result.remaining = true;
}

function batchSize(share: Share, channel: Channel): number {
  const effective = share.channels.get(channel);
  if (!effective || effective.adapter.isLocal) return batchMax;
  if (restedMs(share, channel) !== null) return 1;
  const { maxBatch, concurrency } = effective.adapter.capabilities(effective.config);
  if (isBlind(effective) && maxBatch <= 1) return Math.min(batchOfBlindMax, concurrency * 2);
  return maxBatch > 1 ? batchOfBatchesMax : batchMax;
}

/** For how long a channel has rested that may be tried again now; null while it works or rests. */
function restedMs({ channels, now }: Share, channel: Channel): number | null {
  const { resumeAt = null, pausedAt = null } = channels.get(channel) ?? {};
  const at = now();
  if (resumeAt === null || Temporal.Instant.compare(resumeAt, at) > 0) return null;
  return at.since(pausedAt ?? resumeAt).total('milliseconds');
}

interface BegunBatch extends BeginResult {
  /** How many were due and nobody was writing to. */
  taken: number;
  begunAtMs: number;
  pace: { startMs: number; gapMs: number } | null;
}

const nothing: BeginResult = Object.freeze({
  ...{ calls: [], delivered: 0, suppressed: 0, held: 0, busy: 0, anomalies: [] },
});

async function begin(share: Share, channel: Channel, most: number): Promise<BegunBatch> {
  const { deps, clinic, result } = share;
  const effective = share.channels.get(channel) ?? null;
  const now = share.now();
  const perSecond = effective && rateOf(effective);
  const isTrial = restedMs(share, channel) !== null;
  const startedMs = deps.monotonicMs();
  const begun = await withClinic(deps.db, clinic.id, async (trx) => {
    const slots =
      perSecond === null || effective === null
        ? null
        : await findSlots(trx, clinic.id, channel, perSecond, aheadMs(effective));
    const free = Math.min(most, slots?.free ?? most);
    const due =
      free === 0 ? [] : await lockDueMessages(trx, clinic.id, channel, now, free, { isTrial });
    deps.faults('after_pick');
    const begun =
      due.length === 0
        ? nothing
        : await beginMessages(
            deps,
            trx,
            clinic,
            { channel: effective, channels: share.channels },
            due,
            now,
          );
    // What is only held takes no turn from what leaves.
    const leaving = begun.calls.flat().length;
    if (perSecond !== null) await takeSlots(trx, clinic.id, channel, perSecond, leaving);
    deps.faults('before_begin_commit');
    return { ...begun, taken: due.length - begun.busy, delayMs: slots?.delayMs ?? 0 };
  });
  deps.faults('after_begin');
  result.sent += begun.delivered;
  result.suppressed += begun.suppressed;
  result.held += begun.held;
  result.anomalies += begun.anomalies.length;
  for (const { ruleId } of begun.anomalies) {
    deps.log.warn(
      { clinicId: clinic.id, ruleId },
      'A rule is held: it would send far more than usual.',
    );
  }
  if (begun.busy > 0) result.remaining = true;
  const pace =
    perSecond === null ? null : { startMs: startedMs + begun.delayMs, gapMs: 1000 / perSecond };
  return { ...begun, begunAtMs: startedMs, pace };
}

/** Messages a second of an account: the clinic's own limit, else what the provider bears. */
function rateOf({ limits, adapter, config }: EffectiveChannel): number | null {
  if (limits.perSecond !== undefined) return limits.perSecond;
  const rate = adapter.capabilities(config).rate?.find(({ scope }) => scope === 'channel');
  return rate === undefined ? null : (rate.points * 1000) / rate.perMs;
}

async function send(
  share: Share,
  channel: Channel,
  { calls, begunAtMs, pace }: BegunBatch,
  add: (settlements: readonly Settlement[]) => void,
): Promise<void> {
  const effective = share.channels.get(channel);
  if (!effective || effective.adapter.isLocal || calls.length === 0) return;
  const { deps, clinic } = share;
  const opening = await sendCalls(deps, {
    channel: effective,
    adapter: effective.adapter,
    calls,
    begunAtMs,
    pace,
    restedMs: restedMs(share, channel),
    now: share.now,
    extend: (messages) =>
      withClinic(deps.db, clinic.id, (trx) =>
        extendLeases(
          trx,
          clinic.id,
          messages.map(({ id, leaseEpoch }) => ({ id, leaseEpoch })),
        ),
      ),
    settled: add,
    signal: share.limits.signal,
  });
  if (opening !== null) await rest(share, effective, opening);
  else if (effective.resumeAt !== null) await resume(share, effective);
}

async function rest(share: Share, channel: EffectiveChannel, opening: Opening): Promise<void> {
  const { deps, clinic } = share;
  const { reason, waitMs } = opening;
  const now = share.now();
  const resumeAt = now.add({ milliseconds: Math.ceil(waitMs) });
  // The rest of this share is held by it too.
  channel.resumeAt = resumeAt;
  channel.pausedAt ??= now;
  share.result.pauses.push(reason);
  const { provider } = channel;
  deps.log.warn(
    { clinicId: clinic.id, channel: channel.channel, provider, reason },
    'A channel rests.',
  );
  await withClinic(deps.db, clinic.id, async (trx) => {
    await pauseChannel(trx, clinic.id, channel.channel, { reason, resumeAt }, now);
    deps.faults('before_pause_commit');
  });
}

async function resume(share: Share, channel: EffectiveChannel): Promise<void> {
  channel.resumeAt = null;
  channel.pausedAt = null;
  const { deps, clinic } = share;
  const { provider } = channel;
  deps.log.info(
    { clinicId: clinic.id, channel: channel.channel, provider },
    'A channel works again.',
  );
  await withClinic(deps.db, clinic.id, (trx) =>
    resumeChannel(trx, clinic.id, channel.channel, share.now()),
  );
}

async function record(share: Share, settlements: readonly Settlement[]): Promise<void> {
  const { deps, clinic, result } = share;
  const recorded = await withClinic(deps.db, clinic.id, async (trx) => {
    const rows = await recordOutcomes(trx, clinic.id, settlements, share.now());
    deps.faults('before_outcome_commit');
    return rows;
  });
  deps.faults('after_outcome');
  for (const { state } of recorded) {
    if (state === 'failed') result.failed += 1;
    else if (state === 'unknown') result.unknown += 1;
    else if (state === 'held') result.held += 1;
    else if (state !== 'retry') result.sent += 1;
  }
}

const workers = 4;
const idleMs = 500;

/** Serves all live clinics, longest unserved first, a share at a time. */
export function createDispatcher(deps: DispatchDeps): Service {
  // A clinic whose provider is slow takes one worker's time, not everybody's.
  const busy = new Set<string>();
  const loops = Array.from({ length: workers }, () =>
    loop({
      round: (signal) => serveNext(deps, busy, signal),
      idleMs,
      onError: (error) => report(deps, error),
    }),
  );
  return {
    start: () => {
      for (const each of loops) each.start();
    },
    stop: async () => {
      await Promise.all(loops.map((each) => each.stop()));
    },
    wake: () => {
      for (const each of loops) each.wake();
    },
  };
}

async function serveNext(
  deps: DispatchDeps,
  busy: Set<string>,
  signal: AbortSignal,
): Promise<'more' | 'idle'> {
  const [clinicId] = await claimClinics(deps.db, 'dispatch', deps.clock.now(), 1);
  if (clinicId === undefined || busy.has(clinicId)) return 'idle';
  busy.add(clinicId);
  try {
    const limits = { ...defaultLimits, signal };
    const share = await dispatchClinic(deps, clinicId, deps.clock.now(), limits);
    deps.onShare?.(share);
    return hasMoved(share) ? 'more' : 'idle';
  } finally {
    busy.delete(clinicId);
  }
}

function report(deps: DispatchDeps, error: unknown): void {
  const name = error instanceof Error ? error.name : typeof error;
  deps.log.error({ error: name }, 'A share of dispatch failed.');
}

function hasMoved({ sent, suppressed, held, failed, unknown }: DispatchResult): boolean {
  return sent + suppressed + held + failed + unknown > 0;
}
