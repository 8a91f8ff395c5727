import { isDeepStrictEqual } from 'node:util';
import { earlier, isAfter, later } from '../local-time.ts';
import type { JourneyMessage, NewMessage } from '../outbox/message-store.ts';
import { hasLeft, isWaiting } from './advance-journey.ts';
import {
  type Case,
  type CheckTerms,
  type Decision,
  decide,
  enterCase,
  freeCase,
  withoutLateBooking,
} from './checks.ts';
import type { Contact } from './choose-contact.ts';
import { compareMessages, isReplaced, isSamePlace, replacedEnd } from './compare-messages.ts';
import { horizonAt } from './horizon.ts';
import { isOpen, type Journey, type JourneyChange, type NewJourney } from './journey-store.ts';
import type { Changes, NewPlan } from './plan-changes.ts';
import { toMessage } from './plan-context.ts';

/** What becomes of one occasion: a new journey, or changes to the one that it has. Pure. */

/** How far back an occurrence that nobody has planned yet is still shown, as too late. */
export const lookBack = Temporal.Duration.from({ hours: 45 * 24 });

const lookAgain = Temporal.Duration.from('PT15M');

/** A new occurrence, one that is planned already, or one whose reason came back. */
export function considerOccasion(
  found: Case,
  journey: Journey | undefined,
  messages: readonly JourneyMessage[],
  terms: CheckTerms,
  changes: Changes,
): void {
  if (journey === undefined) {
    const inTime = withoutLateBooking(found, {}, terms.clinic);
    const plan = isNew(found, terms) ? planOccasion(inTime, terms) : null;
    if (plan !== null) changes.inserts.push(plan);
    return;
  }
  if (messages.some(isBegun)) return;
  const asked = asFreed(asEntered(found, journey, terms), journey, terms);
  if (isOpen(journey)) replan(asked, journey, messages, terms, changes);
  else if (mayRevive(journey))
    revive(withoutLateBooking(asked, journey.anchor, terms.clinic), journey, terms, changes);
}

/** What the backlog let in stays due when it entered, while its own instant lies before the activation. */
function asEntered(found: Case, journey: Journey, { clinic }: CheckTerms): Case {
  const { rule, occasion } = found;
  const isPast = rule.activeFrom !== null && !isAfter(occasion.dueAt, rule.activeFrom);
  if (journey.enteredAt === null || !isPast) return found;
  const { dueAt, enteredAt: at } = journey;
  return enterCase(found, { dueAt, at, wasDueAt: occasion.dueAt }, clinic);
}

/** Whose appointment was called off has the time to catch up from then on; who missed it, from its start. */
function asFreed(asked: Case, { anchor }: Journey, { clinic, now }: CheckTerms): Case {
  const { bookedUntil, freedAt } = anchor;
  if (asked.occasion.appointmentAt !== null) return asked;
  if (freedAt !== undefined) return freeCase(asked, freedAt, clinic);
  if (bookedUntil === undefined) return asked;
  return freeCase(asked, earlier(now, Temporal.Instant.from(bookedUntil)).toString(), clinic);
}

/** From here on the ladder decides. */
export function isBegun(message: JourneyMessage): boolean {
  return hasLeft(message) || message.state === 'failed';
}

function isNew(found: Case, terms: CheckTerms): boolean {
  const { now } = terms;
  const start = later(found.rule.activeFrom ?? now, now.subtract(lookBack));
  return isAfter(found.occasion.dueAt, start) && isNear(found, terms);
}

/** Whether its day has been planned: what is due later is looked at when that day is near. */
function isNear({ rule, occasion: { dueAt } }: Case, { clinic, now }: CheckTerms): boolean {
  return !isAfter(dueAt, later(rule.plannedThrough ?? now, horizonAt(now, clinic.timeZone)));
}

/** The journey of a new occasion, with the messages of its first step; null for what never was one. */
export function planOccasion(asked: Case, terms: CheckTerms): NewPlan | null {
  const { rule, occasion, expiresAt, choice } = asked;
  const decision = decide(asked, terms);
  // Who booked when the reminder was long due is not late: there was nothing to be reminded of.
  const { bookedAt } = occasion.anchor;
  const isBookedLater =
    bookedAt !== undefined && isAfter(Temporal.Instant.from(bookedAt), occasion.dueAt);
  if (decision.outcome === 'expired' && isBookedLater) return null;
  const journey: NewJourney = {
    ruleId: rule.id,
    ruleVersion: rule.version,
    patientId: occasion.patientId,
    occurrence: occasion.occurrence,
    anchor: occasion.anchor,
    dueAt: occasion.dueAt,
    expiresAt,
    step: choice.step,
    ...entrance(occasion),
    ...standing(decision, asked),
  };
  return { journey, toMessages: (journeyId) => firstMessages(asked, decision, journeyId, terms) };
}

function entrance({ entered }: Case['occasion']): Pick<Journey, 'enteredAt' | 'wasDueAt'> {
  return { enteredAt: entered?.at ?? null, wasDueAt: entered?.wasDueAt ?? null };
}

type JourneyStanding = Pick<Journey, 'state' | 'reason' | 'nextAt' | 'holdout'>;

/** What is planned is looked at again when it would be too late, to close it; who is booked, when that is over. */
function standing(
  { outcome, reason }: Decision,
  { expiresAt, occasion }: Pick<Case, 'expiresAt' | 'occasion'>,
): JourneyStanding {
  const holdout = reason === 'holdout';
  if (outcome === 'suppressed' || outcome === 'expired')
    return { state: outcome, reason, nextAt: null, holdout };
  if (outcome === 'due') return { state: 'planned', reason: null, nextAt: expiresAt, holdout };
  const freeAt = reason === 'future-appointment' ? occasion.appointmentAt : null;
  return { state: 'held', reason, nextAt: earlier(freeAt ?? expiresAt, expiresAt), holdout };
}

const messageStates = {
  due: 'scheduled',
  held: 'held',
  suppressed: 'suppressed',
  expired: 'suppressed',
} as const;

function firstMessages(
  asked: Case,
  decision: Decision,
  journeyId: string,
  terms: CheckTerms,
  waiting: readonly JourneyMessage[] = [],
): NewMessage[] {
  const { rule, occasion, expiresAt, choice } = asked;
  // Who is held out is not to be seen in any channel, nor to be let go by it when nothing else is in the way.
  const isHeldOut = asked.arm === 'holdout' && decision.outcome === 'held';
  if (isHeldOut || decision.reason === 'holdout') return [];
  const step = {
    rule,
    journeyId,
    occasion,
    step: choice.step,
    since: occasion.dueAt,
    isOpening: true,
    dueAt: occasion.dueAt,
    expiresAt,
    state: messageStates[decision.outcome],
    reason: decision.reason,
  };
  const contacts = contactsFor(asked, decision, waiting);
  return contacts.map((contact) => toMessage(contact, step, terms));
}

/** All that are allowed; where none may go now, what waits already, else one that stands for it. */
function contactsFor(
  { choice, blocks }: Case,
  decision: Decision,
  waiting: readonly JourneyMessage[],
): Contact[] {
  const { step } = choice;
  const waits = ({ channel }: Contact) =>
    waiting.some((message) => isSamePlace(message, { channel, step }));
  if (decision.outcome !== 'due') {
    const known = choice.contacts.filter(waits);
    return known.length > 0 ? known : choice.contacts.slice(0, 1);
  }
  // What waits and may not go any more says so when it is its turn.
  return choice.contacts.filter((contact, at) => blocks[at] === undefined || waits(contact));
}

/** Nothing has left yet: the journey becomes what it would be if it were planned now. */
function replan(
  asked: Case,
  journey: Journey,
  messages: readonly JourneyMessage[],
  terms: CheckTerms,
  changes: Changes,
): void {
  const waiting = messages.filter(isWaiting);
  const last = messages.findLast((message) => !isReplaced(message)) ?? messages.at(-1);
  // What the outbox, or the host, has ended for a reason of its own stays ended.
  if (last !== undefined && waiting.length === 0) {
    const state =
      last.state === 'cancelled' || last.state === 'expired' ? last.state : 'suppressed';
    const end = { state, reason: last.reason } as const;
    changes.updates.set(journey.id, ended(journey, messages, end));
    return;
  }
  // What is being sent just now is looked at when its fate is known.
  if (waiting.some(({ state }) => state === 'claimed' || state === 'sending')) {
    changes.updates.set(journey.id, { ...journey, nextAt: terms.now.add(lookAgain) });
    return;
  }
  const decision = decideAgain(asked, journey, waiting, terms);
  if (decision.outcome === 'suppressed' || decision.outcome === 'expired') {
    const reason = decision.reason ?? decision.outcome;
    changes.withdrawn.push(
      ...waiting.map(({ id }) => ({ id, state: 'suppressed' as const, reason })),
    );
    const change = changed(journey, asked, decision);
    // Who is held out has passed all checks now.
    const anchor = change.holdout ? change.anchor : waited(journey, change.anchor);
    changes.updates.set(journey.id, { ...change, anchor });
    return;
  }
  refreshMessages(asked, journey, decision, messages, terms, changes);
}

function decideAgain(
  asked: Case,
  journey: Journey,
  waiting: readonly JourneyMessage[],
  terms: CheckTerms,
): Decision {
  const { rule, occasion } = asked;
  const isMoved = !occasion.dueAt.equals(journey.dueAt);
  if (isMoved && rule.activeFrom !== null && !isAfter(occasion.dueAt, rule.activeFrom)) {
    return { outcome: 'suppressed', reason: 'before-activation', check: 'active-from' };
  }
  const decision = decide(asked, terms);
  // What waited until it was too late ends with what it waited for.
  const waitedFor = waiting.find(({ state }) => state === 'held')?.reason ?? null;
  if (decision.outcome !== 'expired' || waitedFor === null) return decision;
  return { outcome: 'suppressed', reason: waitedFor, check: decision.check };
}

function refreshMessages(
  asked: Case,
  journey: Journey,
  decision: Decision,
  messages: readonly JourneyMessage[],
  terms: CheckTerms,
  changes: Changes,
): void {
  const { expiresAt, choice } = asked;
  const change = { ...changed(journey, asked, decision), step: choice.step };
  const waiting = messages.filter(isWaiting);
  const wanted = firstMessages(asked, decision, journey.id, terms, waiting);
  const { kept, surplus, missing, inTheWay } = compareMessages(messages, wanted);
  const isUnchanged =
    surplus.length + missing.length === 0 &&
    asked.occasion.dueAt.equals(journey.dueAt) &&
    // A kept appointment may stand for a visit that was entered in error, and a visit for the appointment.
    isDeepStrictEqual(asked.occasion.anchor, journey.anchor) &&
    expiresAt.equals(journey.expiresAt) &&
    decision.reason === journey.reason;
  if (isUnchanged) {
    if (!isSameInstant(change.nextAt, journey.nextAt)) changes.updates.set(journey.id, change);
    return;
  }
  // Where all that is wanted was ended for a reason of its own, what waits stays.
  if (messages.length > 0 && kept.length + missing.length === 0) return;
  changes.updates.set(journey.id, change);
  changes.withdrawn.push(...surplus.map(({ id }) => ({ id, ...replacedEnd })));
  changes.dropped.push(...inTheWay.map(({ id }) => id));
  changes.messages.push(...missing);
  for (const { message, wanted: own } of kept) {
    const { id } = message;
    const { scheduledAt, guard } = own;
    if (decision.outcome === 'due') changes.moved.push({ id, scheduledAt, expiresAt, guard });
    else
      changes.held.push({
        id,
        reason: decision.reason ?? '',
        nextAt: scheduledAt,
        expiresAt,
        guard,
      });
  }
}

function changed(
  journey: Journey,
  { occasion, expiresAt }: Case,
  decision: Decision,
): JourneyChange {
  const { anchor, dueAt } = occasion;
  return {
    ...journey,
    ...{ anchor, dueAt, expiresAt },
    ...entrance(occasion),
    ...standing(decision, { occasion, expiresAt }),
  };
}

function isSameInstant(one: Temporal.Instant | null, other: Temporal.Instant | null): boolean {
  return one === null || other === null ? one === other : one.equals(other);
}

/** Ends that a correction of history can undo; a host's own cancellation is none of them. */
const revivable: readonly (string | null)[] = [
  'visited',
  'visit-changed',
  'appointment-changed',
  'audience',
  'deceased',
  'birthday-changed',
  'patient-changed',
  'treatment-changed',
  'recall-settled',
  'before-activation',
];

function mayRevive({ state, reason }: Journey): boolean {
  return (state === 'suppressed' || state === 'cancelled') && revivable.includes(reason);
}

function revive(asked: Case, journey: Journey, terms: CheckTerms, changes: Changes): void {
  const { rule, occasion } = asked;
  const decision = decide(asked, terms);
  if (decision.outcome === 'suppressed' || decision.outcome === 'expired') {
    keepBooking(asked, journey, changes);
    return;
  }
  const isPast = rule.activeFrom === null || !isAfter(occasion.dueAt, rule.activeFrom);
  if ((isPast && occasion.entered === undefined) || !isNear(asked, terms)) return;
  bringBack(asked, journey, decision, terms, changes);
}

/** Where its end proves an error, it is known which appointment stood in the way last. */
function keepBooking({ occasion: { anchor } }: Case, journey: Journey, changes: Changes): void {
  const { bookedUntil, freedAt } = anchor;
  const { bookedUntil: _bookedUntil, freedAt: _freedAt, ...rest } = journey.anchor;
  const kept = {
    ...rest,
    ...(bookedUntil !== undefined && { bookedUntil }),
    ...(freedAt !== undefined && { freedAt }),
  };
  if (!isDeepStrictEqual(kept, journey.anchor))
    changes.updates.set(journey.id, { ...journey, anchor: kept });
}

/** A journey of which nothing ever left begins again. */
export function bringBack(
  asked: Case,
  journey: Journey,
  decision: Decision,
  terms: CheckTerms,
  changes: Changes,
): void {
  const { choice } = asked;
  changes.revived.push(journey.id);
  changes.updates.set(journey.id, { ...changed(journey, asked, decision), step: choice.step });
  changes.messages.push(...firstMessages(asked, decision, journey.id, terms));
}

function ended(
  journey: Journey,
  messages: readonly JourneyMessage[],
  end: Pick<JourneyChange, 'state' | 'reason'>,
): JourneyChange {
  const { anchor } = journey;
  const hasReached = messages.some(isBegun);
  return {
    ...journey,
    ...end,
    anchor: hasReached ? anchor : waited(journey, anchor),
    nextAt: null,
  };
}

/** What never passed its checks is no outcome of the rule: `returns` leaves it out, whatever it ended with. */
function waited({ state, reason }: Journey, anchor: Journey['anchor']): Journey['anchor'] {
  return state === 'held' && reason !== null ? { ...anchor, waitedFor: reason } : anchor;
}

/** An open journey of which nothing has left and whose reason is gone. */
export function withdraw(
  journey: Journey,
  messages: readonly JourneyMessage[],
  end: { state: 'suppressed' | 'cancelled'; reason: string },
  changes: Changes,
): void {
  changes.withdrawn.push(...messages.filter(isWaiting).map(({ id }) => ({ id, ...end })));
  changes.updates.set(journey.id, ended(journey, messages, end));
}
