import { addToDay } from '../local-time.ts';
import { type Contacts, type Contender, noContacts, type Ranked } from '../outbox/arbitrate.ts';
import { countsTowardCaps } from '../outbox/judge-message.ts';
import {
  type ContactDay,
  type Item,
  idOf,
  keyOfNamed,
  type State,
  type World,
} from './simulate-world.ts';

/** Simulated messages as what competes for a person's day, and what the books say of that day. Pure. */

/** An address gets one message of a purpose a day, whatever the caps. */
export function reasonOfTaken(item: Item, day: string, { books }: State): string | null {
  const { purpose, priority } = item.rule.definition;
  const taken = item.contacts
    .flatMap(({ address }) => books.get(address ?? '') ?? [])
    .filter((each) => each.day === day && each.purpose === purpose && each.contact !== idOf(item));
  if (taken.length === 0) return null;
  const isBeaten = taken.some((each) => (each.priority ?? 0) > priority);
  return isBeaten ? 'lower-priority' : 'frequency-cap';
}

export function isCounted({ rule, contacts }: Item): boolean {
  const { purpose } = rule.definition;
  return contacts.some((contact) => countsTowardCaps({ purpose, ...contact }));
}

/** What two messages share that compete. */
export function keysOf(item: Item): Set<string> {
  const { patientId, household } = item;
  const own = [patientId, ...addressesOf(item)];
  return new Set(household === null ? own : [...own, `household:${household}`]);
}

/** Where contacts of its patient, and of who is written to in their place, are counted together. */
function addressesOf({ addresses, throughAddresses, contacts }: Item): string[] {
  const reached = contacts.flatMap(({ address }) => address ?? []);
  const others = reached.filter((address) => !addresses.includes(address));
  const through = throughAddresses.filter((all) => others.some((address) => all.includes(address)));
  return [...new Set([...addresses, ...reached, ...through.flat()])];
}

export function contenderOf(item: Item, day: string, world: World, state: State): Contender {
  const { household } = item;
  const own = addressesOf(item);
  const members = household === null ? undefined : world.householdAddresses.get(household);
  return {
    ...strangerOf(item),
    contacts: countedAt([...own, keyOfNamed(item.patientId)], item, day, state),
    household:
      household === null || members === undefined
        ? null
        : {
            key: `household:${household}`,
            contacts: countedAt([...members, ...own], item, day, state, household),
          },
  };
}

/** Of who is named: it is a contact of that person, not of everybody at the same number. */
export function namedOf(item: Item): Contender {
  return { ...strangerOf(item), keys: [item.patientId], slot: idOf(item), household: null };
}

/** What a rival has got already is not asked: if it cannot go, that shows when its turn comes. */
export function strangerOf(item: Item): Contender {
  const { contacts, household, patientId, rule } = item;
  return {
    ...rankOf(item),
    keys: [patientId, ...addressesOf(item)],
    slot: `${contacts[0]?.address} ${rule.definition.purpose}`,
    contacts: noContacts,
    household: household === null ? null : { key: `household:${household}`, contacts: noContacts },
  };
}

/**
 * Without its own step, which may have left on another channel.
 * @param household where only what was for its members counts
 */
function countedAt(
  addresses: readonly string[],
  item: Item,
  day: string,
  { books }: State,
  household?: string,
): Contacts {
  const weekStart = addToDay(day, '-P6D');
  const booked = [...new Set(addresses)]
    .flatMap((address) => books.get(address) ?? [])
    .filter((each) => each.day >= weekStart && each.day <= day && each.contact !== idOf(item))
    .filter((each) => household === undefined || each.isOutside || each.household === household);
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

export function rankOf(item: Item): Ranked {
  const { patientId, rule, since: dueAt } = item;
  return { id: idOf(item), priority: rule.definition.priority, dueAt, patientId };
}
