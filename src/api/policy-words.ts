import { type Static, type TSchema, Type } from 'typebox';
import { purposes } from '../channels/channel.ts';
import { weekdays } from '../history/clinic.ts';
import { demands, type WeekHours } from '../history/country-policy.ts';
import { strict } from './words.ts';

/** Pieces of a policy that a clinic sets and that it is shown. */

const Time = Type.String({
  pattern: '^(?:(?:[01]\\d|2[0-3]):[0-5]\\d|24:00)$',
  description: 'Local time, `00:00` to `24:00`.',
  examples: ['09:00'],
});
export const Hours = strict(
  { start: Time, end: Time },
  { description: 'From `start` until before `end`.' },
);
const HoursOrClosed = Type.Union([Hours, Type.Null()], { description: 'Null is closed.' });
const Demands = Type.Array(
  Type.Enum([...demands], { description: 'What a text must carry.', examples: ['opt-out'] }),
  { maxItems: demands.length, uniqueItems: true },
);

function fields<Name extends string, Schema extends TSchema>(
  names: readonly Name[],
  schema: Schema,
): Record<Name, Schema> {
  return Object.fromEntries(names.map((name) => [name, schema])) as Record<Name, Schema>;
}

export const orNull = <Schema extends TSchema>(schema: Schema) =>
  Type.Optional(Type.Union([schema, Type.Null()], { description: 'Null clears it.' }));

const consentPurposes = ['care', 'marketing'] as const;
const OwnWeek = Type.Partial(Type.Object(fields(weekdays, HoursOrClosed)), {
  additionalProperties: false,
  description: 'By weekday; a day that is absent stays as the country has it.',
  examples: [{ sat: { start: '10:00', end: '14:00' }, sun: null }],
});

const hoursMeaning =
  "Hours for each purpose. They bind as a law's do: `sendWindow` narrows them, and a notice of delay keeps to them. A law's own hours hold all the same.";
const consentMeaning = 'Whether care and marketing go only to who agreed. A denial always holds.';
const demandsMeaning =
  "What texts of a purpose must carry; the list takes the place of the country's. What a text lacks is a warning.";

/** As it is stored and shown. */
export const overrideFields = {
  allowedHours: Type.Partial(Type.Object(fields(purposes, OwnWeek)), {
    additionalProperties: false,
    description: hoursMeaning,
  }),
  needsConsent: Type.Partial(
    Type.Object(fields(consentPurposes, Type.Boolean({ description: 'Only to who agreed.' }))),
    { additionalProperties: false, description: consentMeaning },
  ),
  mustInclude: Type.Partial(Type.Object(fields(purposes, Demands)), {
    additionalProperties: false,
    description: demandsMeaning,
  }),
  reason: Type.String({
    minLength: 1,
    maxLength: 500,
    pattern: '\\S',
    description:
      "The ground on which the clinic asks for less than its country does, such as the lawyer's or a contract; required then, and kept in the audit. No patient's data.",
    examples: ['The treatment contract, section 7, covers invitations to check-ups.'],
  }),
  by: Type.String({
    minLength: 1,
    maxLength: 200,
    pattern: '\\S',
    description: 'The person who answers for that; required then, and kept in the audit.',
    examples: ['Head of the clinic'],
  }),
};

/** As it is asked for: a purpose that is named is set whole, null takes its override away. */
export const overrideWishes = {
  allowedHours: orNull(strict(fields(purposes, orNull(OwnWeek)), { description: hoursMeaning })),
  needsConsent: orNull(
    strict(fields(consentPurposes, orNull(Type.Boolean({ description: 'Only to who agreed.' }))), {
      description: consentMeaning,
    }),
  ),
  mustInclude: orNull(strict(fields(purposes, orNull(Demands)), { description: demandsMeaning })),
  reason: orNull(overrideFields.reason),
  by: orNull(overrideFields.by),
};

const ByWeekday = Type.Object(fields(weekdays, HoursOrClosed), {
  description: 'Local hours of the recipient, by weekday.',
});

export const ruleFields = {
  allowedHours: Type.Object(fields(purposes, ByWeekday)),
  needsConsent: Type.Object(
    fields(consentPurposes, Type.Boolean({ description: 'Only to who agreed.' })),
  ),
  mustInclude: Type.Object(fields(purposes, Demands)),
  marketingNeedsApprover: Type.Boolean({
    description: 'A marketing rule is activated only with `by`, the name of who answers for it.',
  }),
  dataRegion: Type.Union([Type.String(), Type.Null()], {
    description:
      "The country in whose databases its citizens' data must be recorded first; null where no rule is known.",
    examples: ['RU'],
  }),
};

export const PolicyRow = Type.Object(
  {
    country: Type.Union([Type.String(), Type.Null()], {
      description: 'ISO 3166-1; null for all countries without a row.',
      examples: ['RU'],
    }),
    ...ruleFields,
    isLaw: Type.Boolean({
      description:
        'Whether the hours stem from a law, so that `sendWindow` narrows them; others are defaults that it replaces.',
    }),
    source: Type.String({ description: 'Where the row comes from.' }),
  },
  { title: 'CountryPolicy', description: 'What a country asks of messages.' },
);

const Origin = Type.Enum(['country', 'default', 'clinic'], {
  description:
    '`country`: its row; `default`: ours, for countries without a row and for the send window; `clinic`: its settings.',
});

export const Origins = Type.Object({
  allowedHours: Type.Object(fields(purposes, Type.Object(fields(weekdays, Origin)))),
  needsConsent: Type.Object(fields(consentPurposes, Origin)),
  mustInclude: Type.Object(fields(purposes, Origin)),
  marketingNeedsApprover: Origin,
  dataRegion: Origin,
});

export const Warning = Type.Object({
  pointer: Type.String({ description: 'What it is about.', examples: ['/country'] }),
  code: Type.String({ examples: ['data-region-unknown'] }),
  detail: Type.String(),
});

export function toWeek(week: WeekHours): Static<typeof ByWeekday> {
  return Object.fromEntries(weekdays.map((day, at) => [day, week[at] ?? null])) as Static<
    typeof ByWeekday
  >;
}
