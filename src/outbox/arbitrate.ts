import type { Caps, ClinicSettings } from '../history/clinic.ts';

/**
 * Who of a local day's messages goes, when not all may: the occurrences of a day compete by priority before
 * any leaves, and a household that is due together gets one message. Pure, and whole in itself: the dispatcher
 * asks it about what stands in the outbox, a forecast about what it has in memory. The order in which
 * messages are given never matters.
 */

/** What a person, or a household, has got already. */
export interface Contacts {
  today: number;
  /** In the seven days that end with today. */
  thisWeek: number;
  /** The highest priority of what reached them today; null where nothing of ours did. */
  priorityToday: number | null;
}

export const noContacts: Contacts = Object.freeze({
  today: 0,
  thisWeek: 0,
  priorityToday: null,
});

/** What decides between two messages. */
export interface Ranked {
  id: string;
  /** The higher goes. */
  priority: number;
  /** When its journey fell due: of equals the longer overdue goes. */
  dueAt: Temporal.Instant;
  /** Of equals the one of the patient with the smaller id goes: that is the same whenever it is asked. */
  patientId: string;
}

/** A counted message that would go today. Tasks, the inbox and transactional messages are none. */
export interface Contender extends Ranked {
  /** The patient and the contact points it reaches: two messages that share one compete. */
  keys: readonly string[];
  /** Its contact point and purpose: such a pair has one contact a day, whatever the caps. */
  slot: string;
  contacts: Contacts;
  /** Null where nobody counts for the household as a whole. */
  household: { key: string; contacts: Contacts } | null;
}

export interface CapTerms {
  person: Caps;
  /** Null where a household has none of its own. */
  household: Caps | null;
}

/** A household that gets one message has the caps of one person, unless the clinic says otherwise. */
export function capTermsOf({
  caps: { household, ...person },
  householdMerging,
}: Pick<ClinicSettings, 'caps' | 'householdMerging'>): CapTerms {
  return { person, household: household ?? (householdMerging ? person : null) };
}

export type Place =
  | { goes: true }
  | {
      goes: false;
      /** `lower-priority` where a higher one goes, or went, in its place today. */
      reason: 'lower-priority' | 'frequency-cap';
      /** Those of the contenders that go in its place, the best first; empty where the books alone are full. */
      after: readonly string[];
    };

/** The places of a day, the best first: each goes unless those before it leave no room. */
export function arbitrate<Given extends Contender>(
  contenders: readonly Given[],
  caps: CapTerms,
): Map<string, Place> {
  const going = new Map<string, Contender[]>();
  const places = new Map<string, Place>();
  for (const each of contenders.toSorted(byRank)) {
    const place = placeOf(each, going, caps);
    places.set(each.id, place);
    if (!place.goes) continue;
    for (const key of sharedKeys(each)) going.set(key, [...(going.get(key) ?? []), each]);
  }
  return places;
}

/** Orders by who goes first: higher priority, then longer overdue, then the smaller id of the patient, then its own. */
export function byRank(one: Ranked, other: Ranked): number {
  if (one.priority !== other.priority) return other.priority - one.priority;
  const order = Temporal.Instant.compare(one.dueAt, other.dueAt);
  if (order !== 0) return order;
  const [first, second] =
    one.patientId === other.patientId ? [one.id, other.id] : [one.patientId, other.patientId];
  if (first === second) return 0;
  return first < second ? -1 : 1;
}

function placeOf(
  contender: Contender,
  going: ReadonlyMap<string, readonly Contender[]>,
  caps: CapTerms,
): Place {
  const { contacts, household, keys, slot } = contender;
  const ahead = goingBy(keys, going);
  const atHome = household === null ? [] : goingBy([household.key], going);
  const isFull = hasNoRoom(contacts, ahead.length, caps.person);
  const isHouseholdFull =
    household !== null &&
    caps.household !== null &&
    hasNoRoom(household.contacts, atHome.length, caps.household);
  const before = (isHouseholdFull ? unionOf(ahead, atHome) : ahead).toSorted(byRank);
  const isTaken = before.some((other) => other.slot === slot);
  if (!isFull && !isHouseholdFull && !isTaken) return { goes: true };
  const known = isHouseholdFull ? [contacts, household.contacts] : [contacts];
  const priorities = [
    ...before.map(({ priority }) => priority),
    ...known.flatMap(({ priorityToday }) => priorityToday ?? []),
  ];
  const isBeaten = priorities.some((priority) => priority > contender.priority);
  return {
    goes: false,
    reason: isBeaten ? 'lower-priority' : 'frequency-cap',
    after: before.map(({ id }) => id),
  };
}

function hasNoRoom({ today, thisWeek }: Contacts, more: number, caps: Caps): boolean {
  return today + more >= caps.perDay || thisWeek + more >= caps.perWeek;
}

function goingBy(
  keys: readonly string[],
  going: ReadonlyMap<string, readonly Contender[]>,
): Contender[] {
  return [...new Set(keys.flatMap((key) => going.get(key) ?? []))];
}

function unionOf(some: readonly Contender[], others: readonly Contender[]): Contender[] {
  return [...new Set([...some, ...others])];
}

function sharedKeys({ keys, household }: Contender): string[] {
  return [...new Set(household === null ? keys : [...keys, household.key])];
}

/** One message of one household and purpose, of somebody who is due that day and against whom nothing speaks. */
export interface HouseholdMessage extends Ranked {
  isMinor: boolean;
  /** An ISO day, where it is known. */
  birthDate: string | null;
  /** False for what only counts as due: its hour is later that day, or its channel rests. */
  mayCarry: boolean;
}

export interface Merged<Given extends HouseholdMessage> {
  /** The one that goes. */
  carrier: Given;
  /** Those whom it names too, in the order in which it does; their own messages end as `household`. */
  companions: Given[];
}

/**
 * The one message of a household, purpose and day: an adult carries it before a minor, then the better
 * ranked one. Each person takes part with the best ranked message of theirs; what else they have competes
 * like any other. Null where none may go now.
 */
export function mergeHousehold<Given extends HouseholdMessage>(
  messages: readonly Given[],
): Merged<Given> | null {
  const ranked = messages.toSorted(byRank);
  const [carrier] = firstOfEach(ranked.filter(({ mayCarry }) => mayCarry)).sort(byCarriage);
  if (carrier === undefined) return null;
  const companions = firstOfEach(ranked)
    .filter(({ patientId }) => patientId !== carrier.patientId)
    .sort(byNaming);
  return { carrier, companions };
}

function firstOfEach<Given extends HouseholdMessage>(messages: readonly Given[]): Given[] {
  const first = new Map<string, Given>();
  for (const message of messages)
    if (!first.has(message.patientId)) first.set(message.patientId, message);
  return [...first.values()];
}

/** An adult, then the better ranked, then the eldest. */
function byCarriage(one: HouseholdMessage, other: HouseholdMessage): number {
  return (
    Number(one.isMinor) - Number(other.isMinor) ||
    other.priority - one.priority ||
    Temporal.Instant.compare(one.dueAt, other.dueAt) ||
    byNaming(one, other)
  );
}

/** The eldest first; whose age is not known, last. */
function byNaming(one: HouseholdMessage, other: HouseholdMessage): number {
  const unborn = '9999-12-31';
  const [first, second] = [one.birthDate ?? unborn, other.birthDate ?? unborn];
  if (one.isMinor !== other.isMinor) return Number(one.isMinor) - Number(other.isMinor);
  if (first !== second) return first < second ? -1 : 1;
  return one.patientId < other.patientId ? -1 : 1;
}

/** The age from which a person answers for themselves. */
export const majorityYears = 18;

/** On that day; whose birth date is not known is a minor if somebody answers for them. */
export function isMinorOn(
  day: string,
  { birthDate, guardianId }: { birthDate: string | null; guardianId: string | null },
): boolean {
  return birthDate === null ? guardianId !== null : birthDate > latestBirthOfAdults(day);
}

/** Who was born up to this day is of age on that one. */
export function latestBirthOfAdults(day: string): string {
  return Temporal.PlainDate.from(day).subtract({ years: majorityYears }).toString();
}
