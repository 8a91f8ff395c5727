import { type Static, Type } from 'typebox';
import { withClinic } from '../../database/with-clinic.ts';
import { notFound } from '../../errors.ts';
import { changeClinic } from '../../history/change-clinic.ts';
import { type Clinic, clinicNow, weekdays } from '../../history/clinic.ts';
import { findClinic } from '../../history/clinic-store.ts';
import { defaultSendWindow } from '../../history/send-window.ts';
import type { App } from '../app-types.ts';
import { callerOf } from '../authenticate.ts';
import type { AppDeps } from '../deps.ts';
import { Hours, orNull, overrideFields, overrideWishes } from '../policy-words.ts';

const closed = { additionalProperties: false } as const;

const OpeningHours = Type.Partial(
  Type.Object(Object.fromEntries(weekdays.map((day) => [day, Type.Array(Hours, { maxItems: 6 })]))),
  { ...closed, description: 'When the clinic is open, by weekday.' },
);

export const clinicFields = {
  name: Type.String({
    minLength: 1,
    maxLength: 200,
    pattern: '\\S',
    description: 'As patients know it.',
    examples: ['Clínica Sonrisa'],
  }),
  timeZone: Type.String({
    minLength: 1,
    maxLength: 64,
    description: 'IANA name: where its days begin.',
    examples: ['America/Bogota'],
  }),
  country: Type.String({
    pattern: '^[A-Z]{2}$',
    description: 'ISO 3166-1: whose law holds, and how phones are read.',
    examples: ['CO'],
  }),
  language: Type.String({
    pattern: '^[a-zA-Z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}$',
    description: 'BCP 47: for patients whose own language is not known.',
    examples: ['es'],
  }),
  currency: Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217.', examples: ['COP'] }),
};

const policyMeaning =
  'Where the clinic departs from what its country asks. More may always be asked; less only with `reason` and `by`. `GET /v1/clinic/policy` shows what comes of it.';
const policyFields = {
  careNeedsConsent: Type.Boolean({
    description: 'Recalls only with consent, also where the country does not ask for it.',
  }),
  respectHolidays: Type.Boolean({
    description:
      "Care and marketing stay away from the public holidays of the clinic's country and go on the next day that is none. What is about an appointment ahead goes all the same, as does a `calendar` rule on its own day.",
    examples: [true],
  }),
  holidayRegion: Type.String({
    minLength: 1,
    maxLength: 20,
    description:
      'A state or region of the country that has holidays of its own, as the package date-holidays names it.',
    examples: ['SP'],
  }),
};

export const policySetting = Type.Partial(Type.Object({ ...policyFields, ...overrideFields }), {
  ...closed,
  description: policyMeaning,
});

const capFields = {
  perDay: Type.Integer({
    minimum: 1,
    maximum: 100,
    description: 'Contacts a day.',
    examples: [1],
  }),
  perWeek: Type.Integer({
    minimum: 1,
    maximum: 100,
    description: 'Contacts in seven days.',
    examples: [3],
  }),
};

const householdCaps = Type.Object(capFields, {
  ...closed,
  description:
    'How often the members of one household may be contacted, all together; with `householdMerging` as often as one person, unless told.',
});

const settingFields = {
  sendWindow: Type.Object(Hours.properties, {
    ...closed,
    description: "When messages may leave, in the patient's zone; `00:00` to `24:00` is all day.",
    examples: [{ start: '09:00', end: '21:00' }],
  }),
  caps: Type.Object(
    {
      ...capFields,
      household: Type.Optional(householdCaps),
    },
    { ...closed, description: 'How often one person may be contacted about care and marketing.' },
  ),
  householdMerging: Type.Boolean({
    description: 'Whether one message names all of a household who are due that day.',
  }),
  messagesPerDay: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    description: 'The most messages a day.',
    examples: [10_000],
  }),
  phone: Type.String({
    minLength: 1,
    maxLength: 40,
    description: 'For texts.',
    examples: ['+57 601 555 0101'],
  }),
  address: Type.String({
    minLength: 1,
    maxLength: 300,
    description: 'For texts.',
    examples: ['Carrera 7 # 12-34'],
  }),
  brandColor: Type.String({
    pattern: '^#[0-9A-Fa-f]{6}$',
    description: 'Of the buttons on the pages that patients open.',
    examples: ['#0b57a4'],
  }),
  websites: Type.Array(
    Type.String({
      pattern: '^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z0-9-]{2,63}$',
      maxLength: 253,
      description: 'A host, without www.',
      examples: ['clinica.example'],
    }),
    {
      maxItems: 20,
      description: 'Pages of the clinic: a template that links elsewhere is warned of.',
    },
  ),
  openingHours: OpeningHours,
  policy: policySetting,
};

type SettingName = keyof typeof settingFields;

const clearable = <Name extends SettingName>(name: Name) => orNull(settingFields[name]);

export const ClinicPatch = Type.Object(
  {
    name: Type.Optional(clinicFields.name),
    timeZone: Type.Optional(clinicFields.timeZone),
    country: Type.Optional(clinicFields.country),
    language: Type.Optional(clinicFields.language),
    currency: Type.Optional(clinicFields.currency),
    sendWindow: orNull(Type.Partial(settingFields.sendWindow, closed)),
    caps: orNull(
      Type.Object(
        {
          perDay: Type.Optional(capFields.perDay),
          perWeek: Type.Optional(capFields.perWeek),
          household: orNull(householdCaps),
        },
        closed,
      ),
    ),
    householdMerging: clearable('householdMerging'),
    messagesPerDay: clearable('messagesPerDay'),
    phone: clearable('phone'),
    address: clearable('address'),
    brandColor: clearable('brandColor'),
    websites: clearable('websites'),
    openingHours: clearable('openingHours'),
    policy: orNull(
      Type.Object(
        {
          careNeedsConsent: orNull(policyFields.careNeedsConsent),
          respectHolidays: orNull(policyFields.respectHolidays),
          holidayRegion: orNull(policyFields.holidayRegion),
          ...overrideWishes,
        },
        { ...closed, description: policyMeaning },
      ),
    ),
  },
  { ...closed, title: 'ClinicPatch', description: 'What is absent stays as it is.' },
);

export const ClinicOut = Type.Object(
  {
    id: Type.String({ description: 'Our id.', examples: ['01931f5e-7c00-7000-8000-000000000001'] }),
    ...clinicFields,
    mode: Type.Enum(['live', 'test'], {
      description: 'A test clinic reaches no provider and has its own clock.',
    }),
    now: Type.Optional(Type.String({ description: "A test clinic's present instant." })),
    sendWindow: settingFields.sendWindow,
    caps: settingFields.caps,
    householdMerging: settingFields.householdMerging,
    messagesPerDay: settingFields.messagesPerDay,
    phone: Type.Optional(settingFields.phone),
    address: Type.Optional(settingFields.address),
    brandColor: Type.Optional(settingFields.brandColor),
    websites: Type.Optional(settingFields.websites),
    openingHours: Type.Optional(OpeningHours),
    policy: Type.Optional(settingFields.policy),
    createdAt: Type.String({
      description: 'When it was made.',
      examples: ['2026-03-28T15:00:00Z'],
    }),
  },
  { title: 'Clinic', description: 'A clinic and its settings.' },
);

export function toClinicOut(clinic: Clinic): Static<typeof ClinicOut> {
  const { id, name, timeZone, country, language, currency, mode, testNow, settings } = clinic;
  return {
    ...{ id, name, timeZone, country, language, currency, mode },
    ...(testNow !== null && { now: testNow.toString() }),
    ...settings,
    sendWindow: settings.sendWindow ?? defaultSendWindow,
    createdAt: clinic.createdAt.toString(),
  };
}

export const ownClinicRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/clinic',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getClinic',
        tags: ['Clinic'],
        summary: 'Show the clinic that the key belongs to',
        response: { 200: ClinicOut },
      },
    },
    async (request) => {
      const { clinicId } = callerOf(request);
      const clinic = await withClinic(deps.db, clinicId, (trx) => findClinic(trx, clinicId));
      if (clinic === null) throw notFound('clinic');
      return toClinicOut(clinic);
    },
  );

  app.patch(
    '/v1/clinic',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'changeClinic',
        tags: ['Clinic'],
        summary: 'Change the settings of the clinic',
        body: ClinicPatch,
        response: { 200: ClinicOut },
      },
    },
    async (request) => {
      const { clinicId, keyId, clinic } = callerOf(request);
      const now = clinicNow(clinic, deps.clock);
      const changed = await withClinic(deps.db, clinicId, (trx) =>
        changeClinic(trx, clinicId, request.body, `key:${keyId}`, now, deps.dataRegion),
      );
      deps.callers.forget(clinicId);
      if (changed === null) throw notFound('clinic');
      return toClinicOut(changed);
    },
  );
};
