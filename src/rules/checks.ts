import type { Clinic } from '../history/clinic.ts';
import { clinicConsentTerms } from '../history/clinic-policy.ts';
import type { ConsentBlock } from '../history/consent-store.ts';
import { isBefore, localDay } from '../local-time.ts';
import { type ContactChoice, type ContactTerms, chooseContact } from './choose-contact.ts';
import { type Arm, type Units, unitsOf } from './holdout.ts';
import type { Rule } from './rule.ts';
import type { Occasion } from './selection-store.ts';
import { triggerOf } from './triggers/triggers.ts';

/**
 * What speaks against an occurrence, in the order it is asked. Planning takes the first that fails,
 * explain shows them all; a further check is a further row.
 */

export interface CheckTerms extends ContactTerms {
  clinic: Clinic;
  now: Temporal.Instant;
}

export interface Case {
  rule: Rule;
  occasion: Occasion;
  expiresAt: Temporal.Instant;
  choice: ContactChoice;
  /** For each contact of the choice; absent where nothing blocks it. */
  blocks: (ConsentBlock | undefined)[];
  units: Units;
  /** Whether it is held out, to measure what the rule is worth. */
  arm: Arm;
}

export interface CheckRow {
  name: string;
  /** The reason against, or null. */
  find(asked: Case, terms: CheckTerms): string | null;
  /** `held` reasons are looked at again until it is too late. */
  outcome(reason: string): 'suppressed' | 'expired' | 'held';
  seen(asked: Case, terms: CheckTerms): unknown;
  wanted(asked: Case, terms: CheckTerms): unknown;
}

export const checks: readonly CheckRow[] = [
  {
    name: 'deceased',
    find: ({ occasion }) => (occasion.isDeceased ? 'deceased' : null),
    outcome: () => 'suppressed',
    seen: ({ occasion }) => occasion.isDeceased,
    wanted: () => false,
  },
  {
    name: 'too-late',
    find: ({ expiresAt }, { now }) =>
      Temporal.Instant.compare(now, expiresAt) >= 0 ? 'too-late' : null,
    outcome: () => 'expired',
    seen: (_asked, { now }) => now.toString(),
    wanted: ({ expiresAt }) => ({ before: expiresAt.toString() }),
  },
  {
    name: 'active',
    find: ({ occasion }) => (occasion.isActive ? null : 'inactive'),
    outcome: () => 'held',
    seen: ({ occasion }) => occasion.isActive,
    wanted: () => true,
  },
  {
    name: 'future-appointment',
    find: ({ occasion }) => (occasion.appointmentAt === null ? null : 'future-appointment'),
    outcome: () => 'held',
    seen: ({ occasion }) => occasion.appointmentAt?.toString() ?? null,
    wanted: ({ rule }) => (rule.definition.unlessBooked ? null : 'any'),
  },
  {
    name: 'contact-point',
    find: ({ choice }) => (choice.reason === 'no-contact-point' ? choice.reason : null),
    outcome: () => 'held',
    seen: ({ choice }) =>
      choice.reason === 'no-contact-point' ? [] : choice.contacts.map(({ channel }) => channel),
    wanted: ({ rule }) => rule.definition.steps.map(({ channels }) => channels),
  },
  {
    name: 'template',
    find: ({ choice }) => (choice.reason === 'no-template' ? choice.reason : null),
    outcome: () => 'held',
    seen: ({ occasion }) => occasion.language,
    wanted: ({ rule, choice }) => rule.definition.steps[choice.step]?.template ?? null,
  },
  {
    name: 'consent',
    find: ({ blocks }) => {
      // One contact over several channels goes where it may.
      if (blocks.some((block) => block === undefined)) return null;
      return blocks.includes('no-consent') ? 'no-consent' : (blocks[0] ?? null);
    },
    outcome: (reason) => (reason === 'opted-out' ? 'suppressed' : 'held'),
    seen: ({ choice, blocks }) =>
      Object.fromEntries(
        choice.contacts.map(({ channel }, at) => [channel, blocks[at] ?? 'allowed']),
      ),
    wanted: ({ rule: { definition } }, { clinic }) => ({
      purpose: definition.purpose,
      needsGrant: clinicConsentTerms(clinic)[`${definition.purpose}NeedsGrant`],
    }),
  },
  {
    name: 'holdout',
    find: ({ arm }) => (arm === 'holdout' ? 'holdout' : null),
    outcome: () => 'suppressed',
    seen: ({ arm }) => arm,
    wanted: ({ rule }) => ({ share: rule.definition.holdout }),
  },
];

export interface Decision {
  outcome: 'due' | 'suppressed' | 'expired' | 'held';
  reason: string | null;
  check: string | null;
}

export function decide(asked: Case, terms: CheckTerms): Decision {
  for (const check of checks) {
    const reason = check.find(asked, terms);
    if (reason !== null) return { outcome: check.outcome(reason), reason, check: check.name };
  }
  return { outcome: 'due', reason: null, check: null };
}

/** Everything about an occasion but consent and its arm, which are asked for many at once. */
export function openCase(
  rule: Rule,
  found: Occasion,
  terms: CheckTerms,
): Omit<Case, 'blocks' | 'arm'> {
  const occasion = withBooking(found);
  const choice = chooseContact(rule.definition, 0, occasion, terms);
  return {
    rule,
    occasion,
    expiresAt: expiryOf(rule, occasion, terms.clinic.timeZone),
    choice,
    units: unitsOf(rule, occasion, choice.contacts[0]?.address ?? null),
  };
}

/** Kept with the journey, so that it is known what stood in the way when that is gone. */
function withBooking(occasion: Occasion): Occasion {
  const { anchor, appointmentAt } = occasion;
  if (appointmentAt === null) return occasion;
  return { ...occasion, anchor: { ...anchor, bookedUntil: appointmentAt.toString() } };
}

/** The same, with the way free since that instant. */
export function freeCase(asked: Case, freedAt: string, { timeZone }: Clinic): Case {
  const { rule, occasion } = asked;
  const freed = { ...occasion, anchor: { ...occasion.anchor, freedAt } };
  return { ...asked, occasion: freed, expiresAt: expiryOf(rule, freed, timeZone) };
}

/**
 * The same without the appointments, where all were made when it was too late already.
 * @param before what stood in the way until then
 */
export function withoutLateBooking(
  asked: Case,
  { bookedUntil, freedAt = bookedUntil }: Pick<Occasion['anchor'], 'bookedUntil' | 'freedAt'>,
  { timeZone }: Clinic,
): Case {
  const { rule, occasion } = asked;
  const { bookedAt } = occasion;
  if (bookedAt === null) return asked;
  const { bookedUntil: _late, ...rest } = occasion.anchor;
  const anchor = { ...rest, ...(freedAt !== undefined && { freedAt }) };
  const free = { ...occasion, anchor, appointmentAt: null, bookedAt: null };
  const expiresAt = expiryOf(rule, free, timeZone);
  return isBefore(bookedAt, expiresAt) ? asked : { ...asked, occasion: free, expiresAt };
}

/** The same, due at an instant of its own, since the backlog lets it in. */
export function enterCase(
  asked: Case,
  { dueAt, at, wasDueAt }: { dueAt: Temporal.Instant } & NonNullable<Occasion['entered']>,
  { timeZone }: Clinic,
): Case {
  const dueDay = localDay(dueAt, timeZone);
  const occasion = { ...asked.occasion, dueAt, dueDay, entered: { at, wasDueAt } };
  return { ...asked, occasion, expiresAt: expiryOf(asked.rule, occasion, timeZone) };
}

/** Whether nothing speaks against it but, perhaps, that it is held out: such a case has an arm. */
export function takesPart({ outcome, reason }: Decision): boolean {
  return outcome === 'due' || reason === 'holdout';
}

/**
 * After an appointment that stood in the way, the time to catch up begins when it was called off; else with it. A
 * greeting is for its day.
 */
function expiryOf(rule: Rule, occasion: Occasion, clinicZone: string): Temporal.Instant {
  const trigger = triggerOf(rule.definition.trigger.type);
  const dueAt = trigger.isGreeting ? occasion.dueAt : openFrom(occasion);
  const { anchor, patientZone } = occasion;
  return trigger.expiresAt({ dueAt, anchor, patientZone }, rule.definition, clinicZone);
}

function openFrom({ anchor, appointmentAt, dueAt }: Occasion): Temporal.Instant {
  if (appointmentAt !== null) return appointmentAt;
  const freedAt = Temporal.Instant.from(anchor.freedAt ?? dueAt);
  return Temporal.Instant.compare(freedAt, dueAt) > 0 ? freedAt : dueAt;
}
