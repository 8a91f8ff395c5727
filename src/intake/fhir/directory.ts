import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { parseHostId } from '../../history/host-id.ts';
import { parsePhone } from '../../phone.ts';
import { schemaFaults, textFaults } from '../../schema-faults.ts';
import type { ReadDirectoryEntry } from '../directory-entry.ts';
import {
  type Address,
  address,
  type ContactPoint,
  contactPoint,
  fullName,
  humanName,
  tidy,
} from './elements.ts';
import type { Mapping } from './mapping.ts';

/** Practitioners, organizations and locations: what they are called, and how the clinic is reached. */

const practitionerSchema = Type.Object({ name: Type.Optional(Type.Array(humanName)) });
const placeSchema = Type.Object({
  name: Type.Optional(Type.String()),
  telecom: Type.Optional(Type.Array(contactPoint)),
  address: Type.Optional(Type.Union([address, Type.Array(address)])),
});

const practitionerValidator = Compile(practitionerSchema);
const placeValidator = Compile(placeSchema);

export const mapPractitioner: Mapping = ({ resource, id, context }) => {
  if (!practitionerValidator.Check(resource)) {
    return { faults: schemaFaults(practitionerValidator.Errors(resource)) };
  }
  const { name: names }: Static<typeof practitionerSchema> = resource;
  const main = names?.find(({ use }) => use === 'official') ?? names?.[0];
  const name = main === undefined ? null : (fullName(main) ?? null);
  return storable({
    kind: 'practitioner',
    key: parseHostId(id, context.source),
    content: { name, time_zone: null, phone: null, address: null },
  });
};

const mapPlace =
  (kind: 'location' | 'organization'): Mapping =>
  ({ resource, id, context }) => {
    if (!placeValidator.Check(resource))
      return { faults: schemaFaults(placeValidator.Errors(resource)) };
    const place: Static<typeof placeSchema> = resource;
    return storable({
      kind,
      key: parseHostId(id, context.source),
      content: {
        name: tidy(place.name, 300) ?? null,
        time_zone: null,
        phone: toPhone(place.telecom ?? [], context.country),
        address: toAddress(Array.isArray(place.address) ? place.address[0] : place.address),
      },
    });
  };

export const mapLocation = mapPlace('location');
export const mapOrganization = mapPlace('organization');

function storable(entry: ReadDirectoryEntry) {
  const faults = textFaults(entry.content);
  return faults.length > 0 ? { faults } : { directory: entry };
}

/** An extension such as `2328` is no number that anyone outside can dial. */
function toPhone(telecom: readonly ContactPoint[], country: string): string | null {
  for (const { system, value } of telecom) {
    const phone = system === 'phone' && value !== undefined ? parsePhone(value, country) : null;
    if (phone?.ok) return phone.e164;
  }
  return null;
}

function toAddress(told: Address | undefined): string | null {
  if (told === undefined) return null;
  const lines = [...(told.line ?? []), told.city].flatMap((line) => tidy(line) ?? []);
  return tidy(told.text, 400) ?? tidy(lines.join(', '), 400) ?? null;
}
