import { type Static, Type } from 'typebox';
import { actionKinds } from '../action.ts';
import { templateParameters } from '../approved-template.ts';
import type { AdapterConfig } from '../channel.ts';

const visible = (maxLength: number) => ({ minLength: 1, maxLength, pattern: '^[\\x21-\\x7e]+$' });

export const whatsappCredentials = Type.Object(
  {
    accessToken: Type.String({
      ...visible(1000),
      'x-secret': true,
      description: 'Of a system user, so that it does not expire.',
    }),
    phoneNumberId: Type.String({
      pattern: '^[0-9]{1,30}$',
      description: 'The id of the sending number, not the number.',
    }),
    appSecret: Type.Optional(
      Type.String({
        ...visible(200),
        'x-secret': true,
        description: 'Signs what Meta calls back; without it callbacks are refused.',
      }),
    ),
    verifyToken: Type.Optional(
      Type.String({
        ...visible(200),
        'x-secret': true,
        description: 'The word that Meta repeats when it is told our address.',
      }),
    ),
  },
  { additionalProperties: false },
);

const approvedTemplate = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9_]{1,512}$', description: 'As Meta approved it.' }),
    languages: Type.Optional(
      Type.Record(
        Type.String({ maxLength: 35 }),
        Type.String({ pattern: '^[A-Za-z]{2,3}(_[A-Za-z]{2,4})?$' }),
        {
          maxProperties: 50,
          description: 'Meta’s language code by ours; the same with an underscore if absent.',
          examples: [{ pt: 'pt_BR', es: 'es_MX' }],
        },
      ),
    ),
    parameters: Type.Optional(templateParameters),
    buttons: Type.Optional(
      Type.Array(Type.Enum(actionKinds), {
        maxItems: 10,
        description: 'What its quick reply buttons mean, in their order.',
      }),
    ),
  },
  { additionalProperties: false },
);

export type ApprovedTemplate = Static<typeof approvedTemplate>;

export const whatsappOptions = Type.Object(
  {
    baseUrl: Type.Optional(
      Type.String({
        pattern: '^https?://',
        maxLength: 500,
        examples: ['https://graph.facebook.com'],
      }),
    ),
    apiVersion: Type.Optional(
      Type.String({ pattern: '^v[0-9]{1,3}\\.[0-9]$', description: 'v23.0 unless told.' }),
    ),
    templates: Type.Optional(
      Type.Record(Type.String({ maxLength: 100 }), approvedTemplate, {
        maxProperties: 250,
        description: 'By the name of a template of ours: what goes outside the 24 hours.',
      }),
    ),
  },
  { additionalProperties: false },
);

export interface WhatsappConfig extends AdapterConfig {
  credentials: Static<typeof whatsappCredentials>;
  options: Static<typeof whatsappOptions>;
}
