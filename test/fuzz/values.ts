/** Values for the fields of a request: what its schema asks for, and what nobody should send. */
import fc, { type Arbitrary } from 'fast-check';

export interface Schema {
  $ref?: string;
  type?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  patternProperties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  examples?: unknown[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minProperties?: number;
  uniqueItems?: boolean;
  minItems?: number;
  maxItems?: number;
  minimum?: number;
  maximum?: number;
}

/** What a patient is called and reached by: it must be seen in no log, metric or error. */
export const secretMark = 'Zanahoria7731';
export const secretPhone = '+573007731773';

const instants = [
  '2026-03-02T15:00:00Z',
  '2026-03-10T09:30:00-05:00',
  '2026-11-01T01:30:00',
  '2026-03-08T02:30:00',
  '2025-09-01T10:00:00Z',
  '2026-02-28T23:59:59.999Z',
];
const words: Readonly<Record<string, readonly unknown[]>> = {
  given: [secretMark, `${secretMark} 🦷`, `{{7*7}} ${secretMark}`, `=HYPERLINK("${secretMark}")`],
  family: [secretMark, `<img onerror=${secretMark}>`, `${secretMark}'; DROP TABLE patients; --`],
  middle: [secretMark],
  preferred: [secretMark],
  text: [secretMark, `{{patient.name.given}} ${secretMark}`, 'STOP', '1'],
  note: [secretMark],
  value: [secretPhone, `${secretMark}@example.org`, '8 (999) 000-11-22', '００７', '1234'],
  from: ['2026-03-01', secretPhone, `${secretMark}@example.org`],
  timeZone: ['America/Bogota', 'Europe/Moscow', 'UTC', 'America/New_York', 'Asia/Kolkata'],
  birthDate: ['1984-05-17', '2000-02-29', '1899-01-01', '2026-02-30', 'today', '99999-01-01'],
  after: ['P180D', 'PT3H', 'P1M', 'P1Y', 'P7D', 'P0D'],
  before: ['P14D', 'PT2H', '2026-01-01'],
  offset: ['-P3D', 'P0D', 'P1D'],
  within: ['P12M', 'P30D'],
  attributionWindow: ['P90D', 'P30D'],
  catchUp: ['P14D', 'PT4H'],
  per: ['P30D', 'P7D'],
  date: ['03-08', '02-29', '2026-12-28'],
  template: ['t-1', 't-1', 'recall', 't-foreign'],
  to: ['2026-04-30', '2026-06-30T00:00:00Z'],
  provider: ['smsc', 'sendgrid', 'inbox', 'sandbox', 'task'],
  services: [['hygiene'], ['hygiene', 'implant']],
  language: ['es', 'en', 'ru', 'es-CO', 'pt-BR'],
  country: ['CO', 'RU', 'BR', 'US', 'DE'],
  currency: ['COP', 'RUB', 'USD'],
};
const instantFields = /^(start|end|now|occurredAt|createdAt|updatedSince|at)$/;
const dayForm = '^\\d{4}-\\d{2}-\\d{2}$';

/** Values that fit a schema, and mostly also what the service wants beyond it. */
export function fitting(
  given: Schema,
  shared: Readonly<Record<string, Schema>>,
  ids: Readonly<Record<string, readonly string[]>>,
  ofName = '',
): Arbitrary<unknown> {
  const known = new Map<Schema, Map<string, Arbitrary<unknown>>>();

  const of = (schema: Schema, name: string, depth: number): Arbitrary<unknown> => {
    if (schema.$ref) return of(shared[schema.$ref.split('/').at(-1) ?? ''] ?? {}, name, depth);
    const byName = known.get(schema) ?? new Map<string, Arbitrary<unknown>>();
    known.set(schema, byName);
    const key = `${name} ${depth}`;
    const made = byName.get(key) ?? make(schema, name, depth);
    byName.set(key, made);
    return made;
  };

  const make = (schema: Schema, name: string, depth: number): Arbitrary<unknown> => {
    if (schema.const !== undefined) return fc.constant(schema.const);
    if (schema.enum) return fc.constantFrom(...schema.enum);
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices) {
      const possible = depth > 5 ? choices.slice(0, 1) : choices;
      return fc.oneof(...possible.map((each) => of(each, name, depth + 1)));
    }
    switch (schema.type) {
      case 'object':
        return object(schema, depth);
      case 'array': {
        const isOfTexts = schema.items?.type === 'string';
        const fixed = isOfTexts ? (words[name]?.filter(Array.isArray) ?? []) : [];
        const list = schema.uniqueItems ? fc.uniqueArray : fc.array;
        const items = list(of(schema.items ?? {}, name, depth + 1), {
          minLength: schema.minItems ?? 0,
          maxLength: Math.min(schema.maxItems ?? 3, 3),
        });
        return fixed.length > 0 ? fc.oneof(fc.constantFrom(...fixed), items) : items;
      }
      case 'integer':
        return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 1_000 });
      case 'number':
        return fc.double({ min: schema.minimum ?? 0, max: schema.maximum ?? 1, noNaN: true });
      case 'boolean':
        return fc.boolean();
      case 'null':
        return fc.constant(null);
      default:
        return text(schema, name);
    }
  };

  const object = (schema: Schema, depth: number): Arbitrary<unknown> => {
    const fields = Object.entries(schema.properties ?? {});
    const required = schema.required ?? [];
    const shown = depth > 5 ? fields.filter(([name]) => required.includes(name)) : fields;
    const named = fc.record(
      Object.fromEntries(shown.map(([name, each]) => [name, of(each, name, depth + 1)])),
      { requiredKeys: required.filter((name) => schema.properties?.[name]) },
    );
    const { additionalProperties: rest } = schema;
    const open = Object.values(schema.patternProperties ?? {})[0] ?? rest;
    if (typeof open !== 'object') return named;
    const keys = fc.constantFrom('sms', 'email', 'inbox', 'es', 'en', 'CO', 'x', '2026-03-02');
    return fc
      .tuple(
        named,
        fc.dictionary(keys, of(open, '', depth + 1), {
          minKeys: schema.minProperties ?? 0,
          maxKeys: 3,
        }),
      )
      .map(([fixed, more]) => ({ ...more, ...(fixed as object) }));
  };

  const text = (schema: Schema, name: string): Arbitrary<unknown> => {
    const known = [
      ...(ids[name] ?? []),
      ...(words[name] ?? []).filter((each) => typeof each === 'string'),
      ...(schema.examples ?? []),
      ...(instantFields.test(name) && schema.pattern === undefined ? instants : []),
      ...(schema.pattern === dayForm ? ['2026-03-01', '2026-04-30', '2025-12-31'] : []),
    ];
    if (known.length > 0) return fc.constantFrom(...known);
    if (schema.pattern) return fc.stringMatching(new RegExp(schema.pattern, 'u'));
    return fc.string({
      unit: 'grapheme',
      minLength: schema.minLength ?? 0,
      maxLength: Math.min(schema.maxLength ?? 20, 20),
    });
  };

  return of(given, ofName, 0);
}

const deep = (depth: number): unknown => {
  let value: unknown = 'x';
  for (let level = 0; level < depth; level += 1) value = level % 2 ? [value] : { a: value };
  return value;
};

/** What may stand where a field should be. */
export const hostileValues: readonly unknown[] = [
  null,
  true,
  'true',
  0,
  -1,
  1,
  1.5,
  1e308,
  -0,
  Number.MAX_SAFE_INTEGER + 1,
  2 ** 31,
  2 ** 63,
  '',
  ' ',
  '\t\n',
  'null',
  'undefined',
  'NaN',
  'Infinity',
  '-infinity',
  'infinity',
  '\0',
  'a\0b',
  '\ud800',
  'a\udc00b',
  '\u202e\u0000',
  '\ufeff',
  '\u2028',
  'Z̷̡̛͇'.repeat(50),
  '👩‍👩‍👧‍👦'.repeat(20),
  "'; DROP TABLE patients; --",
  '{{7*7}}',
  '{{#each x}}{{/each}}',
  '{{patient.name.given|',
  '{{{{{{',
  '=cmd|/c',
  'a'.repeat(300),
  'a'.repeat(10_000),
  'a'.repeat(250_000),
  '2026-02-30',
  '2026-02-30T25:61:00Z',
  '2026-03-02T15:00:00+99:99',
  '2026-12-31T23:59:60Z',
  '+275760-09-13T00:00:00Z',
  '+275761-01-01T00:00:00Z',
  '-271821-04-20T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59Z',
  '1900-01-01T00:00:00+14:00',
  '2100-12-31T23:59:59-14:00',
  '2026-03-02T15:00:00[u-ca=hebrew]',
  '2026-03-02T15:00:00.123456789123Z',
  'P0D',
  '-P1D',
  'P-1D',
  'P99999999999Y',
  'PT999999999999999H',
  'P1Y1M1W1DT1H1M1.000000001S',
  'Mars/Base',
  '+05:00',
  'Etc/GMT+12',
  'america/bogota',
  '../../etc/passwd',
  '24:00',
  '24:01',
  '99999999999999999999.99',
  '1e9',
  '-0.00',
  '00000000-0000-0000-0000-000000000000',
  '__proto__',
  'constructor',
  'a~b~c',
  '~',
  'mis~',
  [],
  [null],
  [[]],
  {},
  { __proto__x: 1 },
  Object.fromEntries(['toString', 'then', 'hasOwnProperty', 'toJSON'].map((name) => [name, 1])),
  { length: 1_000_000_000 },
  deep(18),
  deep(30),
  Array.from({ length: 2_000 }, () => 'x'),
];

export const hostileNames: readonly string[] = [
  'clinicId',
  'clinic_id',
  'state',
  'source',
  'opted_out',
  'toString',
  'then',
  '',
  ' ',
  'a/b~c',
  '\0',
  '\ud800',
  'x'.repeat(5_000),
];
