import { byLanguage, parametersOf } from '../approved-template.ts';
import { type Fields, textOf, wholeNumber } from '../call.ts';
import type {
  AcceptedOutcome,
  AdapterContext,
  AdapterError,
  OutboundMessage,
  PreparedMessage,
  SendOutcome,
} from '../channel.ts';
import { failedOutcome, unreadableError } from '../failure.ts';
import { parsePrice } from '../price.ts';
import { smsLength } from '../sms-length.ts';
import { transformText } from '../sms-transform.ts';
import { callTwilio } from './call.ts';
import { failureOf, statusOf } from './codes.ts';
import type { TwilioConfig } from './config.ts';

export const charactersMax = 1600;

export type TwilioChannel = 'sms' | 'whatsapp';

/** What is sent beside sender and recipient; null: nothing that WhatsApp would take. */
type Wire = Record<string, string> | null;

export function prepareSms(message: OutboundMessage, { options }: TwilioConfig): PreparedMessage {
  const text = smsText(message.content.text, options);
  const { encoding, segments } = smsLength(text);
  const wire: Wire = { Body: text };
  return { ...message, encoding, segments, warnings: lengthOf(text), batchKey: null, wire };
}

/** The words of an SMS as they leave, and as Twilio remembers them. */
export function smsText(text: string, { textTransform = 'none' }: TwilioConfig['options']): string {
  return transformText(text.replace(/\r\n?/g, '\n'), textTransform);
}

export function prepareWhatsapp(message: OutboundMessage, config: TwilioConfig): PreparedMessage {
  const { text } = message.content;
  const { wire, warnings }: { wire: Wire; warnings: string[] } = message.mayWriteFreely
    ? { wire: { Body: text }, warnings: lengthOf(text) }
    : approved(message, config);
  return { ...message, segments: 1, warnings, batchKey: null, wire };
}

function lengthOf(text: string): string[] {
  return text.length > charactersMax ? ['too-long'] : [];
}

function approved(
  { template }: OutboundMessage,
  { options }: TwilioConfig,
): { wire: Wire; warnings: string[] } {
  const theirs = template && options.templates?.[template.name];
  const contentSid = theirs && byLanguage(theirs.contentSid, template.language);
  if (!contentSid) return { wire: null, warnings: ['no-approved-template'] };
  const parameters = parametersOf(template, theirs.parameters);
  if (parameters === null) return { wire: null, warnings: ['approved-template-unfit'] };
  const variables = Object.fromEntries(
    parameters.map(({ name, value }, index) => [name ?? String(index + 1), value]),
  );
  const filled = parameters.length === 0 ? {} : { ContentVariables: JSON.stringify(variables) };
  return { wire: { ContentSid: contentSid, ...filled }, warnings: [] };
}

export async function send(
  channel: TwilioChannel,
  batch: readonly PreparedMessage[],
  config: TwilioConfig,
  context: AdapterContext,
): Promise<SendOutcome[]> {
  const [message, ...others] = batch;
  if (!message) return [];
  if (others.length > 0) throw new Error('A call to Twilio takes one message.');
  const wire = message.wire as Wire;
  if (wire === null) return [failedOutcome(message.id, notApproved, null)];
  const form = {
    ...endsOf(channel, message.to, config),
    ...wire,
    StatusCallback: `${config.callbackUrl}?ref=${encodeURIComponent(message.clientRef)}`,
    ...(channel === 'sms' ? { ValidityPeriod: lifeOf(message, context) } : {}),
  };
  const answer = await callTwilio('/Messages.json', form, config, context);
  if ('error' in answer) return [failedOutcome(message.id, answer.error, answer.raw)];
  const taken = acceptedOf(message.id, answer.fields);
  if (taken) return [taken];
  return [
    failedOutcome(message.id, unreadableError(answer.answered), { status: answer.answered.status }),
  ];
}

const notApproved: AdapterError = {
  class: 'message_permanent',
  scope: 'message',
  providerCode: 'no-approved-template',
  httpStatus: null,
  message: 'The recipient has not written for 24 hours, and no approved content fits.',
};

function endsOf(
  channel: TwilioChannel,
  to: string,
  { options: { sender } }: TwilioConfig,
): Record<string, string> {
  const To = twilioAddress(channel, to);
  return sender.startsWith('MG')
    ? { To, MessagingServiceSid: sender }
    : { To, From: twilioAddress(channel, sender) };
}

/** Twilio marks numbers that are meant in WhatsApp. */
export function twilioAddress(channel: TwilioChannel, number: string): string {
  return channel === 'whatsapp' ? `whatsapp:${number}` : number;
}

const secondsMax = 36_000;

function lifeOf({ expiresAt }: PreparedMessage, context: AdapterContext): string {
  const left = Math.floor((expiresAt.epochMilliseconds - context.now().epochMilliseconds) / 1000);
  return String(Math.min(Math.max(left, 1), secondsMax));
}

/** A message as Twilio shows it, in the answer to a call and if asked later; null: it shows none. */
export function acceptedOf(id: string, fields: Fields): AcceptedOutcome | null {
  const sid = textOf(fields.sid);
  const name = textOf(fields.status);
  const status = statusOf(name);
  if (sid === '' || status === null) return null;
  const segments = wholeNumber(fields.num_segments) ?? 0;
  const cost = priceOf(fields);
  const code = wholeNumber(fields.error_code) ?? 0;
  return {
    id,
    kind: 'accepted',
    providerMessageId: sid,
    // A messaging service has no parts until it has chosen a sender.
    ...(segments > 0 ? { segments } : {}),
    ...(cost === null ? {} : { cost }),
    status,
    ...(status === 'failed' ? { error: failureOf(code) } : {}),
    raw: { sid, status: name, ...(code > 0 ? { code } : {}) },
  };
}

/** What Twilio takes, it writes as less than nothing. */
function priceOf({ price, price_unit: unit }: Fields) {
  const currency = textOf(unit);
  if (!/^[A-Z]{3}$/.test(currency)) return null;
  const cost = parsePrice(price, currency);
  return cost && { ...cost, micros: Math.abs(cost.micros) };
}
