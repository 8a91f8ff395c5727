import type { AdapterError, DeliveryStatus, ErrorClass } from '../channel.ts';

/** What Twilio's error codes and statuses mean to us, in the answer to a call and in a callback alike. */

type Scope = AdapterError['scope'];
interface Meaning {
  class: ErrorClass;
  scope: Scope;
  message: string;
  codes: readonly number[];
}

const meanings: readonly Meaning[] = [
  {
    ...{ class: 'config', scope: 'channel', codes: [20003, 20005, 20008, 30002] },
    message: 'Twilio refuses the account or its token.',
  },
  {
    ...{ class: 'config', scope: 'channel', codes: [21212, 21603, 21659, 21660, 21705] },
    message: 'Twilio refuses the sender.',
  },
  {
    ...{ class: 'rate_limited', scope: 'channel', codes: [20429] },
    message: 'Twilio asks to slow down.',
  },
  {
    ...{ class: 'recipient_permanent', scope: 'recipient' },
    codes: [21211, 21408, 21606, 21612, 21614, 30005, 30006, 63003, 63024],
    message: 'Twilio cannot reach this number.',
  },
  {
    ...{ class: 'suppressed', scope: 'recipient', codes: [21610, 30004] },
    message: 'The recipient has stopped messages from this sender.',
  },
  {
    ...{ class: 'message_permanent', scope: 'message', codes: [63016, 470] },
    message: 'The recipient has not written for 24 hours; only approved content may go.',
  },
  {
    ...{ class: 'message_permanent', scope: 'message', codes: [21617, 30007, 63013] },
    message: 'Twilio or the operator forbids this text.',
  },
  {
    ...{ class: 'temporary', scope: 'recipient', codes: [30001, 30003, 30008] },
    message: 'The line was busy or off.',
  },
];

const byCode: ReadonlyMap<number, Meaning> = new Map(
  meanings.flatMap((meaning) => meaning.codes.map((code) => [code, meaning] as const)),
);

/** @returns null for a code that says nothing to us. */
export function meaningOf(code: number): AdapterError | null {
  const found = byCode.get(code);
  if (found === undefined) return null;
  const { codes: _codes, ...meaning } = found;
  return { ...meaning, providerCode: String(code), httpStatus: null };
}

/** Why a message failed that Twilio had taken. */
export function failureOf(code: number): AdapterError {
  const known = meaningOf(code);
  if (known) return known;
  const message = 'It was not delivered.';
  const providerCode = code > 0 ? String(code) : null;
  return { class: 'temporary', scope: 'recipient', providerCode, httpStatus: null, message };
}

const statuses: Readonly<Record<string, Exclude<DeliveryStatus, 'clicked' | 'not_found'>>> = {
  accepted: 'queued',
  scheduled: 'queued',
  queued: 'queued',
  sending: 'queued',
  sent: 'sent',
  partially_delivered: 'sent',
  delivered: 'delivered',
  read: 'read',
  undelivered: 'failed',
  failed: 'failed',
  canceled: 'failed',
};

/** Null for one that is no outgoing message's. */
export function statusOf(name: string) {
  return Object.hasOwn(statuses, name) ? (statuses[name] ?? null) : null;
}
