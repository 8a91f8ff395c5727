import { type Static, Type } from 'typebox';
import type { AdapterConfig } from '../channel.ts';
import { mailAddressPattern, senderPattern } from '../mail.ts';

export const smtpCredentials = Type.Object(
  {
    url: Type.String({
      pattern: '^smtps?://[^\\s/?#]+/?$',
      maxLength: 1_000,
      'x-secret': true,
      description:
        '`smtps://user:password@host:465` with TLS from the start, `smtp://user:password@host:587` with STARTTLS; user and password percent-encoded.',
    }),
  },
  { additionalProperties: false },
);

export const smtpOptions = Type.Object(
  {
    sender: Type.String({
      maxLength: 300,
      pattern: senderPattern,
      description: 'The sender, with or without a name.',
      examples: ['Clinic <clinic@example.org>'],
    }),
    replyTo: Type.Optional(Type.String({ maxLength: 300, pattern: mailAddressPattern })),
  },
  { additionalProperties: false },
);

export interface SmtpConfig extends AdapterConfig {
  credentials: Static<typeof smtpCredentials>;
  options: Static<typeof smtpOptions>;
}

export interface Account {
  host: string;
  port: number;
  /** TLS from the first byte. */
  isSecure: boolean;
  login: { user: string; pass: string } | null;
}

const securePort = 465;
const submissionPort = 587;

/** @returns null for what names no server. */
export function accountOf({ credentials }: SmtpConfig): Account | null {
  const url = URL.parse(credentials.url);
  if (url === null || url.hostname === '') return null;
  const isSecure = url.protocol === 'smtps:';
  const login = loginOf(url);
  if (login === undefined) return null;
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isSecure ? securePort : submissionPort) : Number(url.port),
    isSecure,
    login,
  };
}

/** Undefined where it cannot be read. */
function loginOf({ username, password }: URL): Account['login'] | undefined {
  if (username === '') return null;
  try {
    return { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
  } catch {
    // A percent sign that stands for nothing.
    return undefined;
  }
}
