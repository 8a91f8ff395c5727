import { type Static, Type } from 'typebox';
import { templateParameters } from '../approved-template.ts';
import type { AdapterConfig } from '../channel.ts';
import { textTransforms } from '../sms-transform.ts';

export const twilioCredentials = Type.Object(
  {
    accountSid: Type.String({ pattern: '^AC[0-9a-f]{32}$' }),
    authToken: Type.String({
      minLength: 1,
      maxLength: 200,
      pattern: '^[\\x21-\\x7e]+$',
      'x-secret': true,
      description: 'Also signs what Twilio calls back.',
    }),
  },
  { additionalProperties: false },
);

const contentTemplate = Type.Object(
  {
    contentSid: Type.Record(
      Type.String({ maxLength: 35 }),
      Type.String({ pattern: '^HX[0-9a-f]{32}$' }),
      { maxProperties: 50, description: 'Of the approved content, by our language.' },
    ),
    parameters: Type.Optional(templateParameters),
  },
  { additionalProperties: false },
);

export const twilioOptions = Type.Object(
  {
    baseUrl: Type.Optional(
      Type.String({ pattern: '^https?://', maxLength: 500, examples: ['https://api.twilio.com'] }),
    ),
    sender: Type.String({
      pattern: '^(MG[0-9a-f]{32}|\\+[1-9][0-9]{4,14}|[A-Za-z0-9 ._-]{1,11})$',
      description: 'A number of the account, a messaging service, or a registered name.',
      examples: ['+15005550006'],
    }),
    textTransform: Type.Optional(
      Type.Enum(textTransforms, {
        description: 'How an SMS is rewritten to cost fewer parts; not at all unless told.',
      }),
    ),
    templates: Type.Optional(
      Type.Record(Type.String({ maxLength: 100 }), contentTemplate, {
        maxProperties: 250,
        description:
          'For WhatsApp, by the name of a template of ours: what goes outside the 24 hours.',
      }),
    ),
  },
  { additionalProperties: false },
);

export interface TwilioConfig extends AdapterConfig {
  credentials: Static<typeof twilioCredentials>;
  options: Static<typeof twilioOptions>;
}
