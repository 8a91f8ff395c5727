import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { schemaFaults } from '../../schema-faults.ts';
import {
  address,
  type ContactPoint,
  concept,
  contactPoint,
  type HumanName,
  humanName,
  present,
  reference,
  tidy,
} from './elements.ts';
import { type MappedEvent, type Mapping, unresolved } from './mapping.ts';

const schema = Type.Object({
  active: Type.Optional(Type.Boolean()),
  name: Type.Optional(Type.Array(humanName)),
  telecom: Type.Optional(Type.Array(contactPoint)),
  gender: Type.Optional(Type.Enum(['male', 'female', 'other', 'unknown'])),
  birthDate: Type.Optional(Type.String()),
  deceasedBoolean: Type.Optional(Type.Boolean()),
  deceasedDateTime: Type.Optional(Type.String()),
  address: Type.Optional(Type.Array(address)),
  communication: Type.Optional(
    Type.Array(Type.Object({ language: concept, preferred: Type.Optional(Type.Boolean()) })),
  ),
  link: Type.Optional(Type.Array(Type.Object({ other: reference, type: Type.String() }))),
});
type FhirPatient = Static<typeof schema>;

const validator = Compile(schema);
const telecomMax = 50;
const birthDateCharsMax = 40;

/**
 * A patient; of one that was replaced only the merge is told, because what such a record still says is
 * mostly that it is out of use.
 */
export const mapPatient: Mapping = ({ resource, id, references, context }) => {
  if (!validator.Check(resource)) return { faults: schemaFaults(validator.Errors(resource)) };
  const patient: FhirPatient = resource;
  const merges: MappedEvent[] = [];
  for (const [index, link] of (patient.link ?? []).entries()) {
    if (link.type !== 'replaced-by' && link.type !== 'replaces') continue;
    const other = references.resolve(link.other, resource);
    if (other?.id == null) return unresolved(`/link/${index}/other`);
    const data = link.type === 'replaced-by' ? { id, into: other.id } : { id: other.id, into: id };
    merges.push({ type: 'patient.merged', data });
  }
  if (patient.link?.some(({ type }) => type === 'replaced-by')) return { events: merges };
  return {
    events: [{ type: 'patient.upserted', data: toPatient(patient, id, context.today) }, ...merges],
  };
};

function toPatient(patient: FhirPatient, id: string, today: string): object {
  return present({
    id,
    name: toName(patient.name ?? []),
    birthDate: patient.birthDate?.slice(0, birthDateCharsMax),
    gender: patient.gender,
    language: toLanguage(patient.communication ?? []),
    telecom: (patient.telecom ?? [])
      .flatMap((point) => toTelecom(point, today))
      .slice(0, telecomMax),
    city: tidy(
      (patient.address ?? []).find(({ use, city }) => use !== 'old' && city !== undefined)?.city,
    ),
    active: patient.active,
    deceased: patient.deceasedBoolean === true || patient.deceasedDateTime !== undefined,
  });
}

const formerUses = new Set(['old', 'maiden', 'temp', 'anonymous', 'nickname']);

/** `official` is for documents, `usual` is what the person is called. */
function toName(names: readonly HumanName[]): object | undefined {
  const usual = names.find(({ use }) => use === 'usual');
  const main =
    names.find(({ use }) => use === 'official') ??
    names.find(({ use }) => !formerUses.has(use ?? '')) ??
    names[0];
  if (main === undefined) return undefined;
  const called = usual ?? names.find(({ use }) => use === 'nickname');
  const [given, ...others] = (main.given ?? []).flatMap((part) => tidy(part) ?? []);
  const name = present({
    family: tidy(main.family),
    given,
    middle: tidy(others.join(' ')),
    preferred: called === main ? undefined : (tidy(called?.given?.[0]) ?? tidy(called?.text)),
    text: tidy(main.text, 400),
  });
  return Object.keys(name).length > 0 ? name : undefined;
}

const systems: Readonly<Record<string, string>> = Object.freeze({
  phone: 'phone',
  sms: 'phone',
  email: 'email',
});
const uses = new Set(['mobile', 'home', 'work', 'old', 'temp']);
const rankMax = 999;

function toTelecom(point: ContactPoint, today: string): object[] {
  const value = tidy(point.value, 254);
  const system = systems[point.system ?? ''];
  if (value === undefined || system === undefined) return [];
  // `2014` ended before any day of 2015.
  const hasEnded =
    point.period?.end !== undefined && point.period.end < today.slice(0, point.period.end.length);
  const use = hasEnded ? 'old' : point.use;
  const isRank =
    point.rank !== undefined &&
    Number.isInteger(point.rank) &&
    point.rank >= 1 &&
    point.rank <= rankMax;
  return [
    present({
      system,
      value,
      use: use !== undefined && uses.has(use) ? use : undefined,
      rank: isRank ? point.rank : undefined,
    }),
  ];
}

const tagForm = /^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,6}$/;

function toLanguage(communication: NonNullable<FhirPatient['communication']>): string | undefined {
  const spoken =
    communication.find(({ preferred }) => preferred) ??
    (communication.length === 1 ? communication[0] : undefined);
  return spoken?.language.coding?.find(({ code }) => code !== undefined && isLanguage(code))?.code;
}

function isLanguage(code: string): boolean {
  try {
    return tagForm.test(code) && Intl.getCanonicalLocales(code).length === 1;
  } catch {
    // Intl knows no gentler way to ask.
    return false;
  }
}
