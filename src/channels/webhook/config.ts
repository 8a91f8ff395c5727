import { type Static, Type } from 'typebox';
import { webhookSecretPattern } from '../../signature.ts';
import type { AdapterConfig } from '../channel.ts';

export const webhookCredentials = Type.Object(
  {
    secret: Type.String({
      pattern: webhookSecretPattern,
      maxLength: 100,
      'x-secret': true,
      description: 'Signs both ways by Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.',
    }),
  },
  { additionalProperties: false },
);

export const webhookOptions = Type.Object(
  {
    url: Type.String({
      pattern: '^https?://',
      maxLength: 2_000,
      description: 'Where messages are posted.',
      examples: ['https://push.example.org/retorno'],
    }),
  },
  { additionalProperties: false },
);

export interface WebhookConfig extends AdapterConfig {
  credentials: Static<typeof webhookCredentials>;
  options: Static<typeof webhookOptions>;
}
