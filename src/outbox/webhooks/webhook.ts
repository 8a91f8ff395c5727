import { hostEventPatterns } from '../../history/host-event.ts';

/** A receiver of the host's, and what it is told. Webhooks live by the real clock, also in a test clinic. */

export const webhookNamePattern = '^[a-z0-9][a-z0-9._-]{0,62}$';
export const webhookUrlCharsMax = 2_000;
export const webhooksPerClinicMax = 20;

export const webhookStates = ['active', 'paused', 'disabled'] as const;
export type WebhookState = (typeof webhookStates)[number];

export const deliveryStates = ['waiting', 'done', 'failed'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

export interface WebhookIn {
  url: string;
  events: readonly string[];
  /** Made here if absent; another than before is a rotation. */
  secret?: string;
}

export interface Webhook {
  name: string;
  url: string;
  events: string[];
  /** `paused`: what happens is kept for it; `disabled`: its receiver answered 410 and is told nothing more. */
  state: WebhookState;
  /** Since when it is paused or disabled. */
  stoppedAt: Temporal.Instant | null;
  /** Since when no call went well. */
  failingSince: Temporal.Instant | null;
  /** Until when the secret before this one signs too. */
  rotatesUntil: Temporal.Instant | null;
  /** Events it has not heard yet. */
  waiting: number;
  createdAt: Temporal.Instant;
  updatedAt: Temporal.Instant;
}

export interface DeliveryAttempt {
  at: Temporal.Instant;
  durationMs: number;
  /** What was answered; null where no whole answer came, for the `reason`. */
  status: number | null;
  reason: string | null;
}

export interface Delivery {
  /** The event's: `webhook-id`, the same for every attempt and every webhook. */
  id: string;
  type: string;
  state: DeliveryState;
  /** When it happened, by the clinic's clock. */
  timestamp: Temporal.Instant;
  /** Null for what was not tried yet, and for what is settled. */
  nextAttemptAt: Temporal.Instant | null;
  settledAt: Temporal.Instant | null;
  /** The latest ones, in their order. */
  attempts: DeliveryAttempt[];
}

/** @returns those that name no event of ours. */
export function unknownPatterns(events: readonly string[]): string[] {
  return events.filter((event) => !hostEventPatterns.includes(event));
}
