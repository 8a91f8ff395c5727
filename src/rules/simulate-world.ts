import type { Clinic } from '../history/clinic.ts';
import type { Guard } from '../outbox/guard.ts';
import type { Pool, Wish } from '../outbox/places.ts';
import type { Contact } from './choose-contact.ts';
import type { Rule } from './rule.ts';

/** What coming days are simulated from, and what happens on them. */

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
  /** It has no way of its own to its patient, but may be named in a message to the household. */
  isNamedOnly: boolean;
  /** Not before; and too late from then on. */
  at: Temporal.Instant;
  expiresAt: Temporal.Instant;
  /** When the journey fell due: it ranks by it. */
  since: Temporal.Instant;
  guard: Guard;
  patientZone: string | null;
  household: string | null;
  /** All of the patient's own. */
  addresses: readonly string[];
  /** Who may be written to in the patient's place. */
  throughId: string | null;
  /** Of each such person. */
  throughAddresses: readonly (readonly string[])[];
  /** Whom earlier messages of the journey named beside its patient. */
  named: readonly string[];
  /** What it waited for when it was last looked at. */
  waits: string | null;
  /** When its step left on another channel: if it does not go after all, the next step follows that. */
  stepLeftAt: Temporal.Instant | null;
}

/** What leaves, with whom it names beside its patient, or what an item ends with. */
export type Happening =
  | { kind: 'left'; item: Item; named: readonly string[]; at: Temporal.Instant }
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
  /** Of the patient it was for. */
  household: string | null;
  /** The clinic made it itself: nobody knows for whom. */
  isOutside: boolean;
}

/** What a rule has sent on a local day. */
export interface SpentDay {
  day: string;
  costMicros: number;
  messages: number;
}

/** What a rule usually does in a day, and what has been found of the present one. */
export interface UsualDays {
  /** First contacts of the days before on which there were any, the last one first. */
  days: readonly number[];
  anomaly: 'held' | 'released' | null;
  /** How many first contacts the last look at the day foresaw. */
  foreseen: number | null;
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
  /** Of rules that have a budget. */
  spentDays: ReadonlyMap<string, readonly SpentDay[]>;
  /** By rule. */
  ruleDays: ReadonlyMap<string, UsualDays>;
  pools: readonly (Pool & { day: string })[];
  openInvitations: readonly { wish: Wish; leftAt: Temporal.Instant }[];
  /** What its messages would cost together, in micros of the clinic's currency; known of rules that have a budget. */
  priceOf(item: Item): number;
  /** What an item invites to; null where it is no invitation. */
  wishOf(item: Item): Wish | null;
  /** The next step of a journey of which one just left; null where there is none. */
  nextOf(item: Item, leftAt: Temporal.Instant): Item | null;
}

/** What one day hands on to the next. */
export interface State {
  waiting: Item[];
  /** By address, and for who was named in another's message by `keyOfNamed`. */
  books: Map<string, ContactDay[]>;
  running: Map<string, string>;
  contactsOfDay: Map<string, number>;
  spentDays: Map<string, SpentDay[]>;
  ruleDays: Map<string, UsualDays>;
  open: { wish: Wish; leftAt: Temporal.Instant }[];
  sentOfDay: number;
}

export function idOf({ journey, step }: Item): string {
  return `${journey}/${step}`;
}

/** Under which the books keep what named a patient beside another. */
export function keyOfNamed(patientId: string): string {
  return `named:${patientId}`;
}

/** Of a step over several channels, the first. */
export function channelOf({ contacts }: Pick<Item, 'contacts'>) {
  return contacts[0]?.channel ?? 'sms';
}
