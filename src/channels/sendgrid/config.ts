import { type Static, Type } from 'typebox';
import type { AdapterConfig } from '../channel.ts';
import { mailAddressPattern, senderPattern } from '../mail.ts';

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
      pattern: senderPattern,
      description: 'The verified sender, with or without a name.',
      examples: ['Clinic <clinic@example.org>'],
    }),
    replyTo: Type.Optional(Type.String({ maxLength: 300, pattern: mailAddressPattern })),
  },
  { additionalProperties: false },
);

export interface SendgridConfig extends AdapterConfig {
  credentials: Static<typeof sendgridCredentials>;
  options: Static<typeof sendgridOptions>;
}
