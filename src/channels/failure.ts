import type { AdapterError, SendOutcome } from './channel.ts';
import type { HttpResult } from './http.ts';

/** What a failed call means where a provider's own words do not say it better. */

export type Answered = Extract<HttpResult, { kind: 'answered' }>;

/** The error of a call to which no whole answer came. */
export function unansweredError(result: Exclude<HttpResult, Answered>): AdapterError {
  const isOurs = result.reason === 'malformed' || result.reason === 'private-address';
  const known = { scope: 'channel', httpStatus: null, providerCode: result.reason } as const;
  if (result.kind === 'ambiguous') {
    return {
      ...known,
      class: 'unknown_outcome',
      scope: 'message',
      message: 'The provider may have taken it; no whole answer came.',
    };
  }
  if (result.reason === 'aborted') {
    return { ...known, class: 'temporary', scope: 'message', message: 'We gave the call up.' };
  }
  return isOurs
    ? { ...known, class: 'config', message: 'The provider’s address cannot be called.' }
    : { ...known, class: 'temporary', message: 'The provider could not be reached.' };
}

/**
 * The error behind a status that is no success, for a provider without an idempotency key: a 5xx may
 * come after the message was taken, a redirect is an answer of somebody else.
 */
export function statusError(answer: Answered, now: Temporal.Instant): AdapterError {
  const { status } = answer;
  const known = { scope: 'channel', httpStatus: status, providerCode: null } as const;
  if (status === 429) {
    const message = 'The provider asks to slow down.';
    return { ...known, class: 'rate_limited', message, ...retryAfter(answer, now) };
  }
  if (status === 408 || status === 425) {
    return { ...known, class: 'temporary', message: 'The provider did not take the request.' };
  }
  if (refusesAll.includes(status)) {
    return { ...known, class: 'config', message: 'The provider refuses these settings.' };
  }
  if (status >= 400 && status < 500) {
    const message = 'The provider calls the request wrong.';
    return { ...known, class: 'message_permanent', scope: 'message', message };
  }
  if (status >= 300 && status < 400) {
    const message = 'The provider’s address answers with a redirect, which is not followed.';
    return { ...known, class: 'config', message };
  }
  const message = 'The provider failed and may have taken it.';
  return {
    ...known,
    class: 'unknown_outcome',
    scope: 'message',
    message,
    ...retryAfter(answer, now),
  };
}

/** An answer that should be a success and cannot be read. */
export function unreadableError(answer: Answered): AdapterError {
  return {
    class: 'unknown_outcome',
    scope: 'message',
    providerCode: 'unreadable',
    httpStatus: answer.status,
    message: 'The provider’s answer cannot be read.',
  };
}

/** The outcome of a message whose call failed: rejected only where that is certain. */
export function failedOutcome(id: string, error: AdapterError, raw: unknown): SendOutcome {
  return { id, kind: error.class === 'unknown_outcome' ? 'unknown' : 'rejected', error, raw };
}

/** Wrong credentials, or an address where the provider is not: no message’s own fault. */
const refusesAll: readonly number[] = [401, 402, 403, 404, 405];

/** A provider that asks for more is not believed. */
const retryAfterMsMax = 86_400_000;

/** `Retry-After` in seconds or as a date, else the moment of `X-RateLimit-Reset` in epoch seconds. */
function retryAfter({ headers }: Answered, now: Temporal.Instant): { retryAfterMs?: number } {
  const after = headers['retry-after']?.trim();
  const reset = headers['x-ratelimit-reset']?.trim();
  let waitMs = Number.NaN;
  if (after && /^\d{1,9}$/.test(after)) waitMs = Number(after) * 1000;
  else if (after) waitMs = Date.parse(after) - now.epochMilliseconds;
  else if (reset && /^\d{1,12}$/.test(reset)) waitMs = Number(reset) * 1000 - now.epochMilliseconds;
  if (!Number.isFinite(waitMs)) return {};
  return { retryAfterMs: Math.min(Math.max(waitMs, 0), retryAfterMsMax) };
}
