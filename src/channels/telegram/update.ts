import { createHash } from 'node:crypto';
import { equalBytes } from '../../secrets.ts';
import { readActionId } from '../action.ts';
import { type Fields, isFields, readJson, textOf, wholeNumber } from '../call.ts';
import type {
  CallbackVerdict,
  InboundNews,
  NormalizedEvent,
  ParsedCallback,
  RawRequest,
  SuppressionNews,
} from '../channel.ts';
import type { TelegramConfig } from './config.ts';

/**
 * What Telegram tells the bot: one update a call, known by its number. A secret in a header proves
 * whence it comes. What is said in groups is no answer of a patient.
 */

export function verifyCallback(
  request: RawRequest,
  { credentials }: TelegramConfig,
): CallbackVerdict {
  const { secretToken } = credentials;
  if (secretToken === undefined) return { ok: false, reason: 'not_configured' };
  const given = request.headers['x-telegram-bot-api-secret-token'];
  if (!given) return { ok: false, reason: 'missing' };
  const isRight = equalBytes(digest(given), digest(secretToken));
  return isRight ? { ok: true } : { ok: false, reason: 'bad' };
}

/** Of equal length whatever was given. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

export function parseCallback(request: RawRequest): ParsedCallback {
  const json = readJson(request.rawBody);
  const update = isFields(json) ? json : {};
  const number = wholeNumber(update.update_id);
  const news = number === null ? null : newsIn(update);
  const events = news === null ? [] : eventsOf(news, `telegram:${number}`, request);
  return { events, reply: replyTo(update) };
}

/** A tap also proves that its message came, of which Telegram tells nothing else. */
function eventsOf(
  { at, ...news }: News,
  dedupeKey: string,
  request: RawRequest,
): NormalizedEvent[] {
  const base = { occurredAt: at ?? request.receivedAt, raw: { update: dedupeKey } };
  const told: NormalizedEvent = { ...base, ...news, dedupeKey };
  const id = news.type === 'inbound' ? news.action?.id : undefined;
  const clientRef = id === undefined ? null : readActionId(id)?.messageId;
  if (!clientRef || news.type !== 'inbound') return [told];
  const read = { type: 'status', status: 'read', clientRef, address: news.from } as const;
  return [told, { ...base, ...read, dedupeKey: `${dedupeKey}:read` }];
}

type News = (InboundNews | SuppressionNews) & { at: Temporal.Instant | null };

function newsIn({ message, callback_query: tap, my_chat_member: member }: Fields): News | null {
  if (isFields(message)) return said(message);
  if (isFields(tap)) return tapped(tap);
  return isFields(member) ? blocked(member) : null;
}

function said(message: Fields): News | null {
  const from = chatOf(message);
  if (from === null) return null;
  const answered = isFields(message.reply_to_message) ? idOf(message.reply_to_message) : null;
  return {
    type: 'inbound',
    from,
    text: verbatim(message.text) || verbatim(message.caption) || '[message]',
    ...(answered === null ? {} : { inReplyTo: answered }),
    at: instantOf(message.date),
  };
}

/** The message is missing under a button that is too old. */
function tapped({ data, from: user, message }: Fields): News | null {
  const under = isFields(message) ? message : null;
  // A private chat has the number of its user.
  const userId = isFields(user) ? textOf(user.id) : '';
  const from = under === null ? chatAddress(userId) : chatOf(under);
  const id = verbatim(data);
  if (from === null || id === '') return null;
  const answered = under === null ? null : idOf(under);
  const action = { id, ...(answered === null ? {} : { inReplyTo: answered }) };
  const label = under === null ? '' : labelOf(under, id);
  return { type: 'inbound', from, ...(label === '' ? {} : { text: label }), action, at: null };
}

/** What the button that was tapped says. */
function labelOf({ reply_markup: markup }: Fields, id: string): string {
  const rows =
    isFields(markup) && Array.isArray(markup.inline_keyboard) ? markup.inline_keyboard : [];
  const button = rows.flat().find((each) => isFields(each) && each.callback_data === id);
  return isFields(button) ? verbatim(button.text) : '';
}

function blocked(change: Fields): News | null {
  const address = chatOf(change);
  const status = isFields(change.new_chat_member) ? textOf(change.new_chat_member.status) : '';
  if (address === null || status !== 'kicked') return null;
  const at = instantOf(change.date);
  return { type: 'suppression', address, purposes: 'all', reason: 'blocked', at };
}

/** Without an answer the button keeps spinning; this one travels back in the reply and is no call. */
function replyTo({ callback_query: tap }: Fields): NonNullable<ParsedCallback['reply']> {
  const id = isFields(tap) ? textOf(tap.id) : '';
  if (id === '') return { status: 200 };
  return callBack({ method: 'answerCallbackQuery', callback_query_id: id });
}

export function answer(to: string, text: string): NonNullable<ParsedCallback['reply']> {
  return callBack({ method: 'sendMessage', chat_id: to.replace(/^telegram:/, ''), text });
}

function callBack(call: object): NonNullable<ParsedCallback['reply']> {
  const headers = { 'content-type': 'application/json' };
  return { status: 200, headers, body: JSON.stringify(call) };
}

/** The address of a private chat; null for any other. */
function chatOf({ chat }: Fields): string | null {
  if (!isFields(chat) || chat.type !== 'private') return null;
  return chatAddress(textOf(chat.id));
}

function chatAddress(id: string): string | null {
  return /^\d{1,20}$/.test(id) ? `telegram:${id}` : null;
}

/** Telegram numbers the messages of each chat anew. */
export function idOf(message: Fields): string | null {
  const chatId = isFields(message.chat) ? textOf(message.chat.id) : '';
  const messageId = wholeNumber(message.message_id);
  return chatId === '' || messageId === null ? null : `${chatId}/${messageId}`;
}

function verbatim(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

const epochSecondsMax = 4_102_444_800;

function instantOf(epochSeconds: unknown): Temporal.Instant | null {
  const seconds = wholeNumber(epochSeconds);
  if (seconds === null || seconds <= 0 || seconds > epochSecondsMax) return null;
  return Temporal.Instant.fromEpochMilliseconds(seconds * 1000);
}
