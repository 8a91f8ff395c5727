import { createHmac } from 'node:crypto';
import { parsePhone } from '../../phone.ts';
import { equalBytes } from '../../secrets.ts';
import { type Fields, isFields, readJson, textOf, wholeNumber } from '../call.ts';
import type {
  CallbackVerdict,
  DeliveryStatus,
  InboundNews,
  NormalizedEvent,
  ParsedCallback,
  RawRequest,
} from '../channel.ts';
import { failureOf } from './codes.ts';
import type { WhatsappConfig } from './config.ts';

/**
 * Meta's webhook: an app has one address for all its numbers, so that news of other numbers come here
 * too and are left alone. The signature has no time in it; a repeated piece of news is known by its key.
 */

const newsMax = 1_000;

/** Meta's proof that the address is ours: it is told the word it already knows. */
export function handshake(
  request: RawRequest,
  { credentials }: WhatsappConfig,
): { status: number; body: string } | null {
  if (request.method !== 'GET') return null;
  const asked = URL.parse(request.url)?.searchParams;
  if (asked?.get('hub.mode') !== 'subscribe') return null;
  const given = Buffer.from(asked.get('hub.verify_token') ?? '');
  const wanted = credentials.verifyToken;
  const isRight = wanted !== undefined && equalBytes(given, Buffer.from(wanted));
  if (!isRight) return { status: 403, body: 'The token is wrong.' };
  return { status: 200, body: asked.get('hub.challenge') ?? '' };
}

export function verifyCallback(
  request: RawRequest,
  { credentials }: WhatsappConfig,
): CallbackVerdict {
  if (credentials.appSecret === undefined) return { ok: false, reason: 'not_configured' };
  const given = request.headers['x-hub-signature-256'];
  if (!given) return { ok: false, reason: 'missing' };
  const digest = createHmac('sha256', credentials.appSecret).update(request.rawBody).digest('hex');
  const isRight = equalBytes(Buffer.from(given), Buffer.from(`sha256=${digest}`));
  return isRight ? { ok: true } : { ok: false, reason: 'bad' };
}

export function parseCallback(request: RawRequest, config: WhatsappConfig): ParsedCallback {
  const values = changesIn(readJson(request.rawBody)).filter(
    (value) =>
      isFields(value.metadata) &&
      textOf(value.metadata.phone_number_id) === config.credentials.phoneNumberId,
  );
  const events = values.flatMap((value) => [
    ...listOf(value.statuses).flatMap((status) => statusEvents(status, request)),
    ...listOf(value.messages).flatMap((message) => inboundEvents(message, request)),
    ...listOf(value.user_preferences).flatMap((wish) => preferenceEvents(wish, request)),
  ]);
  return { events: events.slice(0, newsMax), reply: { status: 200 } };
}

function changesIn(json: unknown): Fields[] {
  const entries = isFields(json) ? listOf(json.entry) : [];
  return entries.flatMap((entry) =>
    listOf(entry.changes).flatMap(({ value }) => (isFields(value) ? [value] : [])),
  );
}

function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.slice(0, newsMax).filter(isFields) : [];
}

const statuses: Readonly<Record<string, DeliveryStatus>> = {
  sent: 'sent',
  delivered: 'delivered',
  read: 'read',
  // A voice message that was listened to.
  played: 'read',
  failed: 'failed',
};

function statusEvents(fields: Fields, request: RawRequest): NormalizedEvent[] {
  const name = textOf(fields.status);
  const status = Object.hasOwn(statuses, name) ? statuses[name] : undefined;
  const providerMessageId = textOf(fields.id);
  if (status === undefined || providerMessageId === '') return [];
  const clientRef = textOf(fields.biz_opaque_callback_data);
  const address = addressOf(fields.recipient_id);
  const code = wholeNumber(listOf(fields.errors)[0]?.code) ?? 0;
  const common = {
    occurredAt: instantOf(fields.timestamp) ?? request.receivedAt,
    raw: { id: providerMessageId, status: name, ...(code > 0 ? { code } : {}) },
  };
  const dedupeKey = `whatsapp:${providerMessageId}:${name}`;
  const told: NormalizedEvent = {
    ...common,
    type: 'status',
    dedupeKey,
    providerMessageId,
    ...(clientRef === '' ? {} : { clientRef }),
    ...(address === '' ? {} : { address }),
    status,
    ...(status === 'failed' ? { error: failureOf(code) } : {}),
  };
  if (status !== 'failed' || code !== stoppedMarketing || address === '') return [told];
  const stop = { type: 'suppression', reason: 'user_stop', purposes: ['marketing'] } as const;
  return [told, { ...common, ...stop, address, dedupeKey: `${dedupeKey}:suppression` }];
}

const stoppedMarketing = 131050;

/** A patient who wants no marketing from this clinic says so in WhatsApp itself. */
function preferenceEvents(fields: Fields, request: RawRequest): NormalizedEvent[] {
  const address = addressOf(fields.wa_id);
  if (textOf(fields.value) !== 'stop' || address === '') return [];
  const at = textOf(fields.timestamp);
  return [
    {
      type: 'suppression',
      dedupeKey: `whatsapp:stop:${address}:${at}`,
      occurredAt: instantOf(at) ?? request.receivedAt,
      raw: { value: 'stop' },
      address,
      purposes: ['marketing'],
      reason: 'user_stop',
    },
  ];
}

function inboundEvents(fields: Fields, request: RawRequest): NormalizedEvent[] {
  const id = textOf(fields.id);
  const said = saidIn(fields);
  if (id === '' || said === null) return [];
  return [
    {
      type: 'inbound',
      dedupeKey: `whatsapp:in:${id}`,
      occurredAt: instantOf(fields.timestamp) ?? request.receivedAt,
      from: addressOf(fields.from),
      ...said,
      raw: { id, type: textOf(fields.type) },
    },
  ];
}

type Said = Pick<InboundNews, 'text' | 'action' | 'inReplyTo'>;

/** Null for what nobody said. */
function saidIn(fields: Fields): Said | null {
  const type = textOf(fields.type);
  const answered = isFields(fields.context) ? textOf(fields.context.id) : '';
  const inReplyTo = answered === '' ? {} : { inReplyTo: answered };
  const part = isFields(fields[type]) ? fields[type] : {};
  switch (type) {
    case 'text':
      return { text: verbatim(part.body), ...inReplyTo };
    case 'button':
      return tapped(part.payload, part.text, inReplyTo);
    case 'interactive': {
      const choice = [part.button_reply, part.list_reply].find(isFields);
      return choice ? tapped(choice.id, choice.title, inReplyTo) : null;
    }
    case 'reaction':
      return reaction(part);
    case 'system':
      return null;
    default:
      // A picture, a voice message, a place: staff see that something came, and look in WhatsApp.
      return { text: verbatim(part.caption) || `[${type.slice(0, 30)}]`, ...inReplyTo };
  }
}

function tapped(id: unknown, label: unknown, inReplyTo: { inReplyTo?: string }): Said {
  return { text: verbatim(label), action: { id: textOf(id), ...inReplyTo } };
}

/** One that was taken back has no sign. */
function reaction({ emoji, message_id }: Fields): Said | null {
  const text = verbatim(emoji);
  return text === '' ? null : { text, inReplyTo: textOf(message_id) };
}

function verbatim(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/**
 * WhatsApp's name for a number is not always the number: Brazilian ones may lack the ninth digit,
 * Mexican ones may have one too many. Empty where it names none: such a user has no number for us.
 */
function addressOf(waId: unknown): string {
  const digits = textOf(waId);
  if (!/^\d{7,15}$/.test(digits)) return '';
  const phone = parsePhone(`+${digits}`);
  return phone.ok ? phone.e164 : `+${digits}`;
}

const epochSecondsMax = 4_102_444_800;

function instantOf(epochSeconds: unknown): Temporal.Instant | null {
  const seconds = wholeNumber(epochSeconds);
  if (seconds === null || seconds <= 0 || seconds > epochSecondsMax) return null;
  return Temporal.Instant.fromEpochMilliseconds(seconds * 1000);
}
