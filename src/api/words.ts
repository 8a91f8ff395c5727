import { type TProperties, Type } from 'typebox';
import { channelNames, purposes } from '../channels/channel.ts';

/** Pieces that the schemas of many resources share. */

export const closed = { additionalProperties: false } as const;

/** Query and body schemas take no field they do not name. */
export const strict = <Properties extends TProperties>(
  properties: Properties,
  about: object = {},
) => Type.Object(properties, { ...closed, ...about });

export const Purpose = Type.Enum([...purposes], {
  description: 'Decides which consent and which hours it needs.',
  examples: ['care'],
});

export const ChannelName = Type.Enum([...channelNames], {
  description: 'The way to the patient.',
  examples: ['sms'],
});

export const Id = Type.String({
  description: 'Our id.',
  examples: ['01931f5e-7c00-7000-8000-000000000001'],
});
export const HostIdText = Type.String({ description: "The host's id.", examples: ['1042'] });
export const Instant = Type.String({ description: 'UTC.', examples: ['2026-03-28T15:00:00Z'] });
export const Day = Type.String({
  pattern: '^\\d{4}-\\d{2}-\\d{2}$',
  description: "A local day of the clinic's, inclusive.",
  examples: ['2026-03-28'],
});

export const nullable = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);

export const Money = Type.Object({
  amount: Type.String({ description: 'A decimal.', examples: ['2.50'] }),
  currency: Type.String({ description: 'ISO 4217.', examples: ['RUB'] }),
});

export const done = (description: string) => Type.Null({ description });
