import { callProvider, type Fields, isFields, readJson, textOf, wholeNumber } from '../call.ts';
import type {
  AdapterContext,
  AdapterError,
  Money,
  OutboundMessage,
  PreparedMessage,
  ProviderAdapter,
  ReconcileOutcome,
  ReconcileRef,
  SendOutcome,
} from '../channel.ts';
import {
  type Answered,
  failedOutcome,
  statusError,
  unansweredError,
  unreadableError,
} from '../failure.ts';
import { parsePrice } from '../price.ts';
import { smsLength } from '../sms-length.ts';
import { parseCallback, statusNews, verifyCallback, withoutPerson } from './callback.ts';
import { refusal } from './codes.ts';
import {
  batchDefault,
  currencyOf,
  type SmscConfig,
  smscCredentials,
  smscOptions,
} from './config.ts';

/**
 * SMSC.ru (smsc.kz and smscentre.com speak the same). A batch goes with one `id`, and SMSC.ru knows a
 * message by that id and its number; the id is no idempotency key, but it can be asked about.
 */

const homeUrl = 'https://smsc.ru';
const charactersMax = 1000;

export const smscAdapter: ProviderAdapter<SmscConfig> = {
  channel: 'sms',
  provider: 'smsc',
  isLocal: false,
  credentialsSchema: smscCredentials,
  optionsSchema: smscOptions,
  capabilities: (config) => ({
    maxBatch: config.options.batch ?? batchDefault,
    batchUniqueBy: 'address',
    sharedClientRef: true,
    concurrency: 10,
    idempotency: 'dup_window',
    reconcile: 'by_client_ref',
    reconcileTiming: {
      firstAfterMs: 90_000,
      againAfterMs: 300_000,
      batchMax: config.options.batch ?? batchDefault,
    },
    deliveryReceipts: 'both',
    inbound: 'push',
    buttons: null,
    scheduling: true,
    cancel: false,
    templates: 'local',
    body: { encoding: 'gsm7_ucs2', maxChars: charactersMax },
    cost: 'provider_quote',
    dataRegions: ['RU'],
  }),
  prepare,
  send,
  reconcile,
  quote,
  health,
  verifyCallback,
  parseCallback,
};

interface Wire {
  phone: string;
  text: string;
}

function prepare(message: OutboundMessage): PreparedMessage {
  const text = message.content.text.replace(/\r\n?/g, '\n');
  const { encoding, segments } = smsLength(text);
  const wire: Wire = { phone: message.to, text };
  return {
    ...message,
    encoding,
    segments,
    warnings: text.length > charactersMax ? ['too-long'] : [],
    // One call has one life for all its messages, so only those that end about together share it.
    batchKey: String(Math.floor(message.expiresAt.epochMilliseconds / 3_600_000)),
    wire,
  };
}

async function send(
  batch: readonly PreparedMessage[],
  config: SmscConfig,
  context: AdapterContext,
): Promise<SendOutcome[]> {
  const [first] = batch;
  if (!first) return [];
  if (batch.some(({ clientRef }) => clientRef !== first.clientRef)) {
    throw new Error('The messages of one call to SMSC.ru carry one client reference.');
  }
  const answer = await call(
    'send.php',
    { ...contentOf(batch), ...sendOptions(batch, config, context) },
    config,
    context,
  );
  if ('error' in answer) {
    return batch.map(({ id }) => failedOutcome(id, answer.error, answer.raw));
  }
  const code = wholeNumber(answer.fields.error_code);
  if (code !== null) {
    const error = refusal(code, batch.length);
    return batch.map(({ id }) => failedOutcome(id, error, { error_code: code }));
  }
  if (textOf(answer.fields.id) !== first.clientRef) {
    const error = unreadableError(answer.answered);
    return batch.map(({ id }) => failedOutcome(id, error, withoutPerson(answer.fields)));
  }
  const byPhone = phonesOf(answer.fields);
  return batch.map((message) => outcomeOf(message, batch.length, byPhone, answer.fields, config));
}

function contentOf(batch: readonly PreparedMessage[]): Record<string, string> {
  const wires = batch.map(({ wire }) => wire as Wire);
  const [only] = wires;
  if (only && wires.length === 1) return { phones: only.phone, mes: only.text };
  // A line for each message; a line break within one is written as backslash and n.
  const lines = wires.map(({ phone, text }) => `${phone}:${text.replaceAll('\n', '\\n')}`);
  return { list: lines.join('\n') };
}

function sendOptions(
  batch: readonly PreparedMessage[],
  config: SmscConfig,
  context: AdapterContext,
): Record<string, string> {
  const firstEnd = Math.min(...batch.map(({ expiresAt }) => expiresAt.epochMilliseconds));
  const { sender } = config.options;
  return {
    id: batch[0]?.clientRef ?? '',
    cost: '3',
    op: '1',
    valid: lifeOf(firstEnd - context.now().epochMilliseconds),
    ...(sender === undefined ? {} : { sender }),
  };
}

/** From a minute to a day, rounded down: it must not come after its time. */
function lifeOf(leftMs: number): string {
  const minutes = Math.min(Math.max(Math.floor(leftMs / 60_000), 1), 24 * 60);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

function phonesOf(fields: Fields): Map<string, Fields> | null {
  const phones = fields.phones;
  if (!Array.isArray(phones)) return null;
  return new Map(phones.filter(isFields).map((entry) => [digitsOf(entry.phone), entry]));
}

function digitsOf(phone: unknown): string {
  return textOf(phone).replace(/^\+/, '');
}

function outcomeOf(
  message: PreparedMessage,
  batchSize: number,
  byPhone: Map<string, Fields> | null,
  fields: Fields,
  config: SmscConfig,
): SendOutcome {
  const { id, clientRef, to } = message;
  const entry = byPhone === null && batchSize === 1 ? fields : byPhone?.get(digitsOf(to));
  const raw = { ...withoutPerson(fields), ...(entry ? withoutPerson(entry) : {}) };
  if (!entry) {
    const error: AdapterError = {
      class: 'unknown_outcome',
      scope: 'message',
      providerCode: 'not-listed',
      httpStatus: 200,
      message: 'SMSC.ru took the call but does not list this message.',
    };
    return { id, kind: 'unknown', error, raw };
  }
  const refused = wholeNumber(entry.error) ?? 0;
  if (refused > 0) return failedOutcome(id, refusal(refused, 1), { ...raw, error: refused });
  const cost = parsePrice(entry.cost, currencyOf(config));
  const parts = batchSize === 1 ? wholeNumber(fields.cnt) : null;
  return {
    id,
    kind: 'accepted',
    providerMessageId: clientRef,
    segments: parts ?? message.segments,
    ...(cost === null ? {} : { cost }),
    raw,
  };
}

async function reconcile(
  refs: readonly ReconcileRef[],
  config: SmscConfig,
  context: AdapterContext,
): Promise<ReconcileOutcome[]> {
  if (refs.length === 0) return [];
  // The comma behind the last makes the answer a list even for one.
  const question = {
    phone: refs.map(({ to }) => `${to},`).join(''),
    id: refs.map(({ clientRef }) => `${clientRef},`).join(''),
    all: '0',
  };
  const answer = await call('status.php', question, config, context);
  if ('error' in answer) {
    return refs.map(({ id }) => ({ id, kind: 'unknown', error: answer.error, raw: answer.raw }));
  }
  const code = wholeNumber(answer.fields.error_code);
  const entries = answer.list ?? [answer.fields];
  const byKey = new Map(
    entries.map((entry) => [`${textOf(entry.id)}/${digitsOf(entry.phone)}`, entry]),
  );
  return refs.map((ref, index) => {
    const named = byKey.get(`${ref.clientRef}/${digitsOf(ref.to)}`);
    const inPlace = entries.length === refs.length ? entries[index] : undefined;
    // An entry that names another message is never this one's answer.
    const entry = named ?? (inPlace && textOf(inPlace.id) === '' ? inPlace : undefined);
    return reconciled(ref, code === null ? entry : undefined, code, config);
  });
}

function reconciled(
  ref: ReconcileRef,
  entry: Fields | undefined,
  code: number | null,
  config: SmscConfig,
): ReconcileOutcome {
  const status = entry ? wholeNumber(entry.status) : null;
  const raw = entry ? withoutPerson(entry) : { error_code: code };
  const known = { id: ref.id, kind: 'accepted', providerMessageId: ref.clientRef, raw } as const;
  if (entry && status === -2) return { ...known, status: 'queued' };
  const news = entry && status !== null ? statusNews(status, entry, config) : null;
  if (!news) {
    const error: AdapterError = {
      class: 'unknown_outcome',
      scope: 'message',
      providerCode: code === null ? 'unreadable' : `status-query-${code}`,
      httpStatus: 200,
      message: 'SMSC.ru does not tell what became of it.',
      retryAfterMs: 60_000,
    };
    return { id: ref.id, kind: 'unknown', error, raw };
  }
  if (news.status === 'not_found') return { id: ref.id, kind: 'not_found', raw };
  return {
    ...known,
    status: news.status,
    ...(news.error ? { error: news.error } : {}),
    ...(news.cost ? { cost: news.cost } : {}),
  };
}

async function quote(
  messages: readonly PreparedMessage[],
  config: SmscConfig,
  context: AdapterContext,
): Promise<Money | null> {
  const { sender } = config.options;
  const question = { ...contentOf(messages), cost: '1', ...(sender ? { sender } : {}) };
  const answer = await call('send.php', question, config, context);
  return 'error' in answer ? null : parsePrice(answer.fields.cost, currencyOf(config));
}

async function health(config: SmscConfig, context: AdapterContext) {
  const answer = await call('balance.php', { cur: '1' }, config, context);
  if ('error' in answer) return { ok: false, detail: answer.error.message };
  const code = wholeNumber(answer.fields.error_code);
  if (code !== null) return { ok: false, detail: refusal(code, 1).message };
  const currency = textOf(answer.fields.currency).replace('RUR', 'RUB') || currencyOf(config);
  const balance = parsePrice(answer.fields.balance, currency);
  return balance === null ? { ok: false, detail: 'unreadable' } : { ok: true, balance };
}

type CallAnswer =
  | { fields: Fields; list?: Fields[]; answered: Answered }
  | { error: AdapterError; raw: unknown };

async function call(
  page: 'send.php' | 'status.php' | 'balance.php',
  parameters: Record<string, string>,
  config: SmscConfig,
  context: AdapterContext,
): Promise<CallAnswer> {
  const { credentials, options } = config;
  const login =
    'apiKey' in credentials
      ? { apikey: credentials.apiKey }
      : { login: credentials.login, psw: credentials.password };
  const result = await callProvider(context, {
    method: 'POST',
    url: `${(options.baseUrl ?? homeUrl).replace(/\/+$/, '')}/sys/${page}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' },
    // Without a charset it would be read as Windows-1251, and a Russian text as garbage.
    body: new URLSearchParams({ ...login, ...parameters, fmt: '3', charset: 'utf-8' }).toString(),
  });
  if (result.kind !== 'answered') {
    return { error: unansweredError(result), raw: { reason: result.reason } };
  }
  if (result.status !== 200) {
    return { error: statusError(result, context.now()), raw: { status: result.status } };
  }
  const json = readJson(result.body);
  if (Array.isArray(json)) {
    return { fields: {}, list: json.filter(isFields), answered: result };
  }
  if (isFields(json)) return { fields: json, answered: result };
  return { error: unreadableError(result), raw: { status: result.status } };
}
