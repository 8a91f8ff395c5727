import MailComposer from 'nodemailer/lib/mail-composer';
import type { PreparedMessage } from '../channel.ts';
import { parseSender, subjectOf, unsubscribeHeaders } from '../mail.ts';
import type { SmtpConfig } from './config.ts';

/** One mail as it goes over the wire. */
export interface ComposedMail {
  envelope: { from: string; to: string[] };
  /** Without its angle brackets; it carries our reference. */
  messageId: string;
  bytes: Buffer;
}

/** The same message always has the same Message-ID: who has it twice can tell. */
export async function composeMail(
  { to, clientRef, content, unsubscribeUrl }: PreparedMessage,
  { options }: SmtpConfig,
  now: Temporal.Instant,
): Promise<ComposedMail> {
  const from = parseSender(options.sender);
  const messageId = `${clientRef}@${from.email.slice(from.email.lastIndexOf('@') + 1)}`;
  const composer = new MailComposer({
    from: { name: from.name ?? '', address: from.email },
    to: { name: '', address: to },
    ...(options.replyTo !== undefined && { replyTo: options.replyTo }),
    subject: subjectOf(content),
    text: content.text,
    ...(content.html && { html: content.html }),
    messageId: `<${messageId}>`,
    date: new Date(now.epochMilliseconds),
    headers: unsubscribeHeaders(unsubscribeUrl),
    // A text is a text, whatever it looks like.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const bytes = await composer.compile().build();
  return { envelope: { from: from.email, to: [to] }, messageId, bytes };
}
