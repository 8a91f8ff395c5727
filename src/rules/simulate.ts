import type { Clinic } from '../history/clinic.ts';
import { nextOpening } from '../history/send-window.ts';
import { addToDay, localDay, startOfDay } from '../local-time.ts';
import {
  arbitrate,
  byRank,
  type Contacts,
  type Contender,
  capTermsOf,
  isMinorOn,
  mergeHousehold,
} from '../outbox/arbitrate.ts';
import type { Guard } from '../outbox/guard.ts';
import { countsTowardCaps } from '../outbox/judge-message.ts';
import { openPlaces, type Pool, type Wish } from '../outbox/places.ts';
import { hasHours, sendTermsOf } from '../outbox/sending-hours.ts';
import type { Contact } from './choose-contact.ts';
import type { Rule } from './rule.ts';

/**
 * What leaves on coming days when nobody answers, books or changes: all rules of a clinic together, since they
 * compete for a patient's day. The dispatcher decides the same from what stands in the outbox. Pure.
 */

/** A message to be, of a journey that is due or waits already. */
export interface Item {
  /** Of its journey. */
  journey: string;
  rule: Rule;
  patientId: string;
  step: number;
  contacts: readonly Contact[];
  /** No message of the journey has left. */
  isFirst: boolean;
  /** Not before; and too late from then on. */
  at: Temporal.Instant;
  expiresAt: Temporal.Instant;
  /** When the journey fell due: it ranks by it. */
  since: Temporal.Instant;
  guard: Guard;
  patientZone: string | null;
  household: string | null;
  addresses: readonly string[];
  /** What it waited for when it was last looked at. */
  waits: string | null;
}

/** What leaves, or what an item ends with. */
export type Happening =
  | { kind: 'left'; item: Item; at: Temporal.Instant }
  /** Named in another's message. */
  | { kind: 'absorbed'; item: Item; at: Temporal.Instant }
  | { kind: 'ended'; item: Item; reason: string; at: Temporal.Instant }
  /** Still waiting when the days are over. */
  | { kind: 'waiting'; item: Item; reason: string | null };

export interface ContactDay {
  /** What counts once, at however many addresses. */
  contact: string;
  address: string;
  purpose: string;
  day: string;
  priority: number | null;
}

export interface World {
  clinic: Clinic;
  from: Temporal.Instant;
  upTo: Temporal.Instant;
  items: readonly Item[];
  /** The contacts of the last days before. */
  contactDays: readonly ContactDay[];
  /** Where the members of a household are reached. */
  householdAddresses: ReadonlyMap<string, readonly string[]>;
  /** Of who lives with others, by patient. */
  births: ReadonlyMap<string, { birthDate: string | null; guardianId: string | null }>;
  /** The invitation that each patient is in the middle of, by journey. */
  running: ReadonlyMap<string, string>;
  /** First contacts of rules today, before `from`. */
  contactsToday: ReadonlyMap<string, number>;
  pools: readonly (Pool & { day: string })[];
  openInvitations: readonly { wish: Wish; leftAt: Temporal.Instant }[];
  /** What an item invites to; null where it is no invitation. */
  wishOf(item: Item): Wish | null;
  /** The next step of a journey of which one just left; null where there is none. */
  nextOf(item: Item, leftAt: Temporal.Instant): Item | null;
}

export function* simulate(world: World): Generator<Happening> {
  const { clinic, from, upTo } = world;
  const zone = clinic.timeZone;
  const state = openState(world);
  for (let day = localDay(from, zone); ; day = addToDay(day, 'P1D')) {
    const begin = startOfDay(day, zone);
    if (Temporal.Instant.compare(begin, upTo) > 0) break;
    const start = Temporal.Instant.compare(begin, from) < 0 ? from : begin;
    yield* simulateDay(day, start, world, state);
  }
  for (const item of state.waiting) yield { kind: 'waiting', item, reason: item.waits };
}

interface State {
  waiting: Item[];
  /** By address. */
  books: Map<string, ContactDay[]>;
  running: Map<string, string>;
  contactsOfDay: Map<string, number>;
  open: { wish: Wish; leftAt: Temporal.Instant }[];
  sentOfDay: number;
}

function openState(world: World): State {
  return {
    waiting: [...world.items],
    books: Map.groupBy(world.contactDays, ({ address }) => address),
    running: new Map(world.running),
    contactsOfDay: new Map(world.contactsToday),
    open: [...world.openInvitations],
    sentOfDay: 0,
  };
}

interface Candidate {
  item: Item;
  turn: Temporal.Instant;
}

function* simulateDay(
  day: string,
  start: Temporal.Instant,
  world: World,
  state: State,
): Generator<Happening> {
  const dayEnd = startOfDay(addToDay(day, 'P1D'), world.clinic.timeZone);
  // A step may follow another on the same day.
  for (;;) {
    const [today, others] = partition(state.waiting, ({ at }) => isBefore(at, dayEnd));
    state.waiting = others;
    if (today.length === 0) break;
    const candidates: Candidate[] = [];
    for (const item of today) {
      const turn = turnOf(item, start, world.clinic);
      if (turn === null || !isBefore(turn, item.expiresAt)) {
        yield { kind: 'ended', item, reason: item.waits ?? 'send-window', at: start };
      } else if (isBefore(turn, dayEnd)) candidates.push({ item, turn });
      else state.waiting.push({ ...item, at: turn, waits: item.waits ?? 'send-window' });
    }
    yield* settle(day, dayEnd, candidates, world, state);
  }
  state.contactsOfDay.clear();
  state.sentOfDay = 0;
}

function turnOf(
  { at, rule, contacts, patientZone, guard }: Item,
  start: Temporal.Instant,
  clinic: Clinic,
): Temporal.Instant | null {
  const earliest = isBefore(at, start) ? start : at;
  const [contact] = contacts;
  if (contact === undefined || !hasHours(contact.channel)) return earliest;
  const { purpose } = rule.definition;
  return nextOpening(earliest, sendTermsOf({ purpose, patientZone, guard }, clinic));
}

/** Who of a day goes, by the same order of questions as the dispatcher's. */
function* settle(
  day: string,
  dayEnd: Temporal.Instant,
  candidates: readonly Candidate[],
  world: World,
  state: State,
): Generator<Happening> {
  let going = candidates.toSorted(byTurn);
  const hold = (losers: readonly Candidate[], reason: string) => {
    for (const { item } of losers) state.waiting.push({ ...item, at: dayEnd, waits: reason });
  };
  const keep = (reason: string, stays: (candidate: Candidate) => boolean) => {
    const [kept, losers] = partition(going, stays);
    hold(losers, reason);
    going = kept;
  };
  keep('lower-priority', ({ item }) => {
    const running = state.running.get(item.patientId);
    return item.guard.invitation !== true || running === undefined || running === item.journey;
  });
  const named = world.clinic.settings.householdMerging
    ? mergeHouseholds(going, day, world)
    : new Map<Candidate, Candidate[]>();
  const companions = new Set([...named.values()].flat());
  going = going.filter((candidate) => !companions.has(candidate));
  going = placed(day, going, world, state, hold);
  const later = laterInvitations(going, world);
  keep('lower-priority', (candidate) => !later.has(candidate));
  const invited = withinCapacity(day, going, world, state);
  keep('capacity', (candidate) => invited.has(candidate));
  const room = world.clinic.settings.messagesPerDay - state.sentOfDay;
  const counted = new Set(
    going.filter(({ item }) => hasHours(channelOf(item))).slice(0, Math.max(0, room)),
  );
  keep(
    'daily-limit',
    (candidate) => !hasHours(channelOf(candidate.item)) || counted.has(candidate),
  );
  state.sentOfDay += counted.size;
  for (const candidate of going) {
    const { item, turn } = candidate;
    leave(item, turn, day, world, state);
    yield { kind: 'left', item, at: turn };
    for (const each of named.get(candidate) ?? []) {
      companions.delete(each);
      yield { kind: 'absorbed', item: each.item, at: turn };
    }
  }
  // Whose message was to name them waits, and so do they.
  hold([...companions], 'daily-limit');
}

function channelOf({ contacts }: Item): Contact['channel'] {
  return contacts[0]?.channel ?? 'sms';
}

const unknownBirth = Object.freeze({ birthDate: null, guardianId: null });

/** Who is named in whose message, of one household and purpose. */
function mergeHouseholds(
  going: readonly Candidate[],
  day: string,
  { births }: World,
): Map<Candidate, Candidate[]> {
  const families = Map.groupBy(
    going.filter(({ item }) => item.household !== null && isCounted(item)),
    ({ item }) => `${item.household} ${item.rule.definition.purpose}`,
  );
  const named = new Map<Candidate, Candidate[]>();
  for (const members of families.values()) {
    const byId = new Map(members.map((member) => [idOf(member.item), member]));
    const merged = mergeHousehold(
      members.map(({ item }) => ({
        ...rankOf(item),
        patientId: item.patientId,
        isMinor: isMinorOn(day, births.get(item.patientId) ?? unknownBirth),
        birthDate: births.get(item.patientId)?.birthDate ?? null,
        mayCarry: true,
      })),
    );
    const carrier = merged && byId.get(merged.carrier.id);
    if (!merged || !carrier) continue;
    named.set(
      carrier,
      merged.companions.flatMap(({ id }) => byId.get(id) ?? []),
    );
  }
  return named;
}

/** Those of a patient's invitations that would begin on the day on which another one does. */
function laterInvitations(going: readonly Candidate[], world: World): Set<Candidate> {
  const opening = going.filter(({ item }) => item.guard.invitation === true);
  const byPatient = Map.groupBy(opening, ({ item }) => item.patientId);
  const later = [...byPatient.values()].flatMap((own) => {
    if (own.length === 1) return [];
    const inTurn = own.toSorted(byTurn);
    const begun = inTurn.findIndex(({ item, turn }) => world.nextOf(item, turn) !== null);
    return begun === -1 ? [] : inTurn.slice(begun + 1);
  });
  return new Set(later);
}

/**
 * Who gets a place by rank and within the rules' days. Whom a rule's day holds gives their place to the next,
 * and the other way round, until nothing changes.
 */
function placed(
  day: string,
  going: readonly Candidate[],
  world: World,
  state: State,
  hold: (losers: readonly Candidate[], reason: string) => void,
): Candidate[] {
  const overDay = new Set<Candidate>();
  for (;;) {
    const open = going.filter((candidate) => !overDay.has(candidate));
    const contenders = open
      .filter(({ item }) => isCounted(item))
      .map(({ item }) => contenderOf(item, day, world, state));
    const places = arbitrate(contenders, capTermsOf(world.clinic.settings));
    const goes = ({ item }: Candidate) => places.get(idOf(item))?.goes !== false;
    const over = overPerDay(open.filter(goes), state);
    if (over.length > 0) {
      for (const candidate of over) overDay.add(candidate);
      continue;
    }
    for (const candidate of open) {
      const place = places.get(idOf(candidate.item));
      if (place?.goes === false) hold([candidate], place.reason);
    }
    hold([...overDay], 'daily-limit');
    const winners = open.filter(goes);
    for (const { item } of winners) countFirst(item, state);
    return winners;
  }
}

function isCounted({ rule, contacts }: Item): boolean {
  const { purpose } = rule.definition;
  return contacts.some((contact) => countsTowardCaps({ purpose, ...contact }));
}

function contenderOf(item: Item, day: string, world: World, state: State): Contender {
  const { addresses, contacts, household, patientId, rule } = item;
  const own = [...new Set([...addresses, ...contacts.flatMap(({ address }) => address ?? [])])];
  const members = household === null ? undefined : world.householdAddresses.get(household);
  return {
    ...rankOf(item),
    keys: [patientId, ...own],
    slot: `${contacts[0]?.address} ${rule.definition.purpose}`,
    contacts: contactsOf(own, day, state),
    household:
      household === null || members === undefined
        ? null
        : { key: `household:${household}`, contacts: contactsOf(members, day, state) },
  };
}

function contactsOf(addresses: readonly string[], day: string, { books }: State): Contacts {
  const weekStart = addToDay(day, '-P6D');
  const booked = addresses
    .flatMap((address) => books.get(address) ?? [])
    .filter((each) => each.day >= weekStart && each.day <= day);
  const distinct = (some: readonly ContactDay[]) =>
    new Set(some.map(({ contact }) => contact)).size;
  const today = booked.filter((each) => each.day === day);
  const priorities = today.flatMap(({ priority }) => priority ?? []);
  return {
    today: distinct(today),
    thisWeek: distinct(booked),
    priorityToday: priorities.length === 0 ? null : Math.max(...priorities),
  };
}

/** First contacts beyond the day of their rule: of those whose turn comes together, the least overdue. */
function overPerDay(going: readonly Candidate[], { contactsOfDay }: State): Candidate[] {
  const first = going.filter(({ item }) => item.isFirst);
  return [...Map.groupBy(first, ({ item }) => item.rule.id)].flatMap(([ruleId, wanting]) => {
    const most = wanting[0]?.item.rule.definition.limits?.perDay;
    if (most === undefined) return [];
    const left = Math.max(0, most - (contactsOfDay.get(ruleId) ?? 0));
    return wanting.toSorted(byTurnAndDue).slice(left);
  });
}

function countFirst({ isFirst, rule }: Item, { contactsOfDay }: State): void {
  if (isFirst) contactsOfDay.set(rule.id, (contactsOfDay.get(rule.id) ?? 0) + 1);
}

/** As the dispatcher gives away a rule's day: whose window opens first asks first. */
function byTurnAndDue(one: Candidate, other: Candidate): number {
  return Temporal.Instant.compare(one.turn, other.turn) || byDue(one, other);
}

/** The longest due first. */
function byDue(one: Candidate, other: Candidate): number {
  const order = Temporal.Instant.compare(one.item.since, other.item.since);
  if (order !== 0 || one.item.patientId === other.item.patientId)
    return order || byTurn(one, other);
  return one.item.patientId < other.item.patientId ? -1 : 1;
}

const invitationKept = Temporal.Duration.from({ hours: 7 * 24 });

function withinCapacity(
  day: string,
  going: readonly Candidate[],
  world: World,
  state: State,
): Set<Candidate> {
  const pools = world.pools.filter((pool) => pool.day >= day);
  if (pools.length === 0) return new Set(going);
  const places = openPlaces(pools);
  const since = startOfDay(day, world.clinic.timeZone).subtract(invitationKept);
  for (const { wish, leftAt } of state.open) if (!isBefore(leftAt, since)) places.take(wish);
  const inOrder = going.toSorted(byDue);
  return new Set(
    inOrder.filter(({ item, turn }) => {
      const wish = item.isFirst ? world.wishOf(item) : null;
      if (wish === null) return true;
      if (!places.take(wish)) return false;
      state.open.push({ wish, leftAt: turn });
      return true;
    }),
  );
}

function leave(item: Item, turn: Temporal.Instant, day: string, world: World, state: State): void {
  const { purpose, priority } = item.rule.definition;
  for (const { channel, address } of item.contacts) {
    if (address === null || !countsTowardCaps({ purpose, channel, address })) continue;
    const booked = state.books.get(address) ?? [];
    state.books.set(address, [...booked, { contact: idOf(item), address, purpose, day, priority }]);
  }
  const next = world.nextOf(item, turn);
  if (next !== null) state.waiting.push(next);
  const isInvitation =
    item.guard.invitation === true || state.running.get(item.patientId) === item.journey;
  if (!isInvitation) return;
  if (next === null) state.running.delete(item.patientId);
  else state.running.set(item.patientId, item.journey);
}

function rankOf(item: Item) {
  return { id: idOf(item), priority: item.rule.definition.priority, dueAt: item.since };
}

function idOf({ journey, step }: Item): string {
  return `${journey}/${step}`;
}

function byTurn(one: Candidate, other: Candidate): number {
  return (
    Temporal.Instant.compare(one.turn, other.turn) || byRank(rankOf(one.item), rankOf(other.item))
  );
}

function partition<Given>(
  all: readonly Given[],
  isFirst: (each: Given) => boolean,
): [Given[], Given[]] {
  const [first, second]: [Given[], Given[]] = [[], []];
  for (const each of all) (isFirst(each) ? first : second).push(each);
  return [first, second];
}

function isBefore(one: Temporal.Instant, other: Temporal.Instant): boolean {
  return Temporal.Instant.compare(one, other) < 0;
}
