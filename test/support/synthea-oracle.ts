/**
 * Who must get what of the Synthea patients, written once more from the definitions alone and with nothing
 * of `src/`. The test tells the service about each local day when it is over, a death on the morning of its day.
 */
import * as fs from 'node:fs';

export interface Resource {
  resourceType: string;
  id: string;
  birthDate?: string;
  deceasedDateTime?: string;
  period?: { start: string; end: string };
}

export interface Entry {
  fullUrl: string;
  resource: Resource;
  request: { method: string; url: string };
}

export interface Bundle {
  resourceType: 'Bundle';
  type: 'transaction';
  entry: Entry[];
}

export interface Person {
  id: string;
  birthDate: string;
  /** The local day of death, if any. */
  diedOn: string | null;
  /** By their end, which is a visit's anchor. */
  encounters: Encounter[];
  bundle: Bundle;
}

export interface Encounter {
  id: string;
  end: Temporal.Instant;
  /** The local day on which it ended. */
  day: string;
  entry: Entry;
}

export interface ExpectedMessage {
  patientId: string;
  rule: 'recall' | 'birthday';
  occurrence: string;
  at: string;
  channel: 'inbox';
}

export interface Course {
  zone: string;
  /** Local days: the rules are activated as the first begins, and all ends as the second begins. */
  from: string;
  until: string;
  mayGreet(person: Person): boolean;
}

const recallAfterDays = 180;
const sendAt = '10:00';

/** The people of a file of Bundles, a line each; Bundles without a Patient are left out. */
export function readPeople(file: string, zone: string): Person[] {
  return fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Bundle)
    .flatMap((bundle) => {
      const patient = bundle.entry.find(({ resource }) => resource.resourceType === 'Patient');
      return patient === undefined ? [] : [toPerson(bundle, patient.resource, zone)];
    });
}

function toPerson(bundle: Bundle, patient: Resource, zone: string): Person {
  const encounters = bundle.entry
    .filter(({ resource }) => resource.resourceType === 'Encounter')
    .map((entry) => {
      const end = Temporal.Instant.from(entry.resource.period?.end ?? '');
      return { id: entry.resource.id, end, day: dayOf(end, zone), entry };
    })
    .sort(compareEncounters);
  const died = patient.deceasedDateTime;
  return {
    id: patient.id,
    birthDate: patient.birthDate ?? '',
    diedOn: died === undefined ? null : dayOf(Temporal.Instant.from(died), zone),
    encounters,
    bundle,
  };
}

/** Of two that end at once the later is the one with the greater id. */
function compareEncounters(one: Encounter, other: Encounter): number {
  return Temporal.Instant.compare(one.end, other.end) || (one.id < other.id ? -1 : 1);
}

export function expectedMessages(people: readonly Person[], course: Course): ExpectedMessage[] {
  return people.flatMap((person) => [...recalls(person, course), ...greetings(person, course)]);
}

/** After the last visit, unless another is known by then. */
function recalls(person: Person, course: Course): ExpectedMessage[] {
  return person.encounters.flatMap(({ id, day }, index) => {
    const dueDay = plusDays(day, recallAfterDays);
    const next = person.encounters[index + 1];
    // What ended on a day is known once it is over, so the day's own visits do not count yet.
    const isReplaced = next !== undefined && next.day < dueDay;
    if (isReplaced || !isDuring(dueDay, course) || isDead(person, dueDay)) return [];
    return [expected(person, 'recall', `visit:${id}`, dueDay, course)];
  });
}

function greetings(person: Person, course: Course): ExpectedMessage[] {
  if (!course.mayGreet(person)) return [];
  const messages: ExpectedMessage[] = [];
  const birthYear = Number(person.birthDate.slice(0, 4));
  for (let year = yearOf(course.from); year <= yearOf(course.until); year += 1) {
    const day = birthdayOf(person.birthDate, year);
    if (year > birthYear && isDuring(day, course) && !isDead(person, day))
      messages.push(expected(person, 'birthday', `birthday:${year}`, day, course));
  }
  return messages;
}

function expected(
  person: Person,
  rule: ExpectedMessage['rule'],
  occurrence: string,
  day: string,
  { zone }: Course,
): ExpectedMessage {
  const at = Temporal.PlainDateTime.from(`${day}T${sendAt}`).toZonedDateTime(zone).toInstant();
  return { patientId: person.id, rule, occurrence, at: at.toString(), channel: 'inbox' };
}

function isDuring(day: string, { from, until }: Course): boolean {
  return day >= from && day < until;
}

function isDead({ diedOn }: Person, day: string): boolean {
  return diedOn !== null && diedOn <= day;
}

/** 29 February is kept on the 28th in other years. */
function birthdayOf(birthDate: string, year: number): string {
  const [, month = 1, day = 1] = birthDate.split('-').map(Number);
  const isLeap = new Date(Date.UTC(year, 1, 29)).getUTCDate() === 29;
  const kept = month === 2 && day === 29 && !isLeap ? 28 : day;
  return new Date(Date.UTC(year, month - 1, kept)).toISOString().slice(0, 10);
}

function plusDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}

function yearOf(day: string): number {
  return Number(day.slice(0, 4));
}

export function dayOf(instant: Temporal.Instant, zone: string): string {
  return instant.toZonedDateTimeISO(zone).toPlainDate().toString();
}
