import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type {
  ConsentChannel,
  ConsentState,
  Purpose,
  StoredTelecom,
  Warning,
} from '../database/tables.ts';
import { isDay } from '../local-time.ts';
import { schemaFaults } from '../schema-faults.ts';
import { formatHostId, type HostId, parseHostId } from './host-id.ts';
import {
  compact,
  type Findings,
  hostId,
  named,
  namedOut,
  type ReadContext,
  type Reading,
  readZone,
  shape,
  text,
  warningsOut,
  zone,
} from './shape.ts';
import { type Reachability, readTelecom, telecomSystems, telecomUses } from './telecom.ts';
import { amountPattern } from './visit.ts';

/** A person, as the host tells about them. */

export const genders = ['male', 'female', 'other', 'unknown'] as const;
export const purposes = [
  'transactional',
  'care',
  'marketing',
] as const satisfies readonly Purpose[];
export const consentChannels = [
  'sms',
  'email',
  'whatsapp',
  'telegram',
  'call',
  'inbox',
] as const satisfies readonly ConsentChannel[];
export const consentStates = [
  'granted',
  'denied',
  'unknown',
] as const satisfies readonly ConsentState[];
const preferredChannels = [
  'sms',
  'email',
  'whatsapp',
  'telegram',
  'inbox',
  'call',
  'task',
] as const;

const telecomMax = 50;
const tagsMax = 200;
const attributesMax = 200;

const consentState = (channel: string) =>
  Type.Optional(
    Type.Enum([...consentStates], {
      description: `Consent for ${channel}.`,
      examples: ['granted'],
    }),
  );

const channelConsents = (purpose: string) =>
  Type.Optional(
    shape(
      {
        sms: consentState('SMS'),
        email: consentState('e-mail'),
        whatsapp: consentState('WhatsApp'),
        telegram: consentState('Telegram'),
        call: consentState('calls by the staff'),
        inbox: consentState("the inbox of the host's portal"),
      },
      { description: `By channel, for ${purpose}. What is absent stays as it was.` },
    ),
  );

const scalar = Type.Union([Type.String({ maxLength: 1000 }), Type.Number(), Type.Boolean()]);

const fields = {
  name: Type.Optional(
    shape(
      {
        family: Type.Optional(text(200, 'Family name.', 'Pérez')),
        given: Type.Optional(text(200, 'First given name.', 'María')),
        middle: Type.Optional(text(200, 'Middle name or patronymic.', 'Elena')),
        preferred: Type.Optional(text(200, 'What the person likes to be called.', 'Male')),
        text: Type.Optional(
          text(400, 'The whole name, where the parts are not known.', 'María Elena Pérez'),
        ),
      },
      { description: 'The name.' },
    ),
  ),
  birthDate: Type.Optional(
    Type.String({
      maxLength: 40,
      description:
        'YYYY-MM-DD. A year or a month is kept but not greeted; an impossible date is dropped with a warning.',
      examples: ['1984-05-17'],
    }),
  ),
  gender: Type.Optional(
    Type.Enum([...genders], { description: 'The FHIR code.', examples: ['female'] }),
  ),
  language: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,6}$',
      maxLength: 60,
      description: 'BCP 47: what messages are written in.',
      examples: ['es-CO'],
    }),
  ),
  timeZone: Type.Optional(zone("Where the person lives, if not in the clinic's zone.")),
  telecom: Type.Optional(
    Type.Array(
      shape({
        system: Type.Enum([...telecomSystems], {
          description: 'The kind of address.',
          examples: ['phone'],
        }),
        value: text(
          254,
          'As the host has it; a number without a country is of the clinic’s.',
          '+573001234567',
        ),
        use: Type.Optional(
          Type.Enum([...telecomUses], { description: 'What for.', examples: ['mobile'] }),
        ),
        rank: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 999,
            description: 'Lower is preferred.',
            examples: [1],
          }),
        ),
      }),
      {
        maxItems: telecomMax,
        description: 'How to reach the person. What cannot be dialled is kept and not used.',
      },
    ),
  ),
  preferredChannel: Type.Optional(
    Type.Enum([...preferredChannels], {
      description: 'The channel the person likes best.',
      examples: ['whatsapp'],
    }),
  ),
  reminderPreference: Type.Optional(
    Type.Union(
      [
        text(200, 'In a word.', 'day-before'),
        Type.Array(text(200, 'One of them.', 'P1D'), { maxItems: 20 }),
        Type.Record(
          Type.String({ maxLength: 100 }),
          Type.Union([scalar, Type.Array(scalar, { maxItems: 20 })]),
          {
            maxProperties: 20,
          },
        ),
      ],
      {
        description:
          'Which reminders the person asked for: periods before an appointment (`P1D`, `["P2D", "PT2H"]`, `{"before": …}`), words such as `day-before` or `two-hours-before`, or `none`. It beats the cascade of the rules: each period is served by the rule nearest to it, and the others leave the person alone. Anything else is kept and changes nothing.',
        examples: ['day-before'],
      },
    ),
  ),
  tags: Type.Optional(
    Type.Array(text(100, "One of the host's groups.", 'vip'), {
      maxItems: tagsMax,
      description: "The host's groups.",
    }),
  ),
  payer: Type.Optional(named('payer', 'dms', 'DMS Seguros')),
  household: Type.Optional(text(200, 'The same for all of one household.', 'h-55')),
  guardianId: Type.Optional(hostId('The patient who answers for this one.', '1041')),
  referredBy: Type.Optional(hostId('The patient who sent this one.', '900')),
  city: Type.Optional(text(200, 'Where the person lives.', 'Bogotá')),
  acquisition: Type.Optional(
    shape(
      {
        source: Type.Optional(text(200, 'What brought the person.', 'google-ads')),
        cost: Type.Optional(
          Type.String({
            pattern: amountPattern,
            maxLength: 20,
            description: "What that cost, in the clinic's currency.",
            examples: ['12000.00'],
          }),
        ),
      },
      { description: 'How the clinic came by the patient.' },
    ),
  ),
  active: Type.Optional(
    Type.Boolean({ description: 'False: not written to. True if absent.', examples: [true] }),
  ),
  deceased: Type.Optional(
    Type.Boolean({ description: 'True: never written to again.', examples: [false] }),
  ),
  consent: Type.Optional(
    shape(
      {
        transactional: channelConsents('reminders and confirmations'),
        care: channelConsents('recalls and invitations to a check-up'),
        marketing: channelConsents('birthdays and offers'),
      },
      { description: 'What the person agreed to. Absent means unchanged.' },
    ),
  ),
  attributes: Type.Optional(
    Type.Record(Type.String({ minLength: 1, maxLength: 100 }), scalar, {
      maxProperties: attributesMax,
      description: 'Anything else that rules may ask for.',
      examples: [{ loyaltyCard: 'gold' }],
    }),
  ),
};

const id = hostId("The host's id of the patient.", '1042');

export const patientIn = shape({ id, ...fields });
/** The body of a PUT: the path names the id. */
export const patientPut = shape({ id: Type.Optional(id), ...fields });
export const patientOut = shape({
  id,
  ...fields,
  contactable: Type.Boolean({ description: 'Whether any address can be used.', examples: [true] }),
  updatedAt: Type.String({
    description: 'When it last changed here.',
    examples: ['2026-03-01T12:00:01Z'],
  }),
  warnings: Type.Optional(warningsOut),
});
export type PatientIn = Static<typeof patientIn>;
export type PatientOut = Static<typeof patientOut>;

const validator = Compile(patientIn);

export interface PatientContent extends Omit<Reachability, 'points'> {
  family: string | null;
  given: string | null;
  middle: string | null;
  preferred: string | null;
  name_text: string | null;
  birth_date: string | null;
  birth_date_text: string | null;
  gender: (typeof genders)[number] | null;
  language: string | null;
  time_zone: string | null;
  preferred_channel: string | null;
  reminder_preference: unknown;
  tags: string[];
  payer_id: string | null;
  payer_name: string | null;
  household: string | null;
  guardian_id: string | null;
  referred_by: string | null;
  city: string | null;
  acquisition: unknown;
  active: boolean;
  deceased: boolean;
  attributes: Record<string, unknown>;
  warnings: Warning[];
}

export interface ReadConsent {
  purpose: Purpose;
  channel: ConsentChannel;
  state: ConsentState;
}

/** What was read, ready for the store. */
export interface ReadPatient {
  key: HostId;
  content: PatientContent;
  points: Reachability['points'];
  consents: ReadConsent[];
}

export function readPatient(value: unknown, context: ReadContext): Reading<ReadPatient> {
  if (!validator.Check(value)) return { faults: schemaFaults(validator.Errors(value)) };
  const data: PatientIn = value;
  const findings: Findings = { faults: [], warnings: [] };
  const { points, ...reachability } = readTelecom(data.telecom ?? [], context.country);
  const content: PatientContent = {
    family: data.name?.family ?? null,
    given: data.name?.given ?? null,
    middle: data.name?.middle ?? null,
    preferred: data.name?.preferred ?? null,
    name_text: data.name?.text ?? null,
    ...readBirthDate(data.birthDate, context.today, findings),
    gender: data.gender ?? null,
    language: readLanguage(data.language, findings),
    time_zone: readZone(data.timeZone, '/timeZone', findings),
    preferred_channel: data.preferredChannel ?? null,
    reminder_preference: data.reminderPreference ?? null,
    tags: [...new Set(data.tags)],
    payer_id: data.payer?.id ?? null,
    payer_name: data.payer?.name ?? null,
    household: data.household ?? null,
    guardian_id: data.guardianId ?? null,
    referred_by: data.referredBy ?? null,
    city: data.city ?? null,
    acquisition: data.acquisition ?? null,
    active: data.active ?? true,
    deceased: data.deceased ?? false,
    attributes: data.attributes ?? {},
    ...reachability,
    warnings: findings.warnings,
  };
  if (findings.faults.length > 0) return { faults: findings.faults };
  const key = parseHostId(data.id, context.source);
  return { content: { key, content, points, consents: readConsents(data.consent) } };
}

const partialDateForm = /^(\d{4})(?:-(\d{2}))?$/;

/**
 * A day that no calendar has is a slip that its host can mend, so it is refused. What stands for "not
 * known", such as 0000-00-00, is dropped with a warning: never guessed, never a rejection.
 */
function readBirthDate(
  value: string | undefined,
  today: string,
  findings: Findings,
): { birth_date: string | null; birth_date_text: string | null } {
  if (value === undefined) return { birth_date: null, birth_date_text: null };
  if (isDay(value) && value <= today) return { birth_date: value, birth_date_text: null };
  const partial = partialDateForm.exec(value);
  const firstDay = partial === null ? null : `${partial[1]}-${partial[2] ?? '01'}-01`;
  if (firstDay !== null && isDay(firstDay) && firstDay <= today) {
    return { birth_date: null, birth_date_text: value };
  }
  if (isOnNoCalendar(value)) {
    findings.faults.push({
      pointer: '/birthDate',
      code: 'impossible-date',
      detail: 'No calendar has this day.',
    });
  } else {
    findings.warnings.push({ pointer: '/birthDate', code: 'impossible-date' });
  }
  return { birth_date: null, birth_date_text: null };
}

const dayForm = /^(\d{4})-(\d{2})-(\d{2})$/;

/** True for 2001-02-30; the zeros that databases write for "not known" are another thing. */
function isOnNoCalendar(value: string): boolean {
  const [year = 0, month = 0, day = 0] = dayForm.exec(value)?.slice(1).map(Number) ?? [];
  if (year === 0 || month === 0 || day === 0) return false;
  return month > 12 || day > Temporal.PlainYearMonth.from({ year, month }).daysInMonth;
}

const languages = new Map<string, string | null>();
const languagesMax = 1000;

function readLanguage(value: string | undefined, findings: Findings): string | null {
  if (value === undefined) return null;
  const language = languages.get(value) ?? canonicalLanguage(value);
  if (languages.size >= languagesMax) languages.clear();
  languages.set(value, language);
  if (language === null) {
    findings.faults.push({
      pointer: '/language',
      code: 'unknown-language',
      detail: 'This is no BCP 47 tag.',
    });
  }
  return language;
}

function canonicalLanguage(value: string): string | null {
  try {
    return Intl.getCanonicalLocales(value)[0] ?? null;
  } catch {
    // Intl knows no gentler way to ask.
    return null;
  }
}

function readConsents(consent: PatientIn['consent']): ReadConsent[] {
  if (consent === undefined) return [];
  return purposes.flatMap((purpose) =>
    consentChannels.flatMap((channel) => {
      const state = consent[purpose]?.[channel];
      return state === undefined ? [] : [{ purpose, channel, state }];
    }),
  );
}

/** A row as the store reads it, with the consents beside it. */
export interface PatientRow extends PatientContent {
  source: string;
  external_id: string;
  /** The chat that they opened by a link of ours. */
  linked_chat: string | null;
  updated_at: Temporal.Instant;
  consents: ReadConsent[];
}

export function toPatientOut(row: PatientRow, readerSource: string): PatientOut {
  const name = compact({
    family: row.family,
    given: row.given,
    middle: row.middle,
    preferred: row.preferred,
    text: row.name_text,
  });
  return compact({
    id: formatHostId({ source: row.source, externalId: row.external_id }, readerSource),
    name: Object.keys(name).length > 0 ? name : undefined,
    birthDate: row.birth_date ?? row.birth_date_text,
    gender: row.gender,
    language: row.language,
    timeZone: row.time_zone,
    telecom: telecomsOut(row),
    preferredChannel: row.preferred_channel,
    reminderPreference: row.reminder_preference,
    tags: row.tags.length > 0 ? row.tags : undefined,
    payer: namedOut(row.payer_id, row.payer_name),
    household: row.household,
    guardianId: row.guardian_id,
    referredBy: row.referred_by,
    city: row.city,
    acquisition: row.acquisition,
    active: row.active,
    deceased: row.deceased,
    consent: consentOut(row.consents),
    attributes: Object.keys(row.attributes).length > 0 ? row.attributes : undefined,
    contactable: isContactable(row),
    updatedAt: row.updated_at.toString(),
    warnings: row.warnings.length > 0 ? row.warnings : undefined,
  }) as PatientOut;
}

/** With the chat that they linked, of which the host may not have told. */
function telecomsOut({ telecom, linked_chat: chat }: PatientRow) {
  const isTold = telecom.some(({ address }) => address === chat);
  const linked =
    chat === null || isTold
      ? []
      : [{ system: 'telegram', value: chat.slice(chat.indexOf(':') + 1) } as const];
  const all = [...telecom.map(telecomOut), ...linked];
  return all.length > 0 ? all : undefined;
}

function telecomOut({ system, value, use, rank }: StoredTelecom) {
  return compact({ system, value, use, rank });
}

function isContactable(row: PatientRow): boolean {
  return (
    row.sms_address !== null ||
    row.email_address !== null ||
    row.whatsapp_address !== null ||
    row.telegram_address !== null
  );
}

function consentOut(consents: readonly ReadConsent[]): PatientOut['consent'] {
  if (consents.length === 0) return undefined;
  const grouped: Partial<Record<Purpose, Partial<Record<ConsentChannel, ConsentState>>>> = {};
  for (const { purpose, channel, state } of consents) {
    grouped[purpose] = { ...grouped[purpose], [channel]: state };
  }
  return grouped;
}
