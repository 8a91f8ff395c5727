/**
 * Two years of synthetic patients go through the FHIR intake day by day, and every message is held against
 * the oracle: none missing, none extra, none to the dead.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { type Answer, type Client, testApi } from './support/api.ts';
import {
  type Bundle,
  type Entry,
  type ExpectedMessage,
  expectedMessages,
  type Person,
  readPeople,
} from './support/synthea-oracle.ts';

const zone = 'America/New_York';
const from = '2019-04-01';
const until = '2021-04-01';
const root = path.join(import.meta.dirname, '..');
const everybody = path.join(root, '../shared/samples/synthea/patients.ndjson');
const aFew = path.join(root, 'test/fixtures/synthea/patients.ndjson');

/** Every seventh patient agreed to care alone. */
const refuses = (index: number): boolean => index % 7 === 6;

const samples = [
  { who: 'a few Synthea patients', file: aFew, messagesMin: 30 },
  { who: 'all Synthea patients', file: everybody, messagesMin: 100 },
] as const;

/** Two years of days: minutes on a slow machine. */
t.setTimeout(900_000);

for (const { who, file, messagesMin } of samples) {
  const skip = existsSync(file) ? false : 'The sample files lie beside the project, not in it.';
  t.test(
    `${who} get every recall and greeting that is due, and no other`,
    { skip, timeout: 900_000 },
    async (t) => {
      const people = readPeople(file, zone);
      const clinic = await openClinic(t);
      const rules = await activateRules(clinic);
      await live(clinic, people);

      const refusers = new Set(people.filter((_, index) => refuses(index)));
      const mayGreet = (person: Person) => !refusers.has(person);
      const expected = expectedMessages(people, { zone, from, until, mayGreet });
      const sent = await sentMessages(clinic, rules);
      t.ok(expected.length >= messagesMin, `${expected.length} messages are expected`);
      t.same(difference(expected, sent), [], 'none is missing');
      t.same(difference(sent, expected), [], 'none is extra');
      t.equal(sent.length, expected.length, 'none came twice or not at all');
    },
  );
}

async function openClinic(t: Pick<Test, 'teardown'>): Promise<Client> {
  const api = await testApi(t);
  return api.clinic({
    ...{ name: 'Synthea Clinic', timeZone: zone, country: 'US', language: 'en', currency: 'USD' },
    now: startOf(from),
  });
}

/** @returns the rules' names by id. */
async function activateRules(clinic: Client): Promise<Map<string, ExpectedMessage['rule']>> {
  const steps = (template: string) => [{ channel: 'inbox', template }];
  const rules = [
    {
      name: 'recall',
      purpose: 'care',
      trigger: { type: 'visit', after: 'P180D' },
      sendAt: '10:00',
      steps: steps('recall'),
    },
    {
      name: 'birthday',
      purpose: 'marketing',
      trigger: { type: 'birthday' },
      steps: steps('birthday'),
    },
  ] as const;
  const names = new Map<string, ExpectedMessage['rule']>();
  for (const rule of rules) {
    const bodies = { inbox: { en: { text: 'We would love to see you, {{patient.name.given}}.' } } };
    ok(await clinic.put(`/v1/templates/${rule.name}`, { purpose: rule.purpose, bodies }));
    const { body } = ok(await clinic.post('/v1/rules', rule));
    ok(await clinic.post(`/v1/rules/${body.id}/activate`, {}));
    names.set(String(body.id), rule.name);
  }
  return names;
}

/** Tells the clinic's story: first what was before, then each day as it is over. */
async function live(clinic: Client, people: readonly Person[]): Promise<void> {
  const refusers = new Set(people.filter((_, index) => refuses(index)));
  const isKnown = new Set<Person>();
  const tell = async (person: Person, day: string, entries: readonly Entry[]) => {
    await takeIn(clinic, bundleOf(person, day, entries));
    if (isKnown.has(person)) return;
    isKnown.add(person);
    await consent(clinic, person, day, refusers.has(person));
  };
  for (const person of people)
    if (person.birthDate < from) await tell(person, from, entriesUntil(person, from));

  for (const day of daysWithNews(people)) {
    await moveClock(clinic, day);
    for (const person of people) if (person.diedOn === day) await tell(person, day, []);
    const comers = people.filter(({ encounters }) => encounters.some((one) => one.day === day));
    if (comers.length === 0) continue;
    const nextDay = Temporal.PlainDate.from(day).add({ days: 1 }).toString();
    await moveClock(clinic, nextDay);
    for (const person of comers) await tell(person, nextDay, entriesOn(person, day));
  }
  await moveClock(clinic, until);
}

function daysWithNews(people: readonly Person[]): string[] {
  const days = people.flatMap(({ diedOn, encounters }) => [
    ...encounters.map(({ day }) => day),
    ...(diedOn === null ? [] : [diedOn]),
  ]);
  return [...new Set(days)].filter((day) => day >= from && day < until).sort();
}

function entriesUntil({ encounters }: Person, day: string): Entry[] {
  return encounters.filter((one) => one.day < day).map(({ entry }) => entry);
}

function entriesOn({ encounters }: Person, day: string): Entry[] {
  return encounters.filter((one) => one.day === day).map(({ entry }) => entry);
}

/** The person's own Bundle with these encounters alone, and alive until the day of death. */
function bundleOf(person: Person, day: string, encounters: readonly Entry[]): Bundle {
  const isAlive = person.diedOn === null || person.diedOn > day;
  const others = person.bundle.entry.filter(
    ({ resource }) => resource.resourceType !== 'Encounter',
  );
  const asOf = others.map((entry) => {
    const { deceasedDateTime, ...resource } = entry.resource;
    return isAlive && deceasedDateTime !== undefined ? { ...entry, resource } : entry;
  });
  return { ...person.bundle, entry: [...asOf, ...encounters] };
}

async function takeIn(clinic: Client, bundle: Bundle): Promise<void> {
  const { body } = ok(await clinic.post('/v1/intake/fhir', bundle));
  const rejected = body.rejected as unknown[];
  if (rejected.length > 0) throw new Error(`Rejected: ${JSON.stringify(rejected)}`);
}

async function consent(
  clinic: Client,
  person: Person,
  day: string,
  refuses: boolean,
): Promise<void> {
  const purposes = { care: 'granted', marketing: refuses ? 'denied' : 'granted' };
  const events = Object.entries(purposes).map(([purpose, state]) => ({
    id: `consent-${person.id}-${purpose}`,
    type: 'consent.changed',
    occurredAt: startOf(day),
    data: { patientId: person.id, purpose, channel: 'inbox', state, evidence: 'On paper.' },
  }));
  const { body } = ok(await clinic.post('/v1/events', events));
  if (body.accepted !== events.length) throw new Error(`Not taken: ${JSON.stringify(body)}`);
}

async function moveClock(clinic: Client, day: string): Promise<void> {
  ok(await clinic.post('/v1/test/clock', { now: startOf(day) }));
}

function startOf(day: string): string {
  return Temporal.PlainDate.from(day).toZonedDateTime(zone).toInstant().toString();
}

/** Everything that left, or is counted as if it had. */
async function sentMessages(
  clinic: Client,
  rules: ReadonlyMap<string, ExpectedMessage['rule']>,
): Promise<ExpectedMessage[]> {
  const messages: ExpectedMessage[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const { body } = ok(await clinic.get(`/v1/messages?limit=200${query}`));
    for (const message of body.data as Record<string, string>[]) {
      if (message.sentAt == null) continue;
      messages.push({
        patientId: message.patientId ?? '',
        rule: rules.get(message.ruleId ?? '') ?? 'recall',
        occurrence: message.occurrence ?? '',
        at: message.sentAt,
        channel: message.channel as 'inbox',
      });
    }
    cursor = body.nextCursor as string | null;
  } while (cursor !== null);
  return messages;
}

function difference(
  from: readonly ExpectedMessage[],
  other: readonly ExpectedMessage[],
): ExpectedMessage[] {
  const keys = new Set(other.map(keyOf));
  return from.filter((message) => !keys.has(keyOf(message)));
}

function keyOf({ patientId, rule, occurrence, at, channel }: ExpectedMessage): string {
  return [patientId, rule, occurrence, Temporal.Instant.from(at).toString(), channel].join(' ');
}

function ok(answer: Answer): Answer {
  if (answer.status >= 300) throw new Error(`${answer.status}: ${answer.text}`);
  return answer;
}
