import { type Static, Type } from 'typebox';

/** The parts of FHIR R4 that we read; whatever else a resource has is left alone. */

const text = Type.Optional(Type.String());

export const coding = Type.Object({ system: text, code: text, display: text });
export const concept = Type.Object({ coding: Type.Optional(Type.Array(coding)), text });
export const reference = Type.Object({ reference: text, type: text, display: text });
export const period = Type.Object({ start: text, end: text });
export const contactPoint = Type.Object({
  system: text,
  value: text,
  use: text,
  rank: Type.Optional(Type.Number()),
  period: Type.Optional(period),
});
export const humanName = Type.Object({
  use: text,
  text,
  family: text,
  // Null stands where an extension takes the place of a value.
  given: Type.Optional(Type.Array(Type.Union([Type.String(), Type.Null()]))),
  prefix: Type.Optional(Type.Array(Type.Union([Type.String(), Type.Null()]))),
});
export const address = Type.Object({
  use: text,
  text,
  line: Type.Optional(Type.Array(Type.Union([Type.String(), Type.Null()]))),
  city: text,
});
export const meta = Type.Object({ versionId: text, lastUpdated: text });

export type Concept = Static<typeof concept>;
export type Reference = Static<typeof reference>;
export type ContactPoint = Static<typeof contactPoint>;
export type HumanName = Static<typeof humanName>;
export type Address = Static<typeof address>;

const nameCharsMax = 200;

/** Text that can be a name of ours: trimmed, cut to what is kept, absent if blank. */
export function tidy(
  value: string | null | undefined,
  charactersMax: number = nameCharsMax,
): string | undefined {
  const trimmed = value?.trim().slice(0, charactersMax).trim();
  return trimmed === '' ? undefined : trimmed;
}

/** Without the fields that have no value. */
export function present<Fields extends object>(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Fields;
}

/** A concept by its first code, else by its words. */
export function namedConcept(value: Concept): { id: string; name?: string } | undefined {
  const first = value.coding?.find(({ code }) => tidy(code) !== undefined);
  const name = tidy(first?.display) ?? tidy(value.text) ?? tidy(value.coding?.[0]?.display);
  const id = tidy(first?.code) ?? name;
  if (id === undefined) return undefined;
  return name === undefined ? { id } : { id, name };
}

/** A day without a time begins at midnight of the clinic's zone; a month or a year is no time at all. */
export function timeOf(value: string | undefined): string | undefined {
  if (value === undefined || /^\d{4}(?:-\d{2})?$/.test(value)) return undefined;
  return /^\d{4}-\d{2}-\d{2}$/.test(value) ? `${value}T00:00:00` : value;
}

export function fullName(name: HumanName): string | undefined {
  const parts = [...(name.prefix ?? []), ...(name.given ?? []), name.family];
  return (
    tidy(name.text, 300) ??
    tidy(
      parts
        .map((part) => tidy(part) ?? '')
        .filter(Boolean)
        .join(' '),
      300,
    )
  );
}
