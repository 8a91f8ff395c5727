import { statusError } from '../../channels/failure.ts';
import type { HttpResult } from '../../channels/http.ts';
import type { DeliveryState, WebhookState } from './webhook.ts';

/** What the answer of a host's receiver makes of an event and of the webhook. Pure; chance is an argument. */

/** Where both stood before the call. */
export interface Standing {
  /** Calls about this event since it was begun, or begun anew. */
  tries: number;
  firstTriedAt: Temporal.Instant | null;
  /** Calls of the webhook that went wrong since the last that went well. */
  failures: number;
  failingSince: Temporal.Instant | null;
}

export interface Followed {
  delivery: { state: DeliveryState; nextAt: Temporal.Instant | null };
  webhook: {
    state: WebhookState;
    failures: number;
    failingSince: Temporal.Instant | null;
    restsUntil: Temporal.Instant | null;
  };
  /** The receiver is back after an outage: nothing waits for its own turn any longer. */
  hastens: boolean;
}

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

/** The schedule that the specification advises: ten calls within three days and some hours. */
const waitsMs: readonly number[] = [
  5 * secondMs,
  5 * minuteMs,
  30 * minuteMs,
  2 * hourMs,
  5 * hourMs,
  10 * hourMs,
  14 * hourMs,
  20 * hourMs,
  24 * hourMs,
];
export const triesMax = waitsMs.length + 1;

/** After a failure the webhook rests as long as the event waits, but no longer: the others go on behind it. */
const restMsMax = minuteMs;
/** As long as a receiver may ask us to stay away. */
const askedRestMsMax = hourMs;
/** Fewer may be one event's own fault. */
const failuresOfOutage = 3;

export function followAnswer(
  before: Standing,
  result: HttpResult,
  now: Temporal.Instant,
  random: () => number,
): Followed {
  if (isTaken(result)) return done(before);
  const failures = before.failures + 1;
  const failingSince = before.failingSince ?? now;
  const webhook = { state: 'active' as const, failures, failingSince };
  if (result.kind === 'answered' && result.status === goneStatus) {
    return {
      delivery: { state: 'waiting', nextAt: now },
      webhook: { ...webhook, state: 'disabled', restsUntil: null },
      hastens: false,
    };
  }
  const waitMs = waitsMs[before.tries];
  if (waitMs === undefined) return giveUp(before, { ...webhook, restsUntil: null }, now);
  const askedMs = askedWaitMs(result, now);
  const jitteredMs = waitMs * (0.9 + 0.2 * random());
  const restMs = Math.max(Math.min(jitteredMs, restMsMax), Math.min(askedMs, askedRestMsMax));
  return {
    delivery: { state: 'waiting', nextAt: after(now, Math.max(jitteredMs, askedMs)) },
    webhook: { ...webhook, restsUntil: after(now, restMs) },
    hastens: false,
  };
}

const goneStatus = 410;

function isTaken(result: HttpResult): boolean {
  return result.kind === 'answered' && result.status >= 200 && result.status < 300;
}

function done(before: Standing): Followed {
  return {
    delivery: { state: 'done', nextAt: null },
    webhook: { state: 'active', failures: 0, failingSince: null, restsUntil: null },
    hastens: before.failures >= failuresOfOutage,
  };
}

/** An event that fails while others get through is at fault itself; else it is the receiver, and all is kept. */
function giveUp(before: Standing, webhook: Followed['webhook'], now: Temporal.Instant): Followed {
  const firstTriedAt = before.firstTriedAt ?? now;
  const hasGotThrough =
    webhook.failingSince !== null &&
    Temporal.Instant.compare(webhook.failingSince, firstTriedAt) > 0;
  return hasGotThrough
    ? { delivery: { state: 'failed', nextAt: null }, webhook, hastens: false }
    : {
        delivery: { state: 'waiting', nextAt: now },
        webhook: { ...webhook, state: 'paused' },
        hastens: false,
      };
}

function askedWaitMs(result: HttpResult, now: Temporal.Instant): number {
  return result.kind === 'answered' ? (statusError(result, now).retryAfterMs ?? 0) : 0;
}

function after(now: Temporal.Instant, ms: number): Temporal.Instant {
  return now.add({ milliseconds: Math.ceil(ms) });
}
