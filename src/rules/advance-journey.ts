import { addPeriod, dueAt, isCalendarPeriod } from '../local-time.ts';
import type { StopReason } from '../outbox/guard.ts';
import type { JourneyMessage } from '../outbox/message-store.ts';
import type { Answers } from './answers-store.ts';
import type { RuleDefinition } from './rule.ts';

/** Where a journey stands by its messages, and what comes next. Pure. */

export type Standing =
  /** A message is on its way or waits. */
  | { kind: 'waiting' }
  /** The next step, due at that instant. */
  | { kind: 'next'; step: number; dueAt: Temporal.Instant }
  /** Nothing more will come. */
  | {
      kind: 'ended';
      state: 'finished' | 'suppressed' | 'cancelled' | 'expired';
      reason: string | null;
    };

export interface StandingTerms {
  definition: Pick<RuleDefinition, 'steps' | 'sendAt'>;
  patientZone: string | null;
  clinicZone: string;
  now: Temporal.Instant;
  /** The step whose call reached nobody; null where there is none. */
  unansweredStep?: number | null;
}

const waitingStates: readonly string[] = ['scheduled', 'held', 'claimed', 'sending', 'retry'];
/** What may have reached the patient: the wait for the next step counts from it. */
const leftStates: readonly string[] = ['sent', 'delivered', 'read', 'unknown'];

export function isWaiting({ state }: Pick<JourneyMessage, 'state'>): boolean {
  return waitingStates.includes(state);
}

/** Whether it may have reached the patient, whatever became of it later. */
export function hasLeft({ state, sentAt }: Pick<JourneyMessage, 'state' | 'sentAt'>): boolean {
  return leftStates.includes(state) || (state !== 'failed' && sentAt !== null);
}

/** `messages` are all of one journey, in the order of its steps; there is at least one. */
export function standingOf(messages: readonly JourneyMessage[], terms: StandingTerms): Standing {
  if (messages.some(isWaiting)) return { kind: 'waiting' };
  const last = messages.at(-1);
  if (last === undefined) return { kind: 'waiting' };
  const current = messages.filter((message) => message.step === last.step);
  const left = current.filter(hasLeft);
  const step = last.step + 1;
  const next = terms.definition.steps[step];
  if (left.length > 0) {
    if (next === undefined) return { kind: 'ended', state: 'finished', reason: null };
    const leftAt = latest(left.map((message) => message.sentAt ?? message.updatedAt));
    const isMissed =
      last.step === terms.unansweredStep && left.every(({ channel }) => channel === 'task');
    // Who was not reached is written to at once; another call keeps its distance.
    const isAtOnce = isMissed && next.channels.some((channel) => channel !== 'task');
    const dueAt = isAtOnce ? terms.now : afterWait(leftAt, next.after, terms);
    return { kind: 'next', step, dueAt };
  }
  const failed = current.some(
    ({ state, reason }) => state === 'failed' || reason === 'no-contact-point',
  );
  // Definitely not received: the next step goes in its place, without its wait.
  if (failed && next !== undefined) return { kind: 'next', step, dueAt: terms.now };
  return endOf(messages, last);
}

function endOf(messages: readonly JourneyMessage[], last: JourneyMessage): Standing {
  const isStarted = messages.some(hasLeft);
  if (last.state === 'failed' || (isStarted && last.state === 'expired')) {
    return { kind: 'ended', state: 'finished', reason: null };
  }
  if (last.state === 'expired') return { kind: 'ended', state: 'expired', reason: last.reason };
  const state = last.state === 'cancelled' || isStarted ? 'cancelled' : 'suppressed';
  return { kind: 'ended', state, reason: last.reason };
}

export function afterWait(
  leftAt: Temporal.Instant,
  after: string | null,
  { definition, patientZone, clinicZone }: StandingTerms,
): Temporal.Instant {
  if (after === null) return leftAt;
  if (definition.sendAt === null || !isCalendarPeriod(after))
    return addPeriod(leftAt, after, clinicZone);
  return dueAt({ anchor: leftAt, after, sendAt: definition.sendAt, patientZone, clinicZone });
}

function latest(instants: readonly Temporal.Instant[]): Temporal.Instant {
  return instants.reduce((one, other) => (Temporal.Instant.compare(one, other) >= 0 ? one : other));
}

/** The first of the rule's stops that happened. */
export function stopOf(
  stopOn: readonly StopReason[],
  answers: Answers,
  messages: readonly JourneyMessage[],
): StopReason | null {
  const happened: Record<StopReason, boolean> = {
    visited: answers.visited,
    booked: answers.booked,
    confirmed: answers.confirmed,
    replied: messages.some((message) => message.repliedAt !== null),
    clicked: messages.some((message) => message.clickedAt !== null),
    'task-outcome': answers.hasTaskOutcome,
    // Asked of consent, for each contact.
    'opted-out': false,
    paid: answers.paid,
  };
  return (
    (Object.keys(happened) as StopReason[]).find(
      (reason) => happened[reason] && stopOn.includes(reason),
    ) ?? null
  );
}
