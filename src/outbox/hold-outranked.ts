import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { clinicPolicy } from '../history/clinic-policy.ts';
import { nextOpening } from '../history/send-window.ts';
import { addToDay, earlier, localDay, startOfDay } from '../local-time.ts';
import { arbitrate, type Contender, capTermsOf, noContacts, type Place } from './arbitrate.ts';
import type { HeldReason, Verdict } from './guard.ts';
import type { GuardFacts } from './guard-store.ts';
import { countsTowardCaps, heldUntilTomorrow, little } from './judge-message.ts';
import { findRivals, type Rival } from './rival-store.ts';

/**
 * Caps, and who of a day's messages goes when they leave no room for all: the higher priority, whichever is due
 * first. What loses to one that has still to leave is looked at again when that one is due: if it does not
 * go after all, the loser does.
 */

/** A message that loses to one that goes in the same transaction, if that one goes in the end. */
export interface Outranked {
  facts: GuardFacts;
  by: readonly string[];
}

export async function holdOutranked(
  trx: Trx,
  goers: readonly GuardFacts[],
  /** Messages of this transaction, going or not: none of them is anybody's rival beyond its verdict. */
  known: readonly Pick<GuardFacts, 'id'>[],
  /** Own messages of who hears of the clinic by another's. */
  named: readonly GuardFacts[],
  verdicts: Map<string, Verdict>,
  clinic: Clinic,
  now: Temporal.Instant,
): Promise<Outranked[]> {
  const counted = goers.filter(mayLose);
  if (counted.length === 0) return [];
  const rivals = await findRivalsOf(trx, counted, known, clinic, now);
  const turns = new Map(rivals.map(({ id, turn }) => [id, turn]));
  const places = arbitrate(
    [...counted.map(contenderOf), ...named.map(contenderOfNamed), ...rivals.map(contenderOfRival)],
    capTermsOf(clinic.settings),
  );
  const outranked: Outranked[] = [];
  for (const facts of counted) {
    const place = places.get(facts.id);
    if (place === undefined || place.goes) continue;
    const turn = place.after.flatMap((id) => turns.get(id) ?? []).reduce(earliest, null);
    verdicts.set(facts.id, heldAfter(place, turn, facts, clinic, now));
    if (turn === null && place.after.length > 0) outranked.push({ facts, by: place.after });
  }
  return outranked;
}

/** By the books and these messages alone, for who asks before anything leaves. */
export function holdOverCaps(
  goers: readonly GuardFacts[],
  verdicts: Map<string, Verdict>,
  clinic: Clinic,
  now: Temporal.Instant,
): void {
  const counted = goers.filter(mayLose);
  const places = arbitrate(counted.map(contenderOf), capTermsOf(clinic.settings));
  for (const facts of counted) {
    const place = places.get(facts.id);
    if (place === undefined || place.goes) continue;
    verdicts.set(facts.id, heldUntilTomorrow(place.reason, facts, clinic, now));
  }
}

/** Whoever was to go in a loser's place and does not, for a reason found later, gives that place back. */
export function giveBackPlaces(
  outranked: readonly Outranked[],
  verdicts: Map<string, Verdict>,
  now: Temporal.Instant,
): void {
  for (const { facts, by } of outranked) {
    const verdict = verdicts.get(facts.id);
    if (verdict?.state !== 'held' || by.every((id) => verdicts.get(id)?.state === 'go')) continue;
    verdicts.set(facts.id, { ...verdict, until: earlier(now.add(little), verdict.until) });
  }
}

/** How it is called that a day's place is taken: by a higher one, or by what is merely there. */
export function reasonOfTaken({ priorityToday, priority }: GuardFacts): HeldReason {
  return priorityToday !== null && priorityToday > priority ? 'lower-priority' : 'frequency-cap';
}

/** One that took its place today at an earlier attempt keeps it. */
function mayLose(facts: GuardFacts): boolean {
  return countsTowardCaps(facts) && !facts.isBooked;
}

function heldAfter(
  { reason }: Extract<Place, { goes: false }>,
  turn: Temporal.Instant | null,
  facts: GuardFacts,
  clinic: Clinic,
  now: Temporal.Instant,
): Verdict {
  const verdict = heldUntilTomorrow(reason, facts, clinic, now);
  if (turn === null || verdict.state !== 'held') return verdict;
  const again = Temporal.Instant.compare(turn, now) > 0 ? turn : now;
  return { ...verdict, until: earlier(again.add(little), verdict.until) };
}

type RivalWithTurn = Rival & {
  /** When it may leave today. */
  turn: Temporal.Instant;
};

async function findRivalsOf(
  trx: Trx,
  counted: readonly GuardFacts[],
  known: readonly Pick<GuardFacts, 'id'>[],
  clinic: Clinic,
  now: Temporal.Instant,
): Promise<RivalWithTurn[]> {
  const today = localDay(now, clinic.timeZone);
  const dayEnd = startOfDay(addToDay(today, 'P1D'), clinic.timeZone);
  const rivals = await findRivals(trx, clinic.id, {
    patientIds: unique(
      counted.flatMap(({ patientId, throughId }) => [patientId, throughId ?? patientId]),
    ),
    addresses: unique(counted.flatMap(({ address }) => address ?? [])),
    households: unique(counted.flatMap(({ household }) => household ?? [])),
    except: known.map(({ id }) => id),
    now,
    today,
    dayEnd,
  });
  return rivals.flatMap((rival) => {
    const turn = turnOf(rival, clinic, now);
    const isToday = turn !== null && Temporal.Instant.compare(turn, dayEnd) < 0;
    return isToday && Temporal.Instant.compare(turn, rival.expiresAt) < 0
      ? [{ ...rival, turn }]
      : [];
  });
}

function turnOf(
  { nextAt, purpose, timeZone, ignoresSendWindow }: Rival,
  clinic: Clinic,
  now: Temporal.Instant,
): Temporal.Instant | null {
  const from = Temporal.Instant.compare(nextAt, now) > 0 ? nextAt : now;
  return nextOpening(from, {
    purpose,
    zone: timeZone ?? clinic.timeZone,
    sendWindow: clinic.settings.sendWindow,
    policy: clinicPolicy(clinic),
    ignoresSendWindow,
  });
}

function contenderOf(facts: GuardFacts): Contender {
  const { id, priority, guard, scheduledAt, patientId, addresses, address, purpose } = facts;
  const { contactsToday: today, contactsThisWeek: thisWeek, priorityToday, household } = facts;
  return {
    ...{ id, priority, patientId },
    dueAt: dueOf(guard.since ?? null, scheduledAt),
    keys: keysOf(patientId, addresses, address),
    slot: `${address} ${purpose}`,
    contacts: { today, thisWeek, priorityToday },
    household: household === null ? null : atHome(household, facts),
  };
}

function atHome(
  household: string,
  { householdToday: today, householdThisWeek: thisWeek, householdPriorityToday }: GuardFacts,
): Contender['household'] {
  return {
    key: householdKey(household),
    contacts: { today, thisWeek, priorityToday: householdPriorityToday },
  };
}

/** What it has got already is not asked: if it cannot go, that shows when its turn comes. */
function contenderOfRival(rival: RivalWithTurn): Contender {
  const { id, priority, since, scheduledAt, patientId, addresses, address, purpose } = rival;
  const { household } = rival;
  return {
    ...{ id, priority, patientId },
    dueAt: dueOf(since, scheduledAt),
    keys: keysOf(patientId, addresses, address),
    slot: `${address} ${purpose}`,
    contacts: noContacts,
    household: household === null ? null : { key: householdKey(household), contacts: noContacts },
  };
}

/** It is a contact of the person: what goes to others at the same number has its own place. */
function contenderOfNamed(facts: GuardFacts): Contender {
  const unseen = { contacts: noContacts, household: null };
  return { ...contenderOf(facts), keys: [facts.patientId], slot: facts.id, ...unseen };
}

function dueOf(since: string | null, scheduledAt: Temporal.Instant): Temporal.Instant {
  return since === null ? scheduledAt : Temporal.Instant.from(since);
}

function keysOf(patientId: string, addresses: readonly string[], address: string | null): string[] {
  return unique([patientId, ...addresses, ...(address === null ? [] : [address])]);
}

function householdKey(household: string): string {
  return `household:${household}`;
}

function earliest(one: Temporal.Instant | null, other: Temporal.Instant): Temporal.Instant {
  return one === null ? other : earlier(one, other);
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
