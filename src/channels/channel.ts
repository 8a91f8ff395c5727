import type { TSchema } from 'typebox';
import type { HttpPort } from './http.ts';

/**
 * What every way to a patient has in common. An adapter turns a rendered message into one provider's
 * call and that provider's words back into ours. It never retries, keeps no state and decides nothing:
 * retries, limits, opt-outs and the state machine belong to the outbox.
 */

export const channelNames = [
  'sms',
  'email',
  'whatsapp',
  'telegram',
  'webhook',
  'inbox',
  'task',
] as const;

export type Channel = (typeof channelNames)[number];

export const purposes = ['transactional', 'care', 'marketing'] as const;

export type Purpose = (typeof purposes)[number];

/** Millionths of a currency unit, a safe integer: tariffs have prices below the cent. */
export interface Money {
  micros: number;
  currency: string;
}

export interface RenderedContent {
  subject?: string;
  text: string;
  html?: string;
}

/** A clinic's settings of one channel, already decrypted and checked against the adapter's schemas. */
export interface AdapterConfig {
  credentials: object;
  options: object;
  /** The public address at which this channel's provider calls us. */
  callbackUrl: string;
}

export const errorClasses = [
  'recipient_permanent',
  'message_permanent',
  'suppressed',
  'config',
  'rate_limited',
  'temporary',
  'unknown_outcome',
] as const;

/**
 * `recipient_permanent`, `message_permanent` and `suppressed` end the message; `config` pauses the
 * channel with its messages kept; `rate_limited` and `temporary` were definitely not taken and may go
 * again; `unknown_outcome` may have been taken and must never go again unasked.
 */
export type ErrorClass = (typeof errorClasses)[number];

export interface AdapterError {
  class: ErrorClass;
  /** How far the trouble reaches: a channel-wide one is no reason to give up the message. */
  scope: 'message' | 'recipient' | 'channel';
  providerCode: string | null;
  httpStatus: number | null;
  /** Our words, never the provider's: theirs may repeat a number or a text. */
  message: string;
  retryAfterMs?: number;
  /** A whole batch was refused for one of its messages: each goes again in a call of its own. */
  retryAlone?: true;
}

export const deliveryStatuses = [
  'queued',
  'sent',
  'delivered',
  'read',
  'clicked',
  'failed',
  'not_found',
] as const;

export type DeliveryStatus = (typeof deliveryStatuses)[number];

export interface AdapterCapabilities {
  /** Messages that one `send` call takes. */
  maxBatch: number;
  /** `address`: no two messages of a batch go to the same address. */
  batchUniqueBy: 'address' | 'none';
  /**
   * True: all messages of one `send` call carry the same `clientRef`, given before the call, and are
   * told apart by address. False: each message has a `clientRef` of its own.
   */
  sharedClientRef: boolean;
  /** Calls in flight at once that the provider bears. */
  concurrency: number;
  rate?: readonly { points: number; perMs: number; scope: 'channel' | 'recipient' }[];
  idempotency: 'provider_key' | 'receiver_key' | 'dup_window' | 'none' | 'transactional';
  /** How an unknown outcome is settled; with `by_client_ref` and `by_recipient_time` by `reconcile`. */
  reconcile: 'by_client_ref' | 'by_recipient_time' | 'callback_only' | 'none';
  /**
   * How long after the call the first question (or, with `callback_only`, the last hope) comes; how far
   * apart further ones stay; how many messages one question may name.
   */
  reconcileTiming?: { firstAfterMs: number; againAfterMs: number; batchMax: number };
  deliveryReceipts: 'push' | 'poll' | 'both' | 'none';
  inbound: 'push' | 'poll' | 'none';
  buttons: { max: number; payloadBytes: number } | null;
  scheduling: boolean;
  cancel: boolean;
  templates: 'local' | 'provider_approved';
  freeFormWindowMs?: number;
  body: { encoding: 'gsm7_ucs2' | 'utf8' | 'mime' | 'json'; maxChars: number };
  cost: 'none' | 'local' | 'provider_quote';
  /** Countries where the provider keeps what we send, as ISO 3166 codes; empty: it leaves us not. */
  dataRegions: readonly string[];
}

export interface OutboundMessage {
  /** Ours, a UUIDv7. */
  id: string;
  /** Goes to the provider and comes back; a UUID, chosen before the intent to send is committed. */
  clientRef: string;
  purpose: Purpose;
  /** A phone as +E.164, an e-mail address, or what the channel calls its recipients. */
  to: string;
  content: RenderedContent;
  expiresAt: Temporal.Instant;
  unsubscribeUrl?: string;
  /** Buttons, as many as the adapter has; what a tap says is in `action.ts`. */
  actions?: readonly { id: string; label: string }[];
  /** What the text was made from, for providers that take only what they approved before. */
  template?: MessageTemplate;
  /** The recipient wrote within `freeFormWindowMs`, so that any text may go. */
  mayWriteFreely?: boolean;
  passthrough?: Readonly<Record<string, unknown>>;
}

export interface MessageTemplate {
  name: string;
  language: string;
  /** Each name of the text once, in the order of its first use, with what was put there. */
  values: readonly { name: string; value: string }[];
}

export interface PreparedMessage extends OutboundMessage {
  encoding?: 'gsm7' | 'ucs2';
  /** What the provider will charge as parts; 1 where a message is a message. */
  segments: number;
  /** Stable codes, such as `too-long`, for the author of the template. */
  warnings: readonly string[];
  /** Only messages of equal keys may share a call; null: it travels alone. */
  batchKey: string | null;
  /** For the same adapter's `send` alone. */
  wire: unknown;
}

export type SendOutcome =
  | AcceptedOutcome
  | { id: string; kind: 'rejected'; error: AdapterError; raw: unknown }
  | { id: string; kind: 'unknown'; error: AdapterError; raw?: unknown };

export interface AcceptedOutcome {
  id: string;
  kind: 'accepted';
  providerMessageId: string;
  /** What the provider calls this recipient, where that differs from the address. */
  recipientRef?: string;
  segments?: number;
  cost?: Money;
  /** Where the answer already tells more than "taken". With `failed` comes the error. */
  status?: 'queued' | 'sent' | 'delivered' | 'read' | 'clicked' | 'failed';
  error?: AdapterError;
  raw: unknown;
}

/** `not_found`: the provider says it never took it. Whether once is enough is the outbox's rule. */
export type ReconcileOutcome = SendOutcome | { id: string; kind: 'not_found'; raw: unknown };

export interface ReconcileRef {
  id: string;
  clientRef: string;
  to: string;
  /** As it was sent, for providers that know neither reference; null where that is gone. */
  text?: string | null;
  sentAt: Temporal.Instant;
}

export type NormalizedEvent = {
  /** Equal for two deliveries of the same news. */
  dedupeKey: string;
  occurredAt: Temporal.Instant;
  raw: unknown;
} & (StatusNews | InboundNews | SuppressionNews);

/**
 * Matched by `clientRef` where it came, else by `providerMessageId`, else by `address` alone. A batch may
 * share either, so an `address` that came must fit too.
 */
export interface StatusNews {
  type: 'status';
  clientRef?: string;
  providerMessageId?: string;
  address?: string;
  status: DeliveryStatus;
  error?: AdapterError;
  cost?: Money;
}

export interface InboundNews {
  type: 'inbound';
  from: string;
  to?: string;
  text?: string;
  /** A button that was tapped. */
  action?: { id: string; inReplyTo?: string };
  /** The provider's id of the message of ours that a text answers, where it tells. */
  inReplyTo?: string;
}

export interface SuppressionNews {
  type: 'suppression';
  address: string;
  clientRef?: string;
  purposes: readonly Purpose[] | 'all';
  reason: 'unsubscribe' | 'complaint' | 'hard_bounce' | 'blocked' | 'user_stop';
}

/** A provider's call to us, untouched: signatures cover bytes. */
export interface RawRequest {
  method: string;
  /** The public URL from our configuration with the query that came, not what a proxy made of it. */
  url: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | undefined>>;
  rawBody: Buffer;
  remoteIp: string;
  receivedAt: Temporal.Instant;
}

export type CallbackVerdict =
  | { ok: true }
  | { ok: false; reason: 'missing' | 'bad' | 'stale' | 'not_configured' };

export interface ParsedCallback {
  events: readonly NormalizedEvent[];
  reply?: { status: number; headers?: Readonly<Record<string, string>>; body?: string };
}

/** Fields are ids and codes only: no name, address or text is ever logged. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface AdapterContext {
  signal: AbortSignal;
  /** No call outlives it. */
  deadline: Temporal.Instant;
  http: HttpPort;
  log: Logger;
  now(): Temporal.Instant;
}

interface AdapterBase<Config extends AdapterConfig> {
  readonly channel: Channel;
  readonly provider: string;
  /** Schemas of what a clinic may set; secret fields are marked `x-secret: true`. */
  readonly credentialsSchema: TSchema;
  readonly optionsSchema: TSchema;
  capabilities(config: Config): AdapterCapabilities;
  /** Pure and cheap: parts, encoding, warnings and the provider's form of the message. */
  prepare(message: OutboundMessage, config: Config): PreparedMessage;
}

/** Delivered by a row of our own in the outbox's transaction: there is nothing to call. */
export interface LocalAdapter<Config extends AdapterConfig = AdapterConfig>
  extends AdapterBase<Config> {
  readonly isLocal: true;
}

export interface ProviderAdapter<Config extends AdapterConfig = AdapterConfig>
  extends AdapterBase<Config> {
  readonly isLocal: false;
  /** One call, one outcome for each id. Throws only when its own contract was broken. */
  send(
    batch: readonly PreparedMessage[],
    config: Config,
    context: AdapterContext,
  ): Promise<SendOutcome[]>;
  /** Asks what became of messages. `unknown` means: ask again later. */
  reconcile?(
    refs: readonly ReconcileRef[],
    config: Config,
    context: AdapterContext,
  ): Promise<ReconcileOutcome[]>;
  /** What the provider would charge; sends nothing. Null when it does not say. */
  quote?(
    messages: readonly PreparedMessage[],
    config: Config,
    context: AdapterContext,
  ): Promise<Money | null>;
  /** News that the provider keeps for us since that cursor. */
  poll?(
    cursor: string | null,
    config: Config,
    context: AdapterContext,
  ): Promise<{ events: NormalizedEvent[]; cursor: string | null }>;
  /** The answer to a provider's proof that the address is ours; null: this request is none. */
  handshake?(request: RawRequest, config: Config): { status: number; body: string } | null;
  /** Constant time, never throws. */
  verifyCallback(request: RawRequest, config: Config): CallbackVerdict;
  /** Pure, and never throws: what it cannot read gives no events. */
  parseCallback(request: RawRequest, config: Config): ParsedCallback;
  /** The reply to a call by which a provider also writes to whoever it told of; such a text is no message. */
  answer?(to: string, text: string): NonNullable<ParsedCallback['reply']>;
  /** Whether the credentials work; sends nothing to anybody. */
  health?(
    config: Config,
    context: AdapterContext,
  ): Promise<{ ok: boolean; balance?: Money; detail?: string }>;
}

export type ChannelAdapter = LocalAdapter | ProviderAdapter;
