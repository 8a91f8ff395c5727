import { nextOpening } from '../history/send-window.ts';
import { addToDay, earlier, isBefore, startOfDay } from '../local-time.ts';
import { amountToMicros } from '../money.ts';
import { arbitrate, byRank, capTermsOf, isMinorOn, mergeHousehold } from '../outbox/arbitrate.ts';
import { findLaterInvitations } from '../outbox/hold-invitations.ts';
import { invitationKept } from '../outbox/hold-over-capacity.ts';
import { countsTowardCaps, little } from '../outbox/judge-message.ts';
import { unfitReasons } from '../outbox/lock-batch.ts';
import { isResting, untilHeldWith } from '../outbox/merge-households.ts';
import { openPlaces } from '../outbox/places.ts';
import { hasHours, sendTermsOf } from '../outbox/sending-hours.ts';
import { type Agenda, type Candidate, firstTurn, openAgenda } from './agenda.ts';
import { closeRuleDays, findAnomalies } from './simulate-anomaly.ts';
import {
  contenderOf,
  isCounted,
  keysOf,
  namedOf,
  rankOf,
  reasonOfTaken,
  strangerOf,
} from './simulate-contenders.ts';
import {
  type Happening,
  type Item,
  idOf,
  keyOfNamed,
  type SpentDay,
  type State,
  type World,
} from './simulate-world.ts';

/**
 * One day of a clinic, from one instant at which something is due to the next: who goes, by the same questions in the
 * same order as the dispatcher's. Pure but for the state that it hands on.
 */

interface Day {
  day: string;
  start: Temporal.Instant;
  end: Temporal.Instant;
  world: World;
  state: State;
  agenda: Agenda;
  /** Who can only be named by others today, by family. */
  named: Map<string, Set<Item>>;
}

export function* simulateDay(
  day: string,
  start: Temporal.Instant,
  world: World,
  state: State,
): Generator<Happening> {
  const end = startOfDay(addToDay(day, 'P1D'), world.clinic.timeZone);
  const today: Day = {
    ...{ day, start, end, world, state },
    agenda: openAgenda(keysOf),
    named: new Map(),
  };
  const known = state.waiting;
  state.waiting = [];
  for (const item of known) yield* enter(item, today);
  for (let due = today.agenda.take(); due.length > 0; due = today.agenda.take())
    yield* settle(due, today);
  for (const items of today.named.values()) state.waiting.push(...items);
  closeRuleDays(state);
  state.contactsOfDay.clear();
  state.sentOfDay = 0;
}

/** Puts it on the day's agenda, or leaves it for a later one, or ends it. */
function* enter(item: Item, today: Day): Generator<Happening> {
  const { start, end, world, agenda } = today;
  const at = isBefore(item.at, start) ? start : item.at;
  if (!isBefore(at, end)) {
    leaveForLater(item, today);
    return;
  }
  if (!isBefore(at, item.expiresAt)) {
    yield { kind: 'ended', item, reason: item.waits ?? 'too-late', at };
    return;
  }
  if (item.isNamedOnly) {
    addNamed(item, today);
    return;
  }
  const turn = turnOf(item, at, world);
  if (turn === null || !isBefore(turn, item.expiresAt))
    yield { kind: 'ended', item, reason: 'send-window', at };
  else if (isBefore(turn, end)) agenda.add({ item, turn });
  else leaveForLater({ ...item, at: turn, waits: 'send-window' }, today);
}

/** Who waits for another day may still be named by who goes today, unless it waits for what its rule may send. */
function leaveForLater(item: Item, today: Day): void {
  const { waits } = item;
  const mayBeNamed =
    today.world.clinic.settings.householdMerging &&
    (waits === 'send-window' || isResting(waits)) &&
    mayMerge(item);
  if (mayBeNamed) addNamed(item, today);
  else today.state.waiting.push(item);
}

function addNamed(item: Item, { named }: Day): void {
  const family = familyOf(item);
  named.set(family, (named.get(family) ?? new Set()).add(item));
}

function turnOf(
  { rule, contacts, patientZone, guard }: Item,
  at: Temporal.Instant,
  { clinic }: World,
): Temporal.Instant | null {
  if (!hasHours(channelOf({ contacts }))) return at;
  const { purpose } = rule.definition;
  return nextOpening(at, sendTermsOf({ purpose, patientZone, guard }, clinic));
}

function channelOf({ contacts }: Pick<Item, 'contacts'>) {
  return contacts[0]?.channel ?? 'sms';
}

/** What is due at one instant, and what becomes of it. */
interface Round {
  now: Temporal.Instant;
  due: Candidate[];
  /** Who stays, what for, and until when. */
  stays: Map<Candidate, { reason: string; until: Temporal.Instant }>;
  /** Who lost to others, which may stay in their turn. */
  outranked: { loser: Candidate; by: readonly string[] }[];
  /** By the one that carries them. */
  companions: Map<Candidate, Companion[]>;
}

interface Companion {
  item: Item;
  /** Null where it is only ever named. */
  candidate: Candidate | null;
}

function* settle(due: Candidate[], today: Day): Generator<Happening> {
  const [first] = due;
  if (first === undefined) return;
  const round: Round = {
    ...{ now: first.turn, due },
    ...{ stays: new Map(), outranked: [], companions: new Map() },
  };
  holdInvited(round, today);
  if (today.world.clinic.settings.householdMerging) mergeHouseholds(round, today);
  holdOutranked(round, today);
  holdLaterInvitations(round, today);
  holdUnusual(round, today);
  holdOverRuleDays(round, today);
  holdOverCapacity(round, today);
  holdOverBudget(round, today);
  holdOverDay(round, today);
  yield* leaveAll(round, today);
}

function goersOf({ due, stays }: Round): Candidate[] {
  return due.filter((candidate) => !stays.has(candidate));
}

/** One invitation at a time: the one that is running first comes to its end. */
function holdInvited(round: Round, today: Day): void {
  for (const candidate of round.due) {
    if (isInvited(candidate.item, today))
      round.stays.set(candidate, { reason: 'lower-priority', until: today.end });
  }
}

function isInvited({ guard, patientId, journey }: Item, { state }: Day): boolean {
  const running = state.running.get(patientId);
  return guard.invitation === true && running !== undefined && running !== journey;
}

const unknownBirth = Object.freeze({ birthDate: null, guardianId: null });

/** One message for all of a household against whom nothing speaks but the hour. */
function mergeHouseholds(round: Round, today: Day): void {
  const leaders = goersOf(round).filter(({ item }) => mayMerge(item));
  for (const family of Map.groupBy(leaders, ({ item }) => familyOf(item)).values())
    mergeFamily(family, round, today);
}

function familyOf({ household, rule }: Item): string {
  return `${rule.definition.purpose} ${household}`;
}

function mergeFamily(family: readonly Candidate[], round: Round, today: Day): void {
  const { day, end, world, agenda, named } = today;
  const [first] = family;
  if (first === undefined) return;
  const isKin = (item: Item) => mayMerge(item) && familyOf(item) === familyOf(first.item);
  const early = agenda
    .under([`household:${first.item.household}`])
    .filter(
      ({ item }) =>
        isKin(item) &&
        !isUnfit(item, round.now) &&
        !isBooked(item, round.now) &&
        !isInvited(item, today),
    );
  const silent = [...(named.get(familyOf(first.item)) ?? [])].filter(
    (item) => isBefore(round.now, item.expiresAt) && !isInvited(item, today),
  );
  const members: Companion[] = [
    ...[...family, ...early].map((candidate) => ({ item: candidate.item, candidate })),
    ...silent.map((item) => ({ item, candidate: null })),
  ];
  const byId = new Map(members.map((member) => [idOf(member.item), member]));
  const merged = mergeHousehold(
    members.map(({ item, candidate }) => ({
      ...rankOf(item),
      isMinor: isMinorOn(day, world.births.get(item.patientId) ?? unknownBirth),
      birthDate: world.births.get(item.patientId)?.birthDate ?? null,
      mayCarry:
        candidate !== null &&
        (family.includes(candidate) || !isResting(item.waits)) &&
        isOpenAt(item, round.now, world),
    })),
  );
  const carrier = merged && byId.get(merged.carrier.id)?.candidate;
  if (!merged || !carrier) return;
  // Whoever carries it goes now, whenever it was due that day.
  agenda.remove(carrier);
  const companions = merged.companions.flatMap(({ id }) => byId.get(id) ?? []);
  const absorbed = new Set(companions.map(({ candidate }) => candidate));
  for (const { item, candidate } of companions) {
    named.get(familyOf(item))?.delete(item);
    if (candidate !== null) agenda.remove(candidate);
  }
  if (!round.due.includes(carrier)) round.due.push(carrier);
  round.due = round.due.filter((candidate) => !absorbed.has(candidate));
  round.companions.set(carrier, companions);
  const best = Math.max(...members.filter(isOf(carrier, companions)).map(priorityOf));
  for (const candidate of family) {
    if (candidate === carrier || absorbed.has(candidate)) continue;
    const reason = priorityOf(candidate) < best ? 'lower-priority' : 'frequency-cap';
    round.stays.set(candidate, { reason, until: end });
    round.outranked.push({ loser: candidate, by: [idOf(carrier.item)] });
  }
}

function isOf(carrier: Candidate, companions: readonly Companion[]) {
  return (member: Companion) => member.candidate === carrier || companions.includes(member);
}

function priorityOf({ item }: { item: Item }): number {
  return item.rule.definition.priority;
}

/** What is private, or speaks of one appointment, is said to its patient alone. */
function mayMerge(item: Item): boolean {
  const { definition } = item.rule;
  return (
    item.household !== null &&
    (item.isNamedOnly || isCounted(item)) &&
    item.guard.anchor?.kind !== 'appointment' &&
    !definition.sensitive
  );
}

/** Until its rule is asked again, what it may send keeps it from being named too. */
function isUnfit({ waits, at }: Item, now: Temporal.Instant): boolean {
  return waits !== null && unfitReasons.includes(waits) && isBefore(now, at);
}

/** Until that appointment is over nobody speaks for them. */
function isBooked({ waits, at }: Item, now: Temporal.Instant): boolean {
  return waits === 'future-appointment' && isBefore(now, at);
}

function isOpenAt(item: Item, now: Temporal.Instant, world: World): boolean {
  return turnOf(item, now, world)?.equals(now) === true;
}

/** Caps, and who of the day's messages goes when they leave no room for all. */
function holdOutranked(round: Round, today: Day): void {
  const { agenda, world, state, end, day } = today;
  const counted = goersOf(round).filter(({ item }) => isCounted(item));
  const rivals = agenda
    .under(new Set(counted.flatMap(({ item }) => [...keysOf(item)])))
    .filter(({ item }) => isCounted(item) && !isBooked(item, round.now));
  const turns = new Map(rivals.map((rival) => [idOf(rival.item), rival]));
  const places = arbitrate(
    [
      ...counted.map(({ item }) => contenderOf(item, day, world, state)),
      ...[...round.companions.values()].flat().map(({ item }) => namedOf(item)),
      ...rivals.map(({ item }) => strangerOf(item)),
    ],
    capTermsOf(world.clinic.settings),
  );
  for (const candidate of counted) {
    const place = places.get(idOf(candidate.item));
    if (place === undefined) continue;
    if (place.goes) {
      const reason = reasonOfTaken(candidate.item, day, state);
      if (reason !== null) round.stays.set(candidate, { reason, until: end });
      continue;
    }
    const turn = firstTurn(place.after.flatMap((id) => turns.get(id) ?? []));
    round.stays.set(candidate, {
      reason: place.reason,
      until: turn === null ? end : earlier(turn.add(little), end),
    });
    if (turn === null && place.after.length > 0)
      round.outranked.push({ loser: candidate, by: place.after });
  }
}

/** Two ladders that are due at once do not both begin. */
function holdLaterInvitations(round: Round, { end }: Day): void {
  const openings = goersOf(round)
    .filter(({ item }) => item.guard.invitation === true)
    .map((candidate) => {
      const { item } = candidate;
      const continues = item.step < item.rule.definition.steps.length - 1;
      return { ...rankOf(item), journeyId: item.journey, continues, candidate };
    });
  for (const [later, begun] of findLaterInvitations(openings)) {
    round.stays.set(later.candidate, { reason: 'lower-priority', until: end });
    round.outranked.push({ loser: later.candidate, by: [begun.id] });
  }
}

/** Whose rule would do many times what it usually does in a day waits until people have looked. */
function holdUnusual(round: Round, { agenda, state, end }: Day): void {
  const first = goersOf(round).filter(({ item }) => item.isFirst);
  if (first.length === 0) return;
  const later = agenda.all().filter(({ item }) => !isBooked(item, round.now));
  const items = (candidates: readonly Candidate[]) => candidates.map(({ item }) => item);
  const held = findAnomalies(items(first), items(later), state);
  for (const candidate of first) {
    if (held.has(candidate.item.rule.id))
      round.stays.set(candidate, { reason: 'anomaly', until: end });
  }
}

/** First contacts beyond the day of their rule: the least overdue stay. */
function holdOverRuleDays(round: Round, { state, end }: Day): void {
  const first = goersOf(round).filter(({ item }) => item.isFirst);
  for (const [ruleId, wanting] of Map.groupBy(first, ({ item }) => item.rule.id)) {
    const most = wanting[0]?.item.rule.definition.limits?.perDay;
    if (most === undefined) continue;
    const left = Math.max(0, most - (state.contactsOfDay.get(ruleId) ?? 0));
    for (const candidate of wanting.toSorted(byDue).slice(left))
      round.stays.set(candidate, { reason: 'daily-limit', until: end });
  }
}

/** The longest due first, as the dispatcher gives places away. */
function byDue({ item: one }: Candidate, { item: other }: Candidate): number {
  const order = Temporal.Instant.compare(one.since, other.since);
  if (order !== 0) return order;
  if (one.patientId === other.patientId) return byRank(rankOf(one), rankOf(other));
  return one.patientId < other.patientId ? -1 : 1;
}

function holdOverCapacity(round: Round, { day, world, state, end }: Day): void {
  const pools = world.pools.filter((pool) => pool.day >= day);
  if (pools.length === 0) return;
  const places = openPlaces(pools);
  const since = startOfDay(day, world.clinic.timeZone).subtract(invitationKept);
  for (const { wish, leftAt } of state.open) if (!isBefore(leftAt, since)) places.take(wish);
  for (const candidate of goersOf(round).toSorted(byDue)) {
    const wish = candidate.item.isFirst ? world.wishOf(candidate.item) : null;
    if (wish === null) continue;
    if (!places.take(wish)) round.stays.set(candidate, { reason: 'capacity', until: end });
  }
}

/** Of what a rule may still spend the longest due take first. */
function holdOverBudget(round: Round, { day, world, state, end }: Day): void {
  for (const [ruleId, wanting] of Map.groupBy(goersOf(round), ({ item }) => item.rule.id)) {
    const { budget, messages } = wanting[0]?.item.rule.definition.limits ?? {};
    if (budget === undefined && messages === undefined) continue;
    const spent = state.spentDays.get(ruleId) ?? [];
    const since = (per: string) => spent.filter((each) => each.day > addToDay(day, `-${per}`));
    let leftMicros = Number.POSITIVE_INFINITY;
    let leftMessages = Number.POSITIVE_INFINITY;
    if (budget !== undefined)
      leftMicros =
        amountToMicros(budget.amount) - sumOf(since(budget.per), ({ costMicros }) => costMicros);
    if (messages !== undefined)
      leftMessages = messages.count - sumOf(since(messages.per), (each) => each.messages);
    for (const candidate of wanting.toSorted(byDue)) {
      const costMicros = world.priceOf(candidate.item);
      const { length } = candidate.item.contacts;
      if ((costMicros > 0 && costMicros > leftMicros) || length > leftMessages) {
        round.stays.set(candidate, { reason: 'budget', until: end });
        continue;
      }
      leftMicros -= costMicros;
      leftMessages -= length;
    }
  }
}

function sumOf<Given>(all: readonly Given[], of: (each: Given) => number): number {
  return all.reduce((sum, each) => sum + of(each), 0);
}

/** So many messages a day, of all rules. */
function holdOverDay(round: Round, { world, state, end }: Day): void {
  const counted = goersOf(round)
    .filter(({ item }) => hasHours(channelOf(item)))
    .toSorted(({ item: one }, { item: other }) => byRank(rankOf(one), rankOf(other)));
  const room = Math.max(0, world.clinic.settings.messagesPerDay - state.sentOfDay);
  for (const candidate of counted.slice(room))
    round.stays.set(candidate, { reason: 'daily-limit', until: end });
  state.sentOfDay += Math.min(counted.length, room);
}

function* leaveAll(round: Round, today: Day): Generator<Happening> {
  const { now, stays, companions } = round;
  const left = new Set<string>();
  for (const candidate of goersOf(round)) {
    const { item } = candidate;
    const absorbed = (companions.get(candidate) ?? []).map((each) => each.item);
    const named = namedIn(item, absorbed);
    left.add(idOf(item));
    const next = leave(item, named, now, today);
    yield { kind: 'left', item, named, at: now };
    for (const each of absorbed) yield { kind: 'absorbed', item: each, at: now };
    if (next !== null) yield* enter(next, today);
  }
  // Whoever was to go in a loser's place and does not, gives that place back.
  for (const { loser, by } of round.outranked) {
    const stay = stays.get(loser);
    if (stay !== undefined && !by.every((id) => left.has(id)))
      stays.set(loser, { ...stay, until: earlier(now.add(little), stay.until) });
  }
  for (const [candidate, stay] of stays) {
    yield* enter(waitingFor(candidate.item, stay), today);
    yield* release(companions.get(candidate) ?? [], stay, round, today);
  }
}

/** Those whom a message was to name that stays: who was due stays as long as it does, or goes without it. */
function* release(
  companions: readonly Companion[],
  stay: { reason: string; until: Temporal.Instant },
  { now }: Round,
  today: Day,
): Generator<Happening> {
  for (const { item, candidate } of companions) {
    const isDue = candidate?.turn.equals(now) === true;
    const until = untilHeldWith(stay, now);
    if (isDue) yield* enter(waitingFor(item, { ...stay, until }), today);
    else if (candidate === null) addNamed(item, today);
    else today.agenda.add(candidate);
  }
}

function waitingFor(item: Item, { reason, until }: { reason: string; until: Temporal.Instant }) {
  return { ...item, at: until, waits: reason };
}

/** Whom it names beside its patient, in that order. */
function namedIn({ patientId, named }: Item, absorbed: readonly Item[]): readonly string[] {
  const people = new Set([...absorbed.map((each) => each.patientId), ...named]);
  people.delete(patientId);
  return [...people];
}

/** Books what left. @returns the next step of its journey. */
function leave(
  item: Item,
  named: readonly string[],
  now: Temporal.Instant,
  { day, world, state }: Day,
): Item | null {
  const { definition, id: ruleId } = item.rule;
  const { purpose, priority } = definition;
  const book = (address: string) => {
    const booked = state.books.get(address) ?? [];
    const { household } = item;
    const known = { contact: idOf(item), address, purpose, day, priority };
    state.books.set(address, [...booked, { ...known, household, isOutside: false }]);
  };
  for (const { channel, address } of item.contacts)
    if (address !== null && countsTowardCaps({ purpose, channel, address })) book(address);
  // Who is named hears of the clinic too.
  for (const patientId of named) book(keyOfNamed(patientId));
  const wish = item.isFirst ? world.wishOf(item) : null;
  if (wish !== null) state.open.push({ wish, leftAt: now });
  if (item.isFirst) state.contactsOfDay.set(ruleId, (state.contactsOfDay.get(ruleId) ?? 0) + 1);
  const spent = { day, costMicros: world.priceOf(item), messages: item.contacts.length };
  if (definition.limits !== null) spend(state, ruleId, spent);
  const next = world.nextOf(item, now);
  const isInvitation =
    item.guard.invitation === true || state.running.get(item.patientId) === item.journey;
  if (isInvitation && next === null) state.running.delete(item.patientId);
  else if (isInvitation) state.running.set(item.patientId, item.journey);
  return next && { ...next, named };
}

function spend(
  { spentDays }: State,
  ruleId: string,
  { day, costMicros, messages }: SpentDay,
): void {
  const days = spentDays.get(ruleId) ?? [];
  const today = days.find((each) => each.day === day) ?? { day, costMicros: 0, messages: 0 };
  spentDays.set(ruleId, [
    ...days.filter((each) => each.day !== day),
    { day, costMicros: today.costMicros + costMicros, messages: today.messages + messages },
  ]);
}
