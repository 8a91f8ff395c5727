import { type Fields, isFields, textOf, wholeNumber } from '../call.ts';
import type {
  AdapterContext,
  AdapterError,
  Money,
  OutboundMessage,
  PreparedMessage,
  SendOutcome,
} from '../channel.ts';
import { failedOutcome, unreadableError } from '../failure.ts';
import { parsePrice } from '../price.ts';
import { wordSms } from '../sms-wording.ts';
import { callSmsc, digitsOf } from './call.ts';
import { withoutPerson } from './callback.ts';
import { refusal } from './codes.ts';
import { currencyOf, type SmscConfig } from './config.ts';

export const charactersMax = 1000;

interface Wire {
  phone: string;
  text: string;
}

export function prepare(message: OutboundMessage, config: SmscConfig): PreparedMessage {
  const { warnings, ...worded } = wordSms(message.content.text, message.to, config.options);
  const { text, encoding, segments } = worded;
  const wire: Wire = { phone: message.to, text };
  return {
    ...message,
    encoding,
    segments,
    warnings: [...(text.length > charactersMax ? ['too-long'] : []), ...warnings],
    batchKey: batchKeyOf(wire, message.expiresAt),
    wire,
  };
}

const phoneForm = /^\+[1-9]\d{9,14}$/;

/**
 * One call has one life for all its messages, so only those that end about together share it. What
 * SMSC.ru would refuse, or read as something else, travels alone and spoils no batch.
 */
function batchKeyOf({ phone, text }: Wire, expiresAt: Temporal.Instant): string | null {
  if (!phoneForm.test(phone) || text === '' || text.length > charactersMax) return null;
  // In a batch a backslash and n are a line break, and nothing escapes them.
  if (text.includes('\\n')) return null;
  return String(Math.floor(expiresAt.epochMilliseconds / 3_600_000));
}

export async function quote(
  messages: readonly PreparedMessage[],
  config: SmscConfig,
  context: AdapterContext,
): Promise<Money | null> {
  const { sender } = config.options;
  const question = { ...contentOf(messages), cost: '1', ...(sender ? { sender } : {}) };
  const answer = await callSmsc('send.php', question, config, context);
  return 'error' in answer ? null : parsePrice(answer.fields.cost, currencyOf(config));
}

export async function send(
  batch: readonly PreparedMessage[],
  config: SmscConfig,
  context: AdapterContext,
): Promise<SendOutcome[]> {
  const [first] = batch;
  if (!first) return [];
  if (batch.some(({ clientRef }) => clientRef !== first.clientRef)) {
    throw new Error('The messages of one call to SMSC.ru carry one client reference.');
  }
  const answer = await callSmsc(
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
