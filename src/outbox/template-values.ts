import { maskEmail, maskPhone, maskWord } from './masked-value.ts';

/**
 * The names that a template may use, and what each says about a patient and a visit. Values are plain
 * text of one line: they are never evaluated, and a name that smuggles a link or a number is left out.
 */

export interface PersonName {
  given?: string | null | undefined;
  family?: string | null | undefined;
  middle?: string | null | undefined;
  preferred?: string | null | undefined;
}

/** A visit or an appointment as a text speaks of it. */
export interface Meeting {
  start: Temporal.Instant;
  zone: string;
  practitioner?: string | null | undefined;
  service?: string | null | undefined;
  location?: string | null | undefined;
}

export interface TemplateFacts {
  patientName?: PersonName | null | undefined;
  /** Who else of the household is meant: each name becomes the list of all. */
  alsoNamed?: readonly PersonName[] | undefined;
  clinic?:
    | { name?: string | null; phone?: string | null; address?: string | null }
    | null
    | undefined;
  /** As it is stored; a text shows it masked. */
  onFile?: Partial<Record<'phone' | 'email' | 'city', string | null>> | undefined;
  visit?: Meeting | null | undefined;
  appointment?: Meeting | null | undefined;
  links?:
    | Partial<Record<'confirm' | 'book' | 'rate' | 'verify' | 'unsubscribe', string>>
    | undefined;
  loyalty?: Readonly<Record<string, string>> | undefined;
  offer?: Readonly<Record<string, string>> | undefined;
}

type ReadValue = (facts: TemplateFacts, language: string) => string | null | undefined;

const fixedNames: Readonly<Record<string, ReadValue>> = {
  'patient.name.given': names((name) => safeName(name.given), 'person'),
  'patient.name.family': names((name) => safeName(name.family), 'family'),
  'patient.name.middle': names((name) => safeName(name.middle), 'family'),
  'patient.name.preferred': names((name) => safeName(name.preferred), 'person'),
  'patient.name.salutation': names(salutation, 'person'),
  'clinic.name': ({ clinic }) => clinic?.name,
  'clinic.phone': ({ clinic }) => clinic?.phone,
  'clinic.address': ({ clinic }) => clinic?.address,
  'onFile.phone': ({ onFile }) => onFile?.phone && maskPhone(onFile.phone),
  'onFile.email': ({ onFile }) => onFile?.email && maskEmail(onFile.email),
  'onFile.city': ({ onFile }) => onFile?.city && maskWord(onFile.city),
  ...meetingNames('visit'),
  ...meetingNames('appointment'),
  'link.confirm': ({ links }) => links?.confirm,
  'link.book': ({ links }) => links?.book,
  'link.rate': ({ links }) => links?.rate,
  'link.verify': ({ links }) => links?.verify,
  'link.unsubscribe': ({ links }) => links?.unsubscribe,
};

/** Whatever the clinic's programme calls its figures, such as `loyalty.balance` or `offer.code`. */
const openNames = /^(loyalty|offer)\.([A-Za-z][A-Za-z0-9]{0,39})$/;

/** The names with one meaning; `loyalty.*` and `offer.*` come on top. */
export const templateNames: readonly string[] = Object.keys(fixedNames);

export function isTemplateName(name: string): boolean {
  return Object.hasOwn(fixedNames, name) || openNames.test(name);
}

/** What a name says in that language, on one line; null when there is nothing fit to say. */
export function templateValue(name: string, facts: TemplateFacts, language: string): string | null {
  const value = readValue(name, facts, language);
  if (value === null || value === undefined) return null;
  const line = oneLine(value).slice(0, valueCharactersMax).toWellFormed();
  return line === '' ? null : line;
}

/** Longer than any link or address of ours. */
const valueCharactersMax = 500;

function readValue(
  name: string,
  facts: TemplateFacts,
  language: string,
): string | null | undefined {
  if (Object.hasOwn(fixedNames, name)) return fixedNames[name]?.(facts, language);
  const [, group, key] = openNames.exec(name) ?? [];
  const values = group === 'loyalty' ? facts.loyalty : facts.offer;
  return key !== undefined && values && Object.hasOwn(values, key) ? values[key] : null;
}

type ReadName = (name: PersonName, language: string) => string | null;

/**
 * One person's name, or those of all whom the text means. Where each must be told apart, whoever lacks that
 * part of a name is called by another; what a family shares is said once.
 */
function names(read: ReadName, kind: 'person' | 'family'): ReadValue {
  return ({ patientName, alsoNamed = [] }, language) => {
    const own = patientName ?? {};
    if (alsoNamed.length === 0) return read(own, language);
    const parts = [own, ...alsoNamed].flatMap(
      (name) => read(name, language) ?? (kind === 'person' ? anyName(name) : null) ?? [],
    );
    const told = kind === 'family' ? [...new Set(parts)] : parts;
    return told.length === 0 ? null : listOf(language).format(told);
  };
}

function anyName({ preferred, given, family }: PersonName): string | null {
  return safeName(preferred) ?? safeName(given) ?? safeName(family);
}

const listsByLanguage = new Map<string, Intl.ListFormat>();

function listOf(language: string): Intl.ListFormat {
  const known = listsByLanguage.get(language);
  if (known) return known;
  const list = new Intl.ListFormat(language, { type: 'conjunction' });
  if (listsByLanguage.size >= formatsMax) listsByLanguage.clear();
  listsByLanguage.set(language, list);
  return list;
}

function meetingNames(kind: 'visit' | 'appointment'): Record<string, ReadValue> {
  return {
    [`${kind}.date`]: (facts, language) => dateText(facts[kind], language),
    [`${kind}.time`]: (facts, language) => timeText(facts[kind], language),
    [`${kind}.practitioner`]: (facts) => facts[kind]?.practitioner,
    [`${kind}.service`]: (facts) => facts[kind]?.service,
    [`${kind}.location`]: (facts) => facts[kind]?.location,
  };
}

/** Russian addresses a person by name and patronymic; elsewhere by the name they prefer, else the given. */
function salutation(name: PersonName, language: string): string | null {
  const given = safeName(name.given);
  const preferred = safeName(name.preferred);
  if (primaryPart(language) !== 'ru') return preferred ?? given;
  const middle = safeName(name.middle);
  if (given !== null && middle !== null) return `${given} ${middle}`;
  return preferred ?? given;
}

export function primaryPart(language: string): string {
  return language.split(/[-_]/, 1)[0]?.toLowerCase() ?? '';
}

const nameCharactersMax = 100;
const looksLikeLink = /[/@\\]|\bwww\b|[\p{L}\p{N}-]{2,}\.[\p{L}\p{N}]{2,}/iu;
const digitRun = /\p{N}[\p{N}\p{P}\p{Zs}]*\p{N}/u;
const brace = /[{}<>[\]]/;
/** Marks piled on one letter paint over the lines around it. */
const pileOfMarks = /\p{M}{4,}/u;

/** A name as it is, or null when it carries what no person's name does. */
function safeName(name: string | null | undefined): string | null {
  if (name === null || name === undefined) return null;
  const line = oneLine(name);
  if (line === '' || line.length > nameCharactersMax) return null;
  // Full-width letters, digits and dots are read as what a phone makes of them.
  const seen = line.normalize('NFKC').replaceAll('\u3002', '.');
  const isUnfit = [looksLikeLink, digitRun, brace, pileOfMarks].some((form) => form.test(seen));
  return isUnfit ? null : line;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
const lineBreaksAndControls = /[\u0000-\u001F\u007F-\u009F\u2028\u2029]+/g;
const bidi = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;

/** Text on one line, without control and direction characters. */
export function oneLine(text: string): string {
  return text.replace(lineBreaksAndControls, ' ').replace(bidi, '').replace(/ {2,}/g, ' ').trim();
}

/** The same for a text of several lines. */
export function withoutControls(text: string): string {
  return text
    .replace(/\r\n?|[\u2028\u2029]/g, '\n')
    .split('\n')
    .map(cleanLine)
    .join('\n')
    .trim();
}

function cleanLine(line: string): string {
  return line.replace(lineBreaksAndControls, ' ').replace(bidi, '').trimEnd();
}

interface Formats {
  date: Intl.DateTimeFormat;
  time: Intl.DateTimeFormat;
}

const formatsByLanguage = new Map<string, Formats>();
const formatsMax = 200;

function dateText(meeting: Meeting | null | undefined, language: string): string | null {
  if (!meeting) return null;
  const day = meeting.start.toZonedDateTimeISO(meeting.zone).toPlainDate();
  return plainSpaces(formatsOf(language).date.format(day));
}

function timeText(meeting: Meeting | null | undefined, language: string): string | null {
  if (!meeting) return null;
  const time = meeting.start.toZonedDateTimeISO(meeting.zone).toPlainTime();
  return plainSpaces(formatsOf(language).time.format(time));
}

/** The narrow space before "PM" alone would double the price of an SMS. */
function plainSpaces(text: string): string {
  return text.replace(/[\u00A0\u202F\u2009]/g, ' ');
}

function formatsOf(language: string): Formats {
  const known = formatsByLanguage.get(language);
  if (known) return known;
  const formats = {
    date: new Intl.DateTimeFormat(language, { day: 'numeric', month: 'long' }),
    time: new Intl.DateTimeFormat(language, { hour: 'numeric', minute: '2-digit' }),
  };
  if (formatsByLanguage.size >= formatsMax) formatsByLanguage.clear();
  formatsByLanguage.set(language, formats);
  return formats;
}
