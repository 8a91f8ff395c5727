import { createHash } from 'node:crypto';
import { equalBytes } from '../../secrets.ts';
import { type Fields, isFields, readJson, textOf, wholeNumber } from '../call.ts';
import type {
  CallbackVerdict,
  NormalizedEvent,
  ParsedCallback,
  RawRequest,
  StatusNews,
} from '../channel.ts';
import { parsePrice } from '../price.ts';
import { digitsOf } from './call.ts';
import { deliveryStatus, failure } from './codes.ts';
import { currencyOf, type SmscConfig } from './config.ts';
import { type Charset, encodeCp1251, parseForm } from './cp1251.ts';

/**
 * What SMSC.ru tells by calling the account's handler address. The signature has no time in it and does
 * not cover the cause, so such news is a hint: a repeated one is known by its key.
 */

/** The options of the handler's address that we read; the address is set by hand in the account. */
function read(request: RawRequest): { fields: Fields; charset: Charset } {
  const query = URL.parse(request.url)?.search.slice(1) ?? '';
  const named = parseForm(query, 'utf-8').charset?.toLowerCase();
  const charset = named === 'utf-8' || named === 'utf8' ? 'utf-8' : 'windows-1251';
  if (request.method === 'GET') return { fields: parseForm(query, charset), charset };
  const isJson = /^\s*\{/.test(request.rawBody.toString('latin1', 0, 20));
  if (!isJson) return { fields: parseForm(request.rawBody.toString('latin1'), charset), charset };
  const json = readJson(request.rawBody);
  return { fields: isFields(json) ? json : {}, charset };
}

export function verifyCallback(request: RawRequest, config: SmscConfig): CallbackVerdict {
  const secret = config.credentials.callbackSecret;
  if (secret === undefined) return { ok: false, reason: 'not_configured' };
  const { fields } = read(request);
  const signed = signedText(fields, secret);
  const sha1 = textOf(fields.sha1).toLowerCase();
  const md5 = textOf(fields.md5).toLowerCase();
  const given = sha1 || md5;
  if (signed === null || given === '') return { ok: false, reason: 'missing' };
  // In which charset a Russian text is hashed is documented nowhere.
  const isRight = [Buffer.from(signed, 'utf8'), encodeCp1251(signed)].some((bytes) => {
    const wanted = createHash(sha1 ? 'sha1' : 'md5')
      .update(bytes)
      .digest('hex');
    return equalBytes(Buffer.from(wanted), Buffer.from(given));
  });
  return isRight ? { ok: true } : { ok: false, reason: 'bad' };
}

function signedText(fields: Fields, secret: string): string | null {
  const joined = (...names: string[]) => [...names.map((name) => textOf(fields[name])), secret];
  switch (kindOf(fields)) {
    case 'inbound':
      // The text is signed as it is, spaces around it included.
      return [textOf(fields.phone), String(fields.mes), textOf(fields.to), secret].join(':');
    case 'status':
      return joined('id', 'phone', 'status').join(':');
    case 'waitcall':
      return joined('phone', 'ts').join(':');
    case null:
      return null;
  }
}

function kindOf(fields: Fields): 'inbound' | 'status' | 'waitcall' | null {
  if (typeof fields.mes === 'string' && textOf(fields.phone)) return 'inbound';
  if (textOf(fields.waitcall) && textOf(fields.phone)) return 'waitcall';
  const isStatus = textOf(fields.id) && textOf(fields.phone) && textOf(fields.status);
  return isStatus ? 'status' : null;
}

export function parseCallback(request: RawRequest, config: SmscConfig): ParsedCallback {
  const { fields } = read(request);
  const kind = kindOf(fields);
  const events =
    kind === 'status'
      ? statusEvents(fields, request, config)
      : kind === 'inbound'
        ? [inboundEvent(fields, request)]
        : [];
  return { events, reply: { status: 200, body: 'OK' } };
}

function statusEvents(fields: Fields, request: RawRequest, config: SmscConfig): NormalizedEvent[] {
  const code = wholeNumber(fields.status);
  const news = code === null ? null : statusNews(code, fields, config);
  if (news === null) return [];
  const parts = ['id', 'phone', 'status', 'err', 'ts'].map((name) => textOf(fields[name]));
  const occurredAt = instantOf(fields.ts) ?? request.receivedAt;
  return [
    { ...news, dedupeKey: `smsc:${parts.join(':')}`, occurredAt, raw: withoutPerson(fields) },
  ];
}

/** The same words in an answer to a status query and in a callback. */
export function statusNews(code: number, fields: Fields, config: SmscConfig): StatusNews | null {
  const status = deliveryStatus(code);
  if (status === null) return null;
  const cost = parsePrice(fields.cost, currencyOf(config));
  const id = textOf(fields.id);
  return {
    type: 'status',
    clientRef: id,
    providerMessageId: id,
    address: addressOf(fields.phone),
    status,
    ...(status === 'failed' ? { error: failure(code, wholeNumber(fields.err) ?? 0) } : {}),
    ...(cost === null ? {} : { cost }),
  };
}

function inboundEvent(fields: Fields, request: RawRequest): NormalizedEvent {
  const text = String(fields.mes);
  const to = textOf(fields.to);
  const marks = ['id', 'phone', 'to', 'time', 'ts'].map((name) => textOf(fields[name]));
  const digest = createHash('sha256')
    .update(JSON.stringify([...marks, text]))
    .digest('hex');
  return {
    type: 'inbound',
    dedupeKey: `smsc:in:${digest}`,
    occurredAt: instantOf(fields.ts) ?? request.receivedAt,
    from: addressOf(fields.phone),
    ...(to === '' ? {} : { to: addressOf(to) }),
    text,
    raw: withoutPerson(fields),
  };
}

function addressOf(phone: unknown): string {
  const digits = digitsOf(phone);
  return digits === '' ? '' : `+${digits}`;
}

const epochSecondsMax = 4_102_444_800;

function instantOf(epochSeconds: unknown): Temporal.Instant | null {
  const seconds = wholeNumber(epochSeconds);
  if (seconds === null || seconds <= 0 || seconds > epochSecondsMax) return null;
  return Temporal.Instant.fromEpochMilliseconds(seconds * 1000);
}

const kept: readonly string[] = [
  'id',
  'status',
  'err',
  'cost',
  'ts',
  'time',
  'cnt',
  'type',
  'flag',
];

/** What may lie in the record of a delivery: nothing that names a person or repeats a text. */
export function withoutPerson(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => kept.includes(name)));
}
