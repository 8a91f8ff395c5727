import { isBefore } from '../local-time.ts';
import type { Agenda, Candidate } from './agenda.ts';
import type { Contact } from './choose-contact.ts';
import type { Item, State, World } from './simulate-world.ts';

/** What the parts of a simulated day hand on to each other. */

export interface Day {
  day: string;
  start: Temporal.Instant;
  end: Temporal.Instant;
  world: World;
  state: State;
  agenda: Agenda;
  /** Who can only be named by others today, by family. */
  named: Map<string, Set<Item>>;
}

/** What is due at one instant, and what becomes of it. */
export interface Round {
  now: Temporal.Instant;
  due: Candidate[];
  /** Who stays, what for, and until when. */
  stays: Map<Candidate, { reason: string; until: Temporal.Instant }>;
  /** What is kept back of who goes: the same step on other channels. */
  rests: Map<Candidate, { contacts: readonly Contact[]; reason: string }>;
  /** Who lost to others, which may stay in their turn. */
  outranked: { loser: Candidate; by: readonly string[] }[];
  /** By the one that carries them. */
  companions: Map<Candidate, Companion[]>;
}

export interface Companion {
  item: Item;
  /** Null where it is only ever named. */
  candidate: Candidate | null;
}

export function goersOf({ due, stays }: Round): Candidate[] {
  return due.filter((candidate) => !stays.has(candidate));
}

/** The channels on which it would go by what is known so far. */
export function contactsOf(candidate: Candidate, { rests }: Pick<Round, 'rests'>): Contact[] {
  const kept = rests.get(candidate)?.contacts ?? [];
  return candidate.item.contacts.filter((contact) => !kept.includes(contact));
}

/** Keeps back some of the channels on which it would go. */
export function keepBack(
  candidate: Candidate,
  kept: readonly Contact[],
  stay: { reason: string; until: Temporal.Instant },
  round: Round,
): void {
  if (kept.length === 0) return;
  const before = round.rests.get(candidate)?.contacts ?? [];
  const contacts = [...before, ...kept];
  if (contacts.length === candidate.item.contacts.length) round.stays.set(candidate, stay);
  else round.rests.set(candidate, { contacts, reason: stay.reason });
}

/** Until that appointment is over nobody speaks for them. */
export function isBooked({ waits, at }: Item, now: Temporal.Instant): boolean {
  return waits === 'future-appointment' && isBefore(now, at);
}
