import { nextOpening } from '../history/send-window.ts';
import { addToDay, earlier, isBefore, startOfDay } from '../local-time.ts';
import { arbitrate, capTermsOf, isMinorOn, mergeHousehold } from '../outbox/arbitrate.ts';
import { findLaterInvitations } from '../outbox/hold-invitations.ts';
import { countsTowardCaps, little } from '../outbox/judge-message.ts';
import { unfitReasons } from '../outbox/lock-batch.ts';
import { isResting, untilHeldWith } from '../outbox/merge-households.ts';
import { hasHours, sendTermsOf } from '../outbox/sending-hours.ts';
import { type Candidate, firstTurn, openAgenda } from './agenda.ts';
import { closeRuleDays } from './simulate-anomaly.ts';
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
  holdOverBudget,
  holdOverCapacity,
  holdOverDay,
  holdOverRuleDays,
  holdUnusual,
} from './simulate-limits.ts';
import {
  type Companion,
  contactsOf,
  type Day,
  goersOf,
  isBooked,
  type Round,
} from './simulate-round.ts';
import {
  channelOf,
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
    yield* giveUp(item, item.waits ?? 'too-late', at, today);
    return;
  }
  if (item.isNamedOnly) {
    addNamed(item, today);
    return;
  }
  const turn = turnOf(item, at, world);
  if (turn === null || !isBefore(turn, item.expiresAt))
    yield* giveUp(item, 'send-window', at, today);
  else if (isBefore(turn, end)) agenda.add({ item, turn });
  else leaveForLater({ ...item, at: turn, waits: 'send-window' }, today);
}

function* giveUp(
  item: Item,
  reason: string,
  at: Temporal.Instant,
  today: Day,
): Generator<Happening> {
  yield { kind: 'ended', item, reason, at };
  yield* goOn(item, today);
}

/** Where its step left on another channel the journey goes on. */
function* goOn(item: Item, today: Day): Generator<Happening> {
  if (item.stepLeftAt === null) return;
  const next = today.world.nextOf(item, item.stepLeftAt);
  if (next !== null) yield* enter(next, today);
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

function* settle(due: Candidate[], today: Day): Generator<Happening> {
  const [first] = due;
  if (first === undefined) return;
  const round: Round = {
    ...{ now: first.turn, due },
    ...{ stays: new Map(), rests: new Map(), outranked: [], companions: new Map() },
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

function* leaveAll(round: Round, today: Day): Generator<Happening> {
  const { now, stays, companions } = round;
  const left = new Set<string>();
  for (const candidate of goersOf(round)) {
    const { item, rest } = partsOf(candidate, round, today);
    const taken = companions.get(candidate) ?? [];
    const absorbed = taken.map((each) => each.item);
    const named = namedIn(item, taken, now);
    left.add(idOf(item));
    const next = leave(item, rest, named, now, today);
    yield { kind: 'left', item, named, at: now };
    for (const each of absorbed) {
      yield { kind: 'absorbed', item: each, at: now };
      yield* goOn(each, today);
    }
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

/** What goes of it, and what of the same step waits for another day. */
function partsOf(
  candidate: Candidate,
  round: Round,
  { end: until }: Day,
): { item: Item; rest: Item | null } {
  const { item } = candidate;
  const kept = round.rests.get(candidate);
  if (kept === undefined) return { item, rest: null };
  const { contacts, reason } = kept;
  const rest = { ...item, contacts, isFirst: false, stepLeftAt: round.now };
  return {
    item: { ...item, contacts: contactsOf(candidate, round) },
    rest: waitingFor(rest, { reason, until }),
  };
}

/** Whom it names beside its patient, in that order: also whom those named before who are due with it. */
function namedIn(
  { patientId, named }: Item,
  companions: readonly Companion[],
  now: Temporal.Instant,
): readonly string[] {
  const due = companions.filter(({ candidate }) => candidate?.turn.equals(now) === true);
  const people = new Set([
    ...companions.map(({ item }) => item.patientId),
    ...named,
    ...due.flatMap(({ item }) => item.named),
  ]);
  people.delete(patientId);
  return [...people];
}

/** Books what left. @returns what of its step is still to go, else the next step of its journey. */
function leave(
  item: Item,
  rest: Item | null,
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
  const next = rest ?? world.nextOf(item, now);
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
