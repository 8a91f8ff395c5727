import { type Static, type TObject, type TProperties, Type } from 'typebox';
import type { Named, Warning } from '../database/tables.ts';
import type { Fault } from '../errors.ts';
import { isTimeZone, parseInstant, type TimeProblem } from '../local-time.ts';
import { hostIdPattern } from './host-id.ts';

/** The pieces that patients, appointments and visits are made of, and how they are read. */

export const servicesMax = 100;

export const shape = <Properties extends TProperties>(properties: Properties, about: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...about });

export const text = (lengthMax: number, description: string, example: string) =>
  Type.String({
    minLength: 1,
    maxLength: lengthMax,
    pattern: '\\S',
    description,
    examples: [example],
  });

export const hostId = (description: string, example: string) =>
  Type.String({ pattern: hostIdPattern, maxLength: 264, description, examples: [example] });

export const time = (description: string, example: string) =>
  Type.String({ minLength: 1, maxLength: 40, description, examples: [example] });

export const zone = (description: string) =>
  Type.String({ minLength: 1, maxLength: 64, description, examples: ['America/Bogota'] });

export const named = (description: string, id: string, name: string) =>
  shape(
    {
      id: text(200, `What the host calls the ${description}.`, id),
      name: Type.Optional(
        text(300, `The name of the ${description}, for texts and reports.`, name),
      ),
    },
    { description: `The ${description}.` },
  );

export const encounterFields = {
  timeZone: Type.Optional(zone("The zone of times without an offset, if not the clinic's.")),
  practitioner: Type.Optional(named('practitioner', 'dr-7', 'Ana Souza')),
  services: Type.Optional(
    Type.Array(named('service', 'hygiene', 'Professional cleaning'), {
      maxItems: servicesMax,
      description: 'What is or was done.',
    }),
  ),
  location: Type.Optional(
    shape(
      {
        id: text(200, 'What the host calls the location.', 'centro'),
        name: Type.Optional(text(300, 'The name of the location.', 'Centro')),
        timeZone: Type.Optional(zone("The location's zone, if not the clinic's.")),
      },
      { description: 'Where.' },
    ),
  ),
  payer: Type.Optional(named('payer', 'dms', 'DMS Seguros')),
};

export const warningsOut = Type.Array(
  shape({
    pointer: Type.String({
      description: 'The field, as a JSON Pointer.',
      examples: ['/birthDate'],
    }),
    code: Type.String({ description: 'What was found.', examples: ['impossible-date'] }),
  }),
  { description: 'What was kept although something is wrong with it.' },
);

/** What it takes to read what a host sent. */
export interface ReadContext {
  source: string;
  timeZone: string;
  country: string;
  currency: string;
  /** The clinic's present instant. */
  nowMs: number;
  /** Its local day, `YYYY-MM-DD`. */
  today: string;
}

export type Reading<Content> = { content: Content } | { faults: Fault[] };

/** Gathers what is found while fields are read. */
export interface Findings {
  faults: Fault[];
  warnings: Warning[];
}

// One pass over the commonest form: an offset, whole seconds or milliseconds, a day that every month has.
const plainInstantForm =
  /^(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,3})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const earliestPlainMs = Date.parse('1900-01-02T00:00:00Z');

/** Epoch milliseconds of a time with an offset, or of a local one in `zoneName`; null after a fault. */
export function readTime(
  value: string | undefined,
  zoneName: string,
  pointer: string,
  findings: Findings,
): number | null {
  if (value === undefined) return null;
  if (plainInstantForm.test(value)) {
    const milliseconds = Date.parse(value);
    if (milliseconds >= earliestPlainMs) return milliseconds;
  }
  const parsed = parseInstant(value, zoneName);
  if (typeof parsed === 'string') {
    findings.faults.push({ pointer, code: parsed, detail: timeDetails[parsed] });
    return null;
  }
  if (parsed.warning) findings.warnings.push({ pointer, code: parsed.warning });
  return parsed.epochMilliseconds;
}

const timeDetails: Readonly<Record<TimeProblem, string>> = Object.freeze({
  'not-a-time': 'This is no RFC 3339 date-time.',
  'out-of-range': 'Years from 1900 to 2100 are kept.',
  'no-time-zone': 'This has no offset, and no time zone is known for it.',
  'unknown-time-zone': 'The time zone for this is unknown.',
});

export function readZone(
  value: string | undefined,
  pointer: string,
  findings: Findings,
): string | null {
  if (value === undefined) return null;
  if (!isTimeZone(value)) {
    findings.faults.push({
      pointer,
      code: 'unknown-time-zone',
      detail: 'This is no name of a time zone, such as America/Bogota.',
    });
  }
  return value;
}

export type EncounterIn = Static<TObject<typeof encounterFields>>;

/** The columns that an appointment and a visit share. */
export interface EncounterContent {
  time_zone: string | null;
  practitioner_id: string | null;
  practitioner_name: string | null;
  services: Named[];
  service_ids: string[];
  location_id: string | null;
  location_name: string | null;
  payer_id: string | null;
  payer_name: string | null;
}

/** @returns the columns, and the zone that times without an offset are in. */
export function readEncounter(
  data: EncounterIn,
  context: ReadContext,
  findings: Findings,
): { columns: EncounterContent; zoneName: string } {
  const own = readZone(data.timeZone, '/timeZone', findings);
  const located = readZone(data.location?.timeZone, '/location/timeZone', findings);
  const services = data.services ?? noServices;
  return {
    zoneName: own ?? located ?? context.timeZone,
    columns: {
      time_zone: own ?? located,
      practitioner_id: data.practitioner?.id ?? null,
      practitioner_name: data.practitioner?.name ?? null,
      services,
      service_ids: services.length === 0 ? noIds : services.map((service) => service.id),
      location_id: data.location?.id ?? null,
      location_name: data.location?.name ?? null,
      payer_id: data.payer?.id ?? null,
      payer_name: data.payer?.name ?? null,
    },
  };
}

const noServices: Named[] = [];
const noIds: string[] = [];

const durationMaxMs = 366 * 24 * 3_600_000;

/** An end that is no end of this start is left out, with a warning. */
export function plausibleEnd(
  startMs: number | null,
  endMs: number | null,
  warnings: Warning[],
): number | null {
  if (startMs === null || endMs === null) return endMs;
  if (endMs < startMs) {
    warnings.push({ pointer: '/end', code: 'end-before-start' });
    return null;
  }
  if (endMs - startMs > durationMaxMs)
    warnings.push({ pointer: '/end', code: 'improbable-duration' });
  return endMs;
}

export function namedOut(id: string | null, name: string | null): Named | undefined {
  if (id === null) return undefined;
  return name === null ? { id } : { id, name };
}

/** Leaves out what is not there, so that an answer has a field or has none. */
export function compact<Fields extends object>(fields: Fields): Compact<Fields> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined && value !== null) kept[name] = value;
  }
  return kept as Compact<Fields>;
}

export type Compact<Fields> = {
  [Name in keyof Fields as undefined extends Fields[Name]
    ? never
    : null extends Fields[Name]
      ? never
      : Name]: Fields[Name];
} & {
  [Name in keyof Fields as undefined extends Fields[Name]
    ? Name
    : null extends Fields[Name]
      ? Name
      : never]?: NonNullable<Fields[Name]>;
};
