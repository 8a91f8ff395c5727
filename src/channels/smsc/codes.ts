import type { AdapterError, DeliveryStatus, ErrorClass } from '../channel.ts';

/** What SMSC.ru's numbers mean to us: refusals of a call, states of a message, and causes of failure. */

type Meaning = Pick<AdapterError, 'class' | 'scope' | 'message'> & { retryAfterMs?: number };

const ipBlockMs = 15 * 60_000;
const duplicateWindowMs = 60_000;

const refusals: Readonly<Record<number, Meaning>> = {
  1: { class: 'message_permanent', scope: 'message', message: 'SMSC.ru calls the request wrong.' },
  2: { class: 'config', scope: 'channel', message: 'SMSC.ru refuses the login or our address.' },
  3: { class: 'config', scope: 'channel', message: 'The account at SMSC.ru is out of money.' },
  4: {
    class: 'temporary',
    scope: 'channel',
    message: 'SMSC.ru has blocked our address for a while.',
    retryAfterMs: ipBlockMs,
  },
  5: { class: 'message_permanent', scope: 'message', message: 'SMSC.ru calls the date wrong.' },
  6: {
    class: 'message_permanent',
    scope: 'message',
    message: 'SMSC.ru forbids this text or this sender.',
  },
  7: { class: 'recipient_permanent', scope: 'recipient', message: 'The number is wrong.' },
  8: {
    class: 'recipient_permanent',
    scope: 'recipient',
    message: 'SMSC.ru cannot deliver to this number.',
  },
  // The twin of a request within a minute: the first of the two may well have been taken.
  9: {
    class: 'unknown_outcome',
    scope: 'message',
    message: 'SMSC.ru saw the same request within a minute, or too many at once.',
    retryAfterMs: duplicateWindowMs,
  },
};

/** The codes that speak of one message and so, in a call of many, do not say of which. */
const blamesOne: ReadonlySet<number> = new Set([1, 5, 6, 7, 8]);

/** Why a call was refused as a whole. */
export function refusal(code: number, batchSize: number): AdapterError {
  const known = { providerCode: `send-${code}`, httpStatus: 200 } as const;
  if (batchSize > 1 && blamesOne.has(code)) {
    return {
      ...known,
      class: 'temporary',
      scope: 'message',
      message: 'SMSC.ru refused a batch for the sake of one of its messages.',
      retryAlone: true,
    };
  }
  return { ...known, ...(refusals[code] ?? unknownRefusal) };
}

const unknownRefusal: Meaning = {
  class: 'unknown_outcome',
  scope: 'message',
  message: 'SMSC.ru answered with an error that is not in its documentation.',
};

const statusByCode: Readonly<Record<number, DeliveryStatus>> = {
  [-3]: 'not_found',
  [-1]: 'queued',
  0: 'sent',
  1: 'delivered',
  2: 'read',
  3: 'failed',
  4: 'clicked',
  6: 'failed',
  20: 'failed',
  22: 'failed',
  23: 'failed',
  24: 'failed',
  25: 'failed',
};

/** Null: a state that says nothing of a delivery, such as a stopped job, or one we do not know. */
export function deliveryStatus(code: number): DeliveryStatus | null {
  return statusByCode[code] ?? null;
}

const failures: Readonly<Record<number, Meaning>> = {
  3: { class: 'temporary', scope: 'recipient', message: 'It was not delivered in time.' },
  6: { class: 'message_permanent', scope: 'message', message: 'It was blocked as spam.' },
  20: { class: 'temporary', scope: 'recipient', message: 'It could not be delivered.' },
  22: { class: 'recipient_permanent', scope: 'recipient', message: 'The number is wrong.' },
  23: { class: 'message_permanent', scope: 'message', message: 'SMSC.ru forbids it.' },
  24: { class: 'config', scope: 'channel', message: 'The account at SMSC.ru is out of money.' },
  25: {
    class: 'recipient_permanent',
    scope: 'recipient',
    message: 'The number cannot be reached by SMS.',
  },
};

const causes: readonly [ErrorClass, AdapterError['scope'], string, readonly number[]][] = [
  ['recipient_permanent', 'recipient', 'The line takes no SMS.', [1, 11, 12, 13, 21, 248, 249]],
  ['suppressed', 'recipient', 'SMSC.ru forbids this number.', [250, 252]],
  [
    'suppressed',
    'recipient',
    'The SIM was replaced: the number may be another person’s by now.',
    [219],
  ],
  ['temporary', 'recipient', 'The line was busy or off.', [6, 220, 237, 240, 246, 251]],
  ['message_permanent', 'message', 'SMSC.ru or the operator forbids it.', [238, 247, 253, 255]],
  ['config', 'channel', 'The account lacks a right for this.', [239, 243, 244, 254]],
];

/** Why a message failed: the cause is more exact than the status, where one is given. */
export function failure(status: number, cause: number): AdapterError {
  const known = { providerCode: cause > 0 ? `err-${cause}` : `status-${status}`, httpStatus: null };
  for (const [errorClass, scope, message, codes] of causes) {
    if (codes.includes(cause)) return { ...known, class: errorClass, scope, message };
  }
  const unclear: Meaning = { class: 'temporary', scope: 'recipient', message: 'It failed.' };
  return { ...known, ...(failures[status] ?? unclear) };
}
