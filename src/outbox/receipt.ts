import type { DeliveryStatus } from '../channels/channel.ts';
import type { MessageState } from '../database/tables.ts';

/**
 * The ladder sent < delivered < read: news in any order, repeated or late, leads to the same state and
 * never back. `failed` holds until something better is proved.
 */

export interface Standing {
  state: MessageState;
  reason: string | null;
  attemptNo: number;
  sentAt: Temporal.Instant | null;
  deliveredAt: Temporal.Instant | null;
  readAt: Temporal.Instant | null;
  clickedAt: Temporal.Instant | null;
}

export interface News {
  status: DeliveryStatus;
  at: Temporal.Instant;
  /** With `failed`: why. */
  reason?: string;
}

const ladder: readonly MessageState[] = ['failed', 'sent', 'delivered', 'read'];
/** Not known to be at the provider; if it went before, a receipt proves it. */
const unproven: readonly MessageState[] = ['sending', 'unknown'];
const waiting: readonly MessageState[] = ['scheduled', 'held', 'claimed', 'retry'];

/** What a message is after that news; the same object when it changes nothing. */
export function advance(standing: Standing, news: News): Standing {
  const target = targetOf(news.status);
  if (target === null || !mayHear(standing, target)) return standing;
  const clickedAt =
    news.status === 'clicked' ? first(standing.clickedAt, news.at) : standing.clickedAt;
  const times =
    target === 'failed' ? standing : { ...standing, ...timesOf(standing, target, news.at) };
  const moved = isAbove(target, standing.state) ? movedTo(standing, target, news) : {};
  return { ...times, clickedAt, ...moved };
}

function targetOf(status: DeliveryStatus): 'sent' | 'delivered' | 'read' | 'failed' | null {
  switch (status) {
    case 'queued':
    case 'sent':
      return 'sent';
    case 'delivered':
    case 'failed':
    case 'read':
      return status;
    case 'clicked':
      return 'read';
    case 'not_found':
      return null;
  }
}

function mayHear({ state, attemptNo }: Standing, target: MessageState): boolean {
  if (waiting.includes(state)) return attemptNo > 0 && target !== 'failed';
  return unproven.includes(state) || ladder.includes(state);
}

function isAbove(target: MessageState, state: MessageState): boolean {
  if (!ladder.includes(state)) return true;
  if (target === 'failed') return state === 'sent';
  // A late "sent" does not undo a failure; a delivery does.
  if (state === 'failed') return target !== 'sent';
  return ladder.indexOf(target) > ladder.indexOf(state);
}

function movedTo(standing: Standing, target: MessageState, news: News) {
  if (target === 'failed') return { state: target, reason: news.reason ?? 'not-delivered' };
  return {
    state: target,
    // Flagged: a provider that took its word back.
    reason: standing.state === 'failed' ? 'delivered-after-failed' : null,
  };
}

function timesOf(standing: Standing, target: MessageState, at: Temporal.Instant) {
  const sentAt = standing.sentAt ?? at;
  const deliveredAt = target === 'sent' ? standing.deliveredAt : first(standing.deliveredAt, at);
  const readAt = target === 'read' ? first(standing.readAt, at) : standing.readAt;
  return { sentAt, deliveredAt, readAt };
}

function first(one: Temporal.Instant | null, other: Temporal.Instant): Temporal.Instant {
  return one !== null && Temporal.Instant.compare(one, other) <= 0 ? one : other;
}
