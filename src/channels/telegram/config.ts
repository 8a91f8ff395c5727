import { type Static, Type } from 'typebox';
import type { AdapterConfig } from '../channel.ts';

export const telegramCredentials = Type.Object(
  {
    botToken: Type.String({
      pattern: '^[0-9]{1,20}:[A-Za-z0-9_-]{1,100}$',
      'x-secret': true,
      description: 'What BotFather gave for the clinic’s own bot.',
    }),
    secretToken: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_-]{1,256}$',
        'x-secret': true,
        description: 'The `secret_token` of `setWebhook`; without it callbacks are refused.',
      }),
    ),
  },
  { additionalProperties: false },
);

export const telegramOptions = Type.Object(
  {
    baseUrl: Type.Optional(
      Type.String({
        pattern: '^https?://',
        maxLength: 500,
        examples: ['https://api.telegram.org'],
      }),
    ),
    botName: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_]{5,32}$',
        description: 'The bot’s name without the @, for links by which patients open the chat.',
        examples: ['sonrisa_bot'],
      }),
    ),
  },
  { additionalProperties: false },
);

export interface TelegramConfig extends AdapterConfig {
  credentials: Static<typeof telegramCredentials>;
  options: Static<typeof telegramOptions>;
}
