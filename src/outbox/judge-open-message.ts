import type { AdapterCapabilities, ReconcileOutcome } from '../channels/channel.ts';
import { earlier } from '../local-time.ts';
import {
  firstQuestionAt,
  nextLook,
  type OutcomeTerms,
  reasonOf,
  settleOutcome,
  stateOfStatus,
} from './outcome.ts';
import type { Answer, OpenMessage } from './reconcile-store.ts';

/** What is to be done about a message of which its provider has still to tell something. Pure. */

export type Look =
  /** The provider can be asked now. */
  { ask: true } | { ask: false; answer: Answer };

/** An unknown message whose provider never tells is given up after it. */
const questionsEnd = Temporal.Duration.from({ hours: 24 });

/** @param capabilities of the adapter it went through; null when that is no longer set up. */
export function lookAt(
  message: OpenMessage,
  capabilities: AdapterCapabilities | null,
  canAsk: boolean,
  now: Temporal.Instant,
): Look {
  if (message.state === 'sent') return lookAtSent(message, capabilities, canAsk, now);
  if (capabilities === null) return settled(giveUp(message, now));
  const askAt = firstQuestionAt(capabilities, message.startedAt);
  if (Temporal.Instant.compare(askAt, now) > 0) return settled(later(message, askAt));
  if (capabilities.idempotency === 'receiver_key') return settled(sendAgain(message, now));
  if (!canAsk) return settled(giveUp(message, now));
  const isOver = Temporal.Instant.compare(message.startedAt.add(questionsEnd), now) <= 0;
  return isOver ? settled(giveUp(message, now)) : { ask: true };
}

function lookAtSent(
  message: OpenMessage,
  capabilities: AdapterCapabilities | null,
  canAsk: boolean,
  now: Temporal.Instant,
): Look {
  const isPolled =
    capabilities?.deliveryReceipts === 'poll' || capabilities?.deliveryReceipts === 'both';
  if (canAsk && isPolled) return { ask: true };
  return settled(stillSent(message, capabilities, now));
}

function stillSent(
  message: OpenMessage,
  capabilities: AdapterCapabilities | null,
  now: Temporal.Instant,
): Answer {
  const sentAt = message.sentAt ?? message.startedAt;
  const nextAt = capabilities && nextLook(capabilities, sentAt, now);
  return { ...unchanged(message), nextAt, isSettled: nextAt === null };
}

function settled(answer: Answer): Look {
  return { ask: false, answer };
}

/** What the provider's answer makes of it. */
export function learn(
  message: OpenMessage,
  outcome: ReconcileOutcome,
  terms: OutcomeTerms,
): Answer {
  return message.state === 'sent'
    ? learnOfSent(message, outcome, terms)
    : learnOfUnknown(message, outcome, terms);
}

function learnOfSent(
  message: OpenMessage,
  outcome: ReconcileOutcome,
  { capabilities, now }: OutcomeTerms,
): Answer {
  // A provider that took it and now denies that is not believed; it is asked again while it is worth it.
  if (outcome.kind !== 'accepted') return stillSent(message, capabilities, now);
  const state = stateOfStatus(outcome.status);
  if (state === 'sent') return stillSent(message, capabilities, now);
  return {
    ...unchanged(message),
    ...priceOf(outcome),
    state,
    reason: state === 'failed' ? reasonOf(outcome.error ?? null) : null,
    nextAt: null,
    isSettled: true,
  };
}

function learnOfUnknown(
  message: OpenMessage,
  outcome: ReconcileOutcome,
  terms: OutcomeTerms,
): Answer {
  const { now, capabilities } = terms;
  if (outcome.kind === 'not_found') return notFound(message, capabilities, now);
  if (outcome.kind === 'unknown') {
    const wait = Math.max(outcome.error.retryAfterMs ?? 0, againAfterMs(capabilities));
    return later(message, now.add({ milliseconds: wait }));
  }
  const row = settleOutcome(message, outcome, terms);
  if (row.state === 'unknown') return later(message, row.nextAt ?? now);
  return {
    ...unchanged(message),
    state: row.state,
    reason: row.reason,
    nextAt: row.nextAt,
    isSettled: row.isSettled,
    providerMessageId: row.providerMessageId,
    costMicros: row.costMicros,
    costCurrency: row.costCurrency,
  };
}

/** What was accepted may not show at once: only the second "never heard of it" is believed. */
function notFound(
  message: OpenMessage,
  capabilities: AdapterCapabilities,
  now: Temporal.Instant,
): Answer {
  const { notFoundAt } = message;
  const againAt = (notFoundAt ?? now).add({ milliseconds: againAfterMs(capabilities) });
  if (notFoundAt !== null && Temporal.Instant.compare(againAt, now) <= 0)
    return sendAgain(message, now);
  return { ...later(message, againAt), notFoundAt: notFoundAt ?? now };
}

const defaultAgainAfterMs = 300_000;

function againAfterMs({ reconcileTiming }: AdapterCapabilities): number {
  return reconcileTiming?.againAfterMs ?? defaultAgainAfterMs;
}

/** Nobody will tell: it goes again only where the rule asked for that. */
function giveUp(message: OpenMessage, now: Temporal.Instant): Answer {
  const isWanted = message.onAmbiguous === 'at-least-once' && !message.cancelRequested;
  const isTooLate = Temporal.Instant.compare(message.expiresAt, now) <= 0;
  if (isWanted && !isTooLate) return sendAgain(message, now);
  return { ...unchanged(message), nextAt: null, isSettled: true };
}

/** Under the same reference. What was to be taken back meanwhile, or is too late, ends there. */
function sendAgain(message: OpenMessage, now: Temporal.Instant): Answer {
  const nextAt = earlier(now, message.expiresAt);
  return { ...unchanged(message), state: 'retry', reason: 'not-taken', nextAt };
}

function later(message: OpenMessage, nextAt: Temporal.Instant): Answer {
  return { ...unchanged(message), nextAt, notFoundAt: message.notFoundAt };
}

function unchanged({ id, state, attemptNo }: OpenMessage): Answer {
  return {
    id,
    from: state,
    attemptNo,
    state,
    reason: state === 'unknown' ? 'no-answer' : null,
    nextAt: null,
    isSettled: false,
    notFoundAt: null,
    providerMessageId: null,
    costMicros: null,
    costCurrency: null,
  };
}

function priceOf({ cost }: Extract<ReconcileOutcome, { kind: 'accepted' }>) {
  return { costMicros: cost?.micros ?? null, costCurrency: cost?.currency ?? null };
}
