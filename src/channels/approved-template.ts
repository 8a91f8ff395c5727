import { type Static, Type } from 'typebox';
import type { MessageTemplate } from './channel.ts';

/**
 * How a template of ours maps to one that a provider has approved. Its parameters are the values that
 * our text has in it: in the order of their first use, or as the mapping names them.
 */

const ourName = Type.String({ minLength: 1, maxLength: 100 });

export const templateParameters = Type.Union(
  [
    Type.Array(ourName, { maxItems: 50 }),
    Type.Record(Type.String({ pattern: '^[A-Za-z0-9_]{1,60}$' }), ourName, { maxProperties: 50 }),
  ],
  {
    description:
      'Names of our text by the place, or by the name, that they have there; all of them in order if absent.',
    examples: [['patient.name.given', 'appointment.date'], { first_name: 'patient.name.given' }],
  },
);

export interface Parameter {
  /** Null where it is known by its place. */
  name: string | null;
  value: string;
}

/** @returns null where the mapping asks for a name that our text does not have. */
export function parametersOf(
  { values }: MessageTemplate,
  wanted: Static<typeof templateParameters> | undefined,
): Parameter[] | null {
  const known = new Map(values.map(({ name, value }) => [name, value]));
  const places: [string | null, string][] =
    wanted === undefined
      ? values.map(({ name }) => [null, name])
      : Array.isArray(wanted)
        ? wanted.map((name) => [null, name])
        : Object.entries(wanted);
  const parameters = places.flatMap(([name, ours]) => {
    const value = known.get(ours);
    return value === undefined ? [] : [{ name, value: oneLine(value) }];
  });
  return parameters.length === places.length ? parameters : null;
}

/** A parameter may have no line break and no run of spaces in it, and must not be empty. */
function oneLine(value: string): string {
  return value.replace(/\s+/g, ' ').trim() || '-';
}

/** What a provider has under the tag of our text, else under its primary language. */
export function byLanguage<Value>(
  languages: Readonly<Record<string, Value>>,
  language: string,
): Value | undefined {
  return languages[language] ?? languages[language.split(/[-_]/)[0] ?? ''];
}
