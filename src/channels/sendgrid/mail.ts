import type { Mail, Personalization } from '@sendgrid/mail';
import type { OutboundMessage, PreparedMessage } from '../channel.ts';
import { parseSender, subjectOf, unsubscribeHeaders } from '../mail.ts';
import type { SendgridConfig } from './config.ts';

/**
 * A call of many mails shares one body, so each message's own text travels as a substitution for a body
 * that is nothing but the tag. A message that is alone, or too long for that, is sent as it is.
 */

const substitutionBytesMax = 10_000;
/** Nobody writes this in a letter; one who does travels alone. */
const tagOpen = '%retorno:';
const tagClose = '%';

interface Wire {
  subject: string;
  text: string;
  html?: string;
}

export function prepare(message: OutboundMessage): PreparedMessage {
  const { subject, text, html } = message.content;
  const wire: Wire = {
    subject: subjectOf(message.content),
    text,
    // A part without content would be refused.
    ...(html ? { html } : {}),
  };
  return {
    ...message,
    segments: 1,
    warnings: subject === undefined ? ['no-subject'] : [],
    batchKey: batchKeyOf(message.to, wire),
    wire,
  };
}

const plainAddress = /^[^\s@<>()[\],:;"\\]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}$/i;

/** SendGrid refuses a whole call for one wrong address, so a doubtful one travels alone. */
function batchKeyOf(to: string, wire: Wire): string | null {
  if (!plainAddress.test(to) || wire.text === '' || !isSubstitutable(wire)) return null;
  return wire.html === undefined ? 'text' : 'html';
}

function isSubstitutable({ subject, text, html = '' }: Wire): boolean {
  const tags = 4 * (tagOpen.length + tagClose.length + 4);
  const bytes = Buffer.byteLength(text) + Buffer.byteLength(html) + tags;
  return bytes <= substitutionBytesMax && ![subject, text, html].some((it) => it.includes(tagOpen));
}

export function mailOf(batch: readonly PreparedMessage[], config: SendgridConfig): Mail {
  const wires = batch.map(({ wire }) => wire as Wire);
  const isShared = batch.length > 1;
  const first = wires[0];
  const hasHtml = first?.html !== undefined;
  const tag = (name: string) => tagOpen + name + tagClose;
  const { replyTo } = config.options;
  return {
    from: parseSender(config.options.sender),
    ...(replyTo === undefined ? {} : { replyTo }),
    personalizations: batch.map((message, index) =>
      personalization(message, wires[index], isShared),
    ),
    text: isShared ? tag('text') : (first?.text ?? ''),
    ...(hasHtml ? { html: isShared ? tag('html') : (first.html ?? '') } : {}),
    substitutionWrappers: [tagOpen, tagClose],
    // Ours is the one opt-out: SendGrid’s own would add a second link with a second memory.
    trackingSettings: { subscriptionTracking: { enable: false } },
  };
}

function personalization(
  message: PreparedMessage,
  wire: Wire | undefined,
  isShared: boolean,
): Personalization {
  const { subject = '-', text = '', html } = wire ?? {};
  return {
    to: { email: message.to },
    subject,
    // Open to SendGrid’s staff by its own words: our reference and nothing of the patient.
    customArgs: { mid: message.clientRef },
    ...(message.unsubscribeUrl === undefined
      ? {}
      : { headers: unsubscribeHeaders(message.unsubscribeUrl) }),
    ...(isShared ? { substitutions: { text, ...(html === undefined ? {} : { html }) } } : {}),
  };
}
