import { type Channel, channelNames } from '../channels/channel.ts';
import type { Db, Trx } from '../database/connect.ts';
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
  claimDueMessages,
  expireDueMessages,
  extendLeases,
  nextDispatchAt,
  recoverLeases,
} from './claim-store.ts';
import type { Settlement } from './outcome.ts';
import { createOutcomeRecorder } from './outcome-recorder.ts';
import { recordOutcomes } from './outcome-store.ts';
import { findSlots, takeSlots } from './rate-store.ts';
import { type SendDeps, sendCalls } from './send-calls.ts';

/**
 * Works through what is due. Any number of dispatchers may serve a clinic at once; each message is
 * leased to one of them, and nothing is sent before the intent to send it is committed.
 */

export interface DispatchDeps extends BeginDeps, ChannelDeps, SendDeps {
  db: Db;
  /** Told of each share that a dispatcher worked, for whoever counts. */
  onShare?: (share: DispatchResult) => void;
}

export interface DispatchLimits {
  /** How many messages of each channel one share takes. */
  messages: number;
  /** Once it is aborted nothing more is claimed, and what was not called yet is given back. */
  signal?: AbortSignal;
}

export const defaultLimits: DispatchLimits = Object.freeze({ messages: 5_000 });

export interface DispatchResult {
  sent: number;
  suppressed: number;
  held: number;
  failed: number;
  unknown: number;
  /** The limit was reached: more may be due. */
  remaining: boolean;
}

/** What one transaction claims, judges and commits. */
const claimBatchMax = 500;
const claimBatchOfBatchesMax = 1_000;
/** Nobody can be asked about these: the fewer are committed ahead of their call, the fewer a crash leaves unknown. */
const claimBatchOfBlindMax = 32;
const blindAheadMs = 1_000;
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
  const drains = await Promise.allSettled(channelNames.map((channel) => drain(share, channel)));
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
  return { sent: 0, suppressed: 0, held: 0, failed: 0, unknown: 0, remaining: false };
}

interface Opened {
  clinic: Clinic;
  channels: Map<Channel, EffectiveChannel>;
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

async function open(
  deps: DispatchDeps,
  clinicId: string,
  now: Temporal.Instant,
  result: DispatchResult,
): Promise<Opened | null> {
  return withClinic(deps.db, clinicId, async (trx) => {
    const clinic = await findClinic(trx, clinicId);
    if (clinic === null) return null;
    const recovered = await recoverLeases(trx, clinicId, now, recoverMax);
    if (recovered.unknown > 0) {
      deps.log.warn({ clinicId, messages: recovered.unknown }, 'Sends were interrupted.');
    }
    deps.faults('after_recover');
    const expired = await expireDueMessages(trx, clinicId, now, expireMax);
    result.suppressed += expired.length;
    result.unknown += recovered.unknown;
    result.remaining = expired.length >= expireMax;
    deps.faults('after_expire');
    const channels = await effectiveChannels(deps, trx, clinic);
    const concerned = [...expired, ...recovered.concerned].filter((each) => each.journeyContinues);
    await callPlanner(trx, clinicId, concerned, now);
    if (recovered.unknown > 0) await wakeClinic(trx, clinicId, 'reconcile', now);
    return { clinic, channels };
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
    // While one batch is being sent the next one is claimed.
    while (!isOver()) {
      const begun = await begin(share, channel, Math.min(left, batchSize(share, channel)));
      await sending;
      if (begun.claimed === 0) break;
      left -= begun.claimed;
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

function batchSize({ channels }: Share, channel: Channel): number {
  const effective = channels.get(channel);
  if (!effective || effective.adapter.isLocal) return claimBatchMax;
  const { maxBatch, concurrency } = effective.adapter.capabilities(effective.config);
  if (isBlind(effective) && maxBatch <= 1) return Math.min(claimBatchOfBlindMax, concurrency * 2);
  return maxBatch > 1 ? claimBatchOfBatchesMax : claimBatchMax;
}

/** How far ahead of its call a message is committed: what waits so long is unknown after a crash. */
function aheadMs(channel: EffectiveChannel | null): number | undefined {
  return channel !== null && isBlind(channel) ? blindAheadMs : undefined;
}

/** Whether nobody can be asked what became of a message. */
function isBlind({ adapter, config }: EffectiveChannel): boolean {
  const { reconcile } = adapter.capabilities(config);
  return reconcile === 'none' || reconcile === 'callback_only';
}

interface BegunBatch extends BeginResult {
  claimed: number;
  begunAtMs: number;
  pace: { startMs: number; gapMs: number } | null;
}

const nothing: BeginResult = Object.freeze({ calls: [], delivered: 0, suppressed: 0, held: 0 });

async function begin(share: Share, channel: Channel, most: number): Promise<BegunBatch> {
  const { deps, clinic, result } = share;
  const effective = share.channels.get(channel) ?? null;
  const now = share.now();
  const perSecond = effective && rateOf(effective);
  const startedMs = deps.monotonicMs();
  const work = async (trx: Trx) => {
    const slots =
      perSecond === null
        ? null
        : await findSlots(trx, clinic.id, channel, perSecond, aheadMs(effective));
    const free = Math.min(most, slots?.free ?? most);
    const claims = free === 0 ? [] : await claimDueMessages(trx, clinic.id, channel, now, free);
    if (perSecond !== null) await takeSlots(trx, clinic.id, channel, perSecond, claims.length);
    deps.faults('before_claim_commit');
    return { claims, delayMs: slots?.delayMs ?? 0 };
  };
  // Nothing was sent for a claim: a crash of the database may undo it.
  const claim = await withClinic(deps.db, clinic.id, work, { isDurable: false });
  const { claims } = claim;
  const pace =
    perSecond === null ? null : { startMs: startedMs + claim.delayMs, gapMs: 1000 / perSecond };
  if (claims.length === 0) return { ...nothing, claimed: 0, begunAtMs: startedMs, pace };
  deps.faults('after_claim');
  const begunAtMs = deps.monotonicMs();
  const begun = await withClinic(deps.db, clinic.id, async (trx) => {
    const begun = await beginMessages(deps, trx, clinic, effective, claims, now);
    deps.faults('before_begin_commit');
    return begun;
  });
  deps.faults('after_begin');
  result.sent += begun.delivered;
  result.suppressed += begun.suppressed;
  result.held += begun.held;
  return { ...begun, claimed: claims.length, begunAtMs, pace };
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
  await withClinic(share.deps.db, share.clinic.id, (trx) =>
    resumeChannel(trx, share.clinic.id, channel.channel),
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
