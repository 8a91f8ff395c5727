import { type Static, Type } from 'typebox';
import type { AdapterConfig } from '../channel.ts';

export const sendgridCredentials = Type.Object(
  {
    apiKey: Type.String({
      minLength: 1,
      maxLength: 200,
      pattern: '^[\\x21-\\x7e]+$',
      'x-secret': true,
    }),
    webhookPublicKey: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 500,
        pattern: '^[A-Za-z0-9+/=]+$',
        description: 'The key of the signed Event Webhook; without it callbacks are refused.',
      }),
    ),
  },
  { additionalProperties: false },
);

export const sendgridOptions = Type.Object(
  {
    baseUrl: Type.Optional(
      Type.String({
        pattern: '^https?://',
        maxLength: 500,
        examples: ['https://api.eu.sendgrid.com'],
      }),
    ),
    sender: Type.String({
      maxLength: 300,
      pattern: '^([^<>\\r\\n]*<[^<>@\\s]+@[^<>@\\s]+>|[^<>@\\s]+@[^<>@\\s]+)$',
      description: 'The verified sender, with or without a name.',
      examples: ['Clinic <clinic@example.org>'],
    }),
    replyTo: Type.Optional(Type.String({ maxLength: 300, pattern: '^[^<>@\\s]+@[^<>@\\s]+$' })),
  },
  { additionalProperties: false },
);

export interface SendgridConfig extends AdapterConfig {
  credentials: Static<typeof sendgridCredentials>;
  options: Static<typeof sendgridOptions>;
}

/** `Clinic <a@b>` or `a@b`. */
export function senderOf(config: SendgridConfig): { email: string; name?: string } {
  const [, name, email] = /^([^<]*)<([^>]+)>$/.exec(config.options.sender) ?? [];
  if (email === undefined) return { email: config.options.sender };
  const plain = (name ?? '').trim().replace(/^"(.*)"$/, '$1');
  return plain === '' ? { email } : { email, name: plain };
}
