import { createPublicKey, verify } from 'node:crypto';
import { type Fields, isFields, readJson, textOf, wholeNumber } from '../call.ts';
import type {
  AdapterError,
  CallbackVerdict,
  NormalizedEvent,
  ParsedCallback,
  RawRequest,
  StatusNews,
  SuppressionNews,
} from '../channel.ts';
import type { SendgridConfig } from './config.ts';

/** SendGrid's signed Event Webhook: many events a call, each known by its `sg_event_id`. */

const signatureHeader = 'x-twilio-email-event-webhook-signature';
const timestampHeader = 'x-twilio-email-event-webhook-timestamp';
/** SendGrid names no window; an older call is a replay. */
const ageMsMax = 600_000;
const eventsMax = 10_000;

export function verifyCallback(request: RawRequest, config: SendgridConfig): CallbackVerdict {
  const key = config.credentials.webhookPublicKey;
  if (key === undefined) return { ok: false, reason: 'not_configured' };
  const signature = request.headers[signatureHeader];
  const timestamp = request.headers[timestampHeader];
  if (!signature || !timestamp) return { ok: false, reason: 'missing' };
  const seconds = wholeNumber(timestamp);
  if (seconds === null) return { ok: false, reason: 'bad' };
  if (!isSigned(Buffer.concat([Buffer.from(timestamp), request.rawBody]), signature, key)) {
    return { ok: false, reason: 'bad' };
  }
  const ageMs = Math.abs(request.receivedAt.epochMilliseconds - seconds * 1000);
  return ageMs > ageMsMax ? { ok: false, reason: 'stale' } : { ok: true };
}

/** node:crypto instead of SendGrid's package: that one takes 15 ms a call and throws on a forged one. */
function isSigned(signed: Buffer, signature: string, key: string): boolean {
  try {
    const publicKey = createPublicKey({
      key: Buffer.from(key, 'base64'),
      format: 'der',
      type: 'spki',
    });
    return verify('sha256', signed, publicKey, Buffer.from(signature, 'base64'));
  } catch {
    // A key or a signature of another form has signed nothing.
    return false;
  }
}

export function parseCallback(request: RawRequest): ParsedCallback {
  const json = readJson(request.rawBody);
  const list = Array.isArray(json) ? json.slice(0, eventsMax).filter(isFields) : [];
  return { events: list.flatMap((fields) => eventsOf(fields, request)), reply: { status: 200 } };
}

function eventsOf(fields: Fields, request: RawRequest): NormalizedEvent[] {
  const eventId = textOf(fields.sg_event_id);
  const address = textOf(fields.email);
  if (eventId === '' || address === '') return [];
  const common = {
    occurredAt: instantOf(fields.timestamp) ?? request.receivedAt,
    raw: withoutPerson(fields),
  };
  const events: NormalizedEvent[] = [];
  const status = statusNews(fields, address);
  if (status) events.push({ ...common, ...status, dedupeKey: `sendgrid:${eventId}` });
  const suppression = suppressionNews(fields, address);
  if (suppression) {
    events.push({ ...common, ...suppression, dedupeKey: `sendgrid:${eventId}:suppression` });
  }
  return events;
}

function statusNews(fields: Fields, address: string): StatusNews | null {
  const known = { type: 'status', address, ...referencesOf(fields) } as const;
  switch (fields.event) {
    case 'processed':
    // Tried again by SendGrid for three days: no end yet, but taken.
    case 'deferred':
      return { ...known, status: 'sent' };
    case 'delivered':
      return { ...known, status: 'delivered' };
    case 'open':
      return { ...known, status: 'read' };
    case 'click':
      return { ...known, status: 'clicked' };
    case 'bounce':
    case 'dropped':
      return { ...known, status: 'failed', error: failureOf(fields) };
    default:
      return null;
  }
}

/** An asynchronous bounce comes without SendGrid's own id. */
function referencesOf(fields: Fields): { clientRef?: string; providerMessageId?: string } {
  const clientRef = textOf(fields.mid);
  const messageId = textOf(fields.sg_message_id).split('.')[0] ?? '';
  return {
    ...(clientRef === '' ? {} : { clientRef }),
    ...(messageId === '' ? {} : { providerMessageId: messageId }),
  };
}

function failureOf(fields: Fields): AdapterError {
  const isBlocked = fields.event === 'bounce' && fields.type === 'blocked';
  const known = { scope: 'recipient', httpStatus: null } as const;
  if (isBlocked) {
    const message = 'The recipient’s server refused it for now.';
    return { ...known, class: 'temporary', providerCode: 'blocked', message };
  }
  const reason = fields.event === 'dropped' ? dropReason(fields) : null;
  if (reason === 'unsubscribe' || reason === 'complaint') {
    const message = 'SendGrid holds this address back.';
    return { ...known, class: 'suppressed', providerCode: `dropped-${reason}`, message };
  }
  const providerCode = fields.event === 'dropped' ? 'dropped' : 'bounce';
  const message = 'The address takes no mail.';
  return { ...known, class: 'recipient_permanent', providerCode, message };
}

function suppressionNews(fields: Fields, address: string): SuppressionNews | null {
  const reason = suppressionReason(fields);
  if (reason === null) return null;
  const { clientRef } = referencesOf(fields);
  return {
    type: 'suppression',
    address,
    ...(clientRef === undefined ? {} : { clientRef }),
    // Who unsubscribes still wants to know of the visit that is booked.
    purposes: reason === 'unsubscribe' ? ['care', 'marketing'] : 'all',
    reason,
  };
}

function suppressionReason(fields: Fields): SuppressionNews['reason'] | null {
  switch (fields.event) {
    case 'bounce':
      return fields.type === 'blocked' ? null : 'hard_bounce';
    case 'dropped':
      return dropReason(fields);
    case 'spamreport':
      return 'complaint';
    case 'unsubscribe':
    case 'group_unsubscribe':
      return 'unsubscribe';
    default:
      return null;
  }
}

/** SendGrid did not even try, because of what it remembers of the address. */
function dropReason(fields: Fields): SuppressionNews['reason'] | null {
  const reason = textOf(fields.reason).toLowerCase();
  if (reason.includes('unsubscribed')) return 'unsubscribe';
  if (reason.includes('spam report')) return 'complaint';
  if (reason.includes('bounced') || reason.includes('invalid')) return 'hard_bounce';
  return null;
}

const epochSecondsMax = 4_102_444_800;

function instantOf(epochSeconds: unknown): Temporal.Instant | null {
  const seconds = wholeNumber(epochSeconds);
  if (seconds === null || seconds <= 0 || seconds > epochSecondsMax) return null;
  return Temporal.Instant.fromEpochMilliseconds(seconds * 1000);
}

const kept: readonly string[] = [
  'event',
  'type',
  'status',
  'attempt',
  'sg_event_id',
  'sg_message_id',
];

/** A server's words about a bounce repeat the address. */
function withoutPerson(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => kept.includes(name)));
}
