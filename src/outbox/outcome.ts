import type { AdapterCapabilities, AdapterError, SendOutcome } from '../channels/channel.ts';
import type { MessageState } from '../database/tables.ts';
import { earlier } from '../local-time.ts';

/** What the answer of a provider makes of a message. Pure; randomness is an argument. */

export interface Attempted {
  id: string;
  leaseEpoch: number;
  attemptNo: number;
  expiresAt: Temporal.Instant;
}

/** One row of what S3 records. */
export interface Settlement {
  id: string;
  leaseEpoch: number;
  attemptNo: number;
  state: Extract<
    MessageState,
    'sent' | 'delivered' | 'read' | 'retry' | 'held' | 'failed' | 'unknown'
  >;
  reason: string | null;
  nextAt: Temporal.Instant | null;
  isSettled: boolean;
  providerMessageId: string | null;
  segments: number | null;
  costMicros: number | null;
  costCurrency: string | null;
  outcome: SendOutcome['kind'];
  errorClass: string | null;
  providerCode: string | null;
  httpStatus: number | null;
}

export interface OutcomeTerms {
  capabilities: AdapterCapabilities;
  now: Temporal.Instant;
  /** From 0 up to, not including, 1. */
  random: () => number;
}

export function settleOutcome(
  attempted: Attempted,
  outcome: SendOutcome,
  terms: OutcomeTerms,
): Settlement {
  switch (outcome.kind) {
    case 'accepted':
      return accepted(attempted, outcome, terms);
    case 'unknown':
      return undecided(attempted, outcome.error, terms);
    case 'rejected':
      return outcome.error.class === 'unknown_outcome'
        ? undecided(attempted, outcome.error, terms)
        : rejected(attempted, outcome.error, terms);
  }
}

function accepted(
  attempted: Attempted,
  outcome: Extract<SendOutcome, { kind: 'accepted' }>,
  { capabilities, now }: OutcomeTerms,
): Settlement {
  const row = rowOf(attempted, outcome.kind, outcome.error ?? null);
  const state = stateOfStatus(outcome.status);
  const nextAt = state === 'sent' ? nextLook(capabilities, now, now) : null;
  return {
    ...row,
    state,
    reason: state === 'failed' ? reasonOf(outcome.error ?? null) : null,
    nextAt,
    isSettled: state !== 'sent' || nextAt === null,
    providerMessageId: outcome.providerMessageId,
    segments: outcome.segments ?? null,
    costMicros: outcome.cost?.micros ?? null,
    costCurrency: outcome.cost?.currency ?? null,
  };
}

export function stateOfStatus(
  status: Extract<SendOutcome, { kind: 'accepted' }>['status'],
): 'sent' | 'delivered' | 'read' | 'failed' {
  switch (status) {
    case 'delivered':
    case 'read':
    case 'failed':
      return status;
    case 'clicked':
      return 'read';
    case 'queued':
    case 'sent':
    case undefined:
      return 'sent';
  }
}

/** How long after a message was sent its provider is asked, where it tells if asked. */
const pollsAfter = ['PT1M', 'PT5M', 'PT30M', 'PT2H', 'PT6H', 'PT12H', 'PT24H', 'PT48H'].map(
  (wait) => Temporal.Duration.from(wait),
);
/** After it nobody tells anything any more. */
const receiptsEnd = Temporal.Duration.from({ hours: 72 });

/** When to look again at what was sent; null when nothing more will be learnt. */
export function nextLook(
  { deliveryReceipts }: Pick<AdapterCapabilities, 'deliveryReceipts'>,
  sentAt: Temporal.Instant,
  now: Temporal.Instant,
): Temporal.Instant | null {
  if (deliveryReceipts === 'none') return null;
  const waits = deliveryReceipts === 'push' ? [receiptsEnd] : [...pollsAfter, receiptsEnd];
  const looks = waits.map((wait) => sentAt.add(wait));
  return looks.find((look) => Temporal.Instant.compare(look, now) > 0) ?? null;
}

/** A call that answers nothing for so long was not taken, or never will be told. */
const defaultFirstLook = Temporal.Duration.from('PT90S');

function undecided(
  attempted: Attempted,
  error: AdapterError,
  { capabilities, now }: OutcomeTerms,
): Settlement {
  return {
    ...rowOf(attempted, 'unknown', error),
    state: 'unknown',
    reason: 'no-answer',
    nextAt: firstQuestionAt(capabilities, now),
    isSettled: false,
  };
}

/** When to ask for the first time what became of a call that began at that instant. */
export function firstQuestionAt(
  { reconcile, reconcileTiming, idempotency }: AdapterCapabilities,
  startedAt: Temporal.Instant,
): Temporal.Instant {
  if (reconcileTiming) return startedAt.add({ milliseconds: reconcileTiming.firstAfterMs });
  const mayActAtOnce = reconcile === 'none' || idempotency === 'receiver_key';
  return mayActAtOnce ? startedAt : startedAt.add(defaultFirstLook);
}

/** Beyond it a message that the provider keeps refusing has failed; a provider that is away does not count. */
const attemptsMax = 20;

function rejected(
  attempted: Attempted,
  error: AdapterError,
  { capabilities, now, random }: OutcomeTerms,
): Settlement {
  const row = rowOf(attempted, 'rejected', error);
  switch (error.class) {
    case 'recipient_permanent':
    case 'message_permanent':
    case 'suppressed':
      return { ...row, state: 'failed', reason: reasonOf(error), nextAt: null, isSettled: true };
    case 'config': {
      const nextAt = earlier(now.add(channelPause(error)), attempted.expiresAt);
      return { ...row, state: 'held', reason: 'channel-paused', nextAt, isSettled: false };
    }
    case 'rate_limited':
    case 'temporary':
    case 'unknown_outcome': {
      if (attempted.attemptNo >= attemptsMax && error.scope !== 'channel')
        return {
          ...row,
          state: 'failed',
          reason: 'attempts-used-up',
          nextAt: null,
          isSettled: true,
        };
      const wait = retryWait(capabilities, attempted.attemptNo, error, random);
      const nextAt = earlier(now.add({ milliseconds: wait }), attempted.expiresAt);
      return { ...row, state: 'retry', reason: reasonOf(error), nextAt, isSettled: false };
    }
  }
}

const configPause = Temporal.Duration.from('PT15M');

/** How long a channel rests whose provider refuses the account. */
export function channelPause(error: AdapterError): Temporal.Duration {
  return error.retryAfterMs === undefined
    ? configPause
    : Temporal.Duration.from({ milliseconds: error.retryAfterMs });
}

const firstWaitMs = 30_000;
const longestWaitMs = 3_600_000;
const shortestWaitMs = 1_000;
/** Receivers that deduplicate are tried as Svix does: soon first, then for a day. */
const receiverWaitsMs = [5, 300, 1_800, 7_200, 18_000, 36_000].map((seconds) => seconds * 1_000);

/** Exponential with full jitter, and never before the provider's own wish. */
export function retryWait(
  { idempotency }: Pick<AdapterCapabilities, 'idempotency'>,
  attemptNo: number,
  error: Pick<AdapterError, 'retryAfterMs'>,
  random: () => number,
): number {
  const wish = error.retryAfterMs ?? 0;
  if (idempotency === 'receiver_key') {
    const wait = receiverWaitsMs[Math.min(attemptNo, receiverWaitsMs.length) - 1] ?? firstWaitMs;
    return Math.max(wish, wait);
  }
  const ceiling = Math.min(firstWaitMs * 2 ** (attemptNo - 1), longestWaitMs);
  return Math.max(wish, shortestWaitMs, Math.floor(random() * ceiling));
}

/** The reason of a message that may have spoilt its whole batch: its next call is its own. */
export const retryAlone = 'retry-alone';

export function reasonOf(error: AdapterError | null): string {
  if (error?.retryAlone) return retryAlone;
  return error === null ? 'rejected' : error.class.replaceAll('_', '-');
}

function rowOf(
  { id, leaseEpoch, attemptNo }: Attempted,
  outcome: SendOutcome['kind'],
  error: AdapterError | null,
) {
  return {
    id,
    leaseEpoch,
    attemptNo,
    outcome,
    providerMessageId: null,
    segments: null,
    costMicros: null,
    costCurrency: null,
    errorClass: error?.class ?? null,
    providerCode: error?.providerCode ?? null,
    httpStatus: error?.httpStatus ?? null,
  };
}
