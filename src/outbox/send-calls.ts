import type { AdapterError, Logger, ProviderAdapter, SendOutcome } from '../channels/channel.ts';
import type { HttpPort } from '../channels/http.ts';
import type { Clock } from '../clock.ts';
import type { Begun } from './begin-messages.ts';
import { type Breaker, createBreaker, type Opening } from './breaker.ts';
import type { EffectiveChannel } from './channel-store.ts';
import { leaseMs, leaseNeededMs, sendTimeoutMs } from './claim-store.ts';
import type { Faults } from './fault.ts';
import { type Settlement, settleOutcome } from './outcome.ts';

/** The calls of one batch to a provider, so many at once, and what each answer makes of its messages. */

export interface SendDeps {
  clock: Clock;
  http: HttpPort;
  log: Logger;
  faults: Faults;
  random: () => number;
  /** A clock that no change of time can move, for leases and rates. */
  monotonicMs: () => number;
  pause: (ms: number) => Promise<void>;
}

export interface SendBatch {
  channel: EffectiveChannel;
  adapter: ProviderAdapter;
  calls: readonly (readonly Begun[])[];
  /** Read before the intent was committed. */
  begunAtMs: number;
  /** When the account's rate lets the batch begin, and how far apart its messages are. */
  pace: { startMs: number; gapMs: number } | null;
  /** As the breaker wants it. */
  restedMs: number | null;
  /** Business time. */
  now: () => Temporal.Instant;
  /** Renews leases. @returns the ids still held. */
  extend: (messages: readonly Begun[]) => Promise<Set<string>>;
  settled: (settlements: readonly Settlement[]) => void;
  /** Once it is aborted no further call begins. */
  signal: AbortSignal | undefined;
}

/** @returns why the channel should rest, null when all went well. */
export async function sendCalls(deps: SendDeps, batch: SendBatch): Promise<Opening | null> {
  const { concurrency } = batch.adapter.capabilities(batch.channel.config);
  const most = Math.min(batch.channel.limits.concurrency ?? concurrency, concurrency);
  const startsAtMs = callStarts(batch);
  const breaker = createBreaker({ random: deps.random, restedMs: batch.restedMs });
  let next = 0;
  const work = async () => {
    for (let index = next++; index < batch.calls.length; index = next++) {
      const call = batch.calls[index] ?? [];
      await waitUntil(deps, startsAtMs?.[index] ?? 0);
      await sendCall(deps, batch, call, breaker);
    }
  };
  const workers = Array.from({ length: Math.min(most, batch.calls.length) }, work);
  const results = await Promise.allSettled(workers);
  const broken = results.find((result) => result.status === 'rejected');
  if (broken) throw broken.reason;
  return breaker.opened();
}

function callStarts({ calls, pace }: SendBatch): number[] | null {
  if (pace === null) return null;
  let before = 0;
  return calls.map((call) => {
    const startMs = pace.startMs + before * pace.gapMs;
    before += call.length;
    return startMs;
  });
}

async function waitUntil(deps: SendDeps, atMs: number): Promise<void> {
  const waitMs = atMs - deps.monotonicMs();
  if (waitMs > 0) await deps.pause(waitMs);
}

async function sendCall(
  deps: SendDeps,
  batch: SendBatch,
  call: readonly Begun[],
  breaker: Breaker,
): Promise<void> {
  const opening = breaker.opened();
  if (opening !== null || batch.signal?.aborted) {
    settle(
      deps,
      batch,
      call,
      call.map((message) => notSent(message.id, opening)),
    );
    return;
  }
  const held = await stillHeld(deps, batch, call);
  if (held.length === 0) return;
  deps.faults('before_send');
  const outcomes = await callAdapter(deps, batch, held);
  deps.faults('after_send');
  breaker.seen(outcomes);
  settle(deps, batch, held, outcomes);
}

function settle(
  deps: SendDeps,
  batch: SendBatch,
  call: readonly Begun[],
  outcomes: readonly SendOutcome[],
): void {
  const byId = new Map(outcomes.map((outcome) => [outcome.id, outcome]));
  const terms = {
    capabilities: batch.adapter.capabilities(batch.channel.config),
    now: batch.now(),
    random: deps.random,
  };
  batch.settled(
    call.map((message) =>
      settleOutcome(message, byId.get(message.id) ?? unanswered(message.id), terms),
    ),
  );
}

/** No byte of it left: the channel rests, or this process is being stopped. */
function notSent(id: string, opening: Opening | null): SendOutcome {
  const error: AdapterError = {
    class: opening?.reason === 'refused' ? 'config' : 'temporary',
    scope: 'channel',
    providerCode: 'not-called',
    httpStatus: null,
    message: 'The provider was not called.',
    ...(opening !== null && { retryAfterMs: opening.waitMs }),
  };
  return { id, kind: 'rejected', error, raw: null };
}

/** A process that was stopped for a while must not send what another one may have taken over. */
async function stillHeld(
  deps: SendDeps,
  batch: SendBatch,
  call: readonly Begun[],
): Promise<readonly Begun[]> {
  const ageMs = deps.monotonicMs() - batch.begunAtMs;
  if (ageMs < leaseMs - leaseNeededMs) return call;
  const held = await batch.extend(call);
  return call.filter((message) => held.has(message.id));
}

async function callAdapter(
  deps: SendDeps,
  { adapter, channel }: SendBatch,
  call: readonly Begun[],
): Promise<SendOutcome[]> {
  const signal = AbortSignal.timeout(sendTimeoutMs);
  const context = {
    signal,
    deadline: deps.clock.now().add({ milliseconds: sendTimeoutMs }),
    http: deps.http,
    log: deps.log,
    now: () => deps.clock.now(),
  };
  try {
    return await adapter.send(
      call.map((message) => message.prepared),
      channel.config,
      context,
    );
  } catch (error) {
    // Whatever broke in the adapter, the call may have left: nobody can tell any more.
    deps.log.error(
      { channel: channel.channel, provider: channel.provider, error: errorName(error) },
      'An adapter broke its contract.',
    );
    return call.map((message) => unanswered(message.id));
  }
}

function unanswered(id: string): SendOutcome {
  return {
    id,
    kind: 'unknown',
    error: {
      class: 'unknown_outcome',
      scope: 'message',
      providerCode: null,
      httpStatus: null,
      message: 'The adapter did not answer.',
    },
  };
}

function errorName(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
