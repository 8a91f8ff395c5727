import { type Static, Type } from 'typebox';
import type { AdapterConfig } from '../channel.ts';
import { smsOptions } from '../sms-wording.ts';

const visible = (maxLength: number) => ({ minLength: 1, maxLength, pattern: '^[\\x21-\\x7e]+$' });
const callbackSecret = Type.Optional(
  Type.String({
    ...visible(200),
    'x-secret': true,
    description: 'Signs what SMSC.ru calls back; without it callbacks are refused.',
  }),
);

export const smscCredentials = Type.Union([
  Type.Object(
    { apiKey: Type.String({ ...visible(200), 'x-secret': true }), callbackSecret },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      login: Type.String(visible(100)),
      password: Type.String({ minLength: 1, maxLength: 200, 'x-secret': true }),
      callbackSecret,
    },
    { additionalProperties: false },
  ),
]);

export const batchDefault = 100;

export const smscOptions = Type.Object(
  {
    baseUrl: Type.Optional(
      Type.String({ pattern: '^https?://', maxLength: 500, examples: ['https://smsc.ru'] }),
    ),
    sender: Type.Optional(
      Type.String({
        pattern: '^([A-Za-z0-9 ._-]{1,11}|\\+?[0-9]{1,15})$',
        description: 'A sender name registered at SMSC.ru, or a number.',
      }),
    ),
    currency: Type.Optional(
      Type.String({ pattern: '^[A-Z]{3}$', description: 'The currency of the account; RUB.' }),
    ),
    ...smsOptions,
    batch: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 500,
        description: `Messages in one call; ${batchDefault}.`,
      }),
    ),
  },
  { additionalProperties: false },
);

export interface SmscConfig extends AdapterConfig {
  credentials: Static<typeof smscCredentials>;
  options: Static<typeof smscOptions>;
}

export function currencyOf(config: SmscConfig): string {
  return config.options.currency ?? 'RUB';
}
