import { createSecureContext } from 'node:tls';
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
    requireTls: Type.Optional(
      Type.Boolean({
        description:
          'Demands STARTTLS of a server at a private address too; at a public one it always is demanded.',
      }),
    ),
    ca: Type.Optional(
      Type.String({
        maxLength: 20_000,
        pattern: '^-----BEGIN CERTIFICATE-----\\n',
        description:
          'The certificate (PEM) of the authority that signed the server’s, where it is none that all trust.',
      }),
    ),
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
  /** STARTTLS also at a private address. */
  mustEncrypt: boolean;
  /** PEM; null for the authorities that all trust. */
  ca: string | null;
}

const securePort = 465;
const submissionPort = 587;

/** @returns null for what names no server, or an authority that cannot be read. */
export function accountOf({ credentials, options }: SmtpConfig): Account | null {
  const url = URL.parse(credentials.url);
  if (url === null || url.hostname === '') return null;
  const isSecure = url.protocol === 'smtps:';
  const login = loginOf(url);
  const { ca = null, requireTls: mustEncrypt = false } = options;
  if (login === undefined || !isReadable(ca)) return null;
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isSecure ? securePort : submissionPort) : Number(url.port),
    isSecure,
    ...{ login, mustEncrypt, ca },
  };
}

function isReadable(ca: string | null): boolean {
  if (ca === null) return true;
  try {
    createSecureContext({ ca });
    return true;
  } catch {
    return false;
  }
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
