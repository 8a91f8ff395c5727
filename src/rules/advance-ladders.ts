import type { Trx } from '../database/connect.ts';
import { isAfter, later, localDay } from '../local-time.ts';
import type { JourneyMessage } from '../outbox/message-store.ts';
import { hasLeft, isWaiting, type StandingTerms, standingOf, stopOf } from './advance-journey.ts';
import { type Answers, findAnswers } from './answers-store.ts';
import type { CheckTerms } from './checks.ts';
import { type ContactChoice, chooseContact } from './choose-contact.ts';
import {
  compareMessages,
  type Difference,
  isReplaced,
  isSamePlace,
  replacedEnd,
} from './compare-messages.ts';
import type { Journey } from './journey-store.ts';
import type { Changes } from './plan-changes.ts';
import { askConsent, type StepTerms, toMessage } from './plan-context.ts';
import { withdraw } from './plan-occasion.ts';
import { reachRelatives } from './reach-relatives.ts';
import { findReachable, type ReachablePatient } from './reachable-store.ts';
import type { Rule } from './rule.ts';
import { triggerOf } from './triggers/triggers.ts';

/** Steps after the first: a stop ends the rest, else the next one is prepared when its time is near. */

export interface Ladder {
  journey: Journey;
  rule: Rule;
  /** In the order of their steps; at least one. */
  messages: readonly JourneyMessage[];
}

/** Later steps become messages this long before they are due. */
const visibleAhead = Temporal.Duration.from({ hours: 48 });
const lookAgain = Temporal.Duration.from('PT1H');

export async function advanceLadders(
  trx: Trx,
  ladders: readonly Ladder[],
  terms: CheckTerms,
  changes: Changes,
): Promise<void> {
  if (ladders.length === 0) return;
  const { clinic, now } = terms;
  const journeys = ladders.map(({ journey }) => journey);
  const answers = await findAnswers(
    trx,
    clinic.id,
    journeys.map(({ id }) => id),
    now,
  );
  const patients = await findReachable(
    trx,
    clinic.id,
    journeys.map(({ patientId }) => patientId),
  );
  const today = localDay(now, clinic.timeZone);
  const climbing = ladders.flatMap((ladder) => {
    const patient = patients.get(ladder.journey.patientId);
    return patient ? [{ ...patient, ladder }] : [];
  });
  const reached = await reachRelatives(trx, climbing, {
    clinic,
    purposeOf: ({ ladder }) => ladder.rule.definition.purpose,
    idOf: ({ id }) => id,
    dayOf: () => today,
  });
  const steps = reached.flatMap(({ ladder, ...patient }) => {
    const answer = answers.get(ladder.journey.id);
    return nextStep({ ...ladder, patient }, answer, terms, changes) ?? [];
  });
  const blocks = await askConsent(
    trx,
    clinic,
    steps.map(({ journey, rule, patient, choice }) => ({
      patientId: journey.patientId,
      throughId: patient.throughId,
      purpose: rule.definition.purpose,
      contacts: choice.contacts,
    })),
  );
  steps.forEach((step, index) => {
    const take = step.isWaiting ? renewStep : takeStep;
    take(step, blocks[index] ?? [], terms, changes);
  });
}

interface NextStep extends Ladder {
  patient: ReachablePatient;
  choice: ContactChoice;
  dueAt: Temporal.Instant;
  /** Whether messages of it wait already. */
  isWaiting: boolean;
}

function nextStep(
  ladder: Ladder & { patient: ReachablePatient },
  answers: Answers | undefined,
  terms: CheckTerms,
  changes: Changes,
): NextStep | null {
  const { journey, rule, patient } = ladder;
  // What was replaced tells nothing of where the journey stands.
  const messages = ladder.messages.filter((message) => !isReplaced(message));
  const standingTerms: StandingTerms = {
    definition: rule.definition,
    patientZone: patient.patientZone,
    clinicZone: terms.clinic.timeZone,
    now: terms.now,
    unansweredStep: answers?.unansweredStep ?? null,
  };
  const standing = standingOf(messages, standingTerms);
  const change = (standingNow: Pick<Journey, 'state' | 'reason' | 'nextAt'>) => {
    changes.updates.set(journey.id, { ...journey, ...standingNow });
    return null;
  };
  if (standing.kind === 'ended') return change({ ...standing, nextAt: null });
  const stop = answers && stopOf(rule.definition.stopOn, answers, messages);
  if (stop) {
    withdraw(journey, messages, { state: 'cancelled', reason: stop }, changes);
    return null;
  }
  if (standing.kind === 'waiting') {
    const waiting = messages.filter(isWaiting);
    if (waiting.every(({ step }) => rule.definition.steps[step] === undefined)) {
      withdraw(journey, messages, { state: 'cancelled', reason: 'rule-changed' }, changes);
      return change({ state: 'finished', reason: null, nextAt: null });
    }
    const again = standAgain(messages, standingTerms);
    const choice = again && chooseContact(rule.definition, again.step, patient, terms);
    if (choice && choice.reason === null)
      return { ...ladder, choice, dueAt: later(again.dueAt, terms.now), isWaiting: true };
    return change(whileWaiting(waiting, terms));
  }
  const opensAt = standing.dueAt.subtract(visibleAhead);
  if (isAfter(opensAt, terms.now))
    return change({ state: 'active', reason: null, nextAt: opensAt });
  const choice = chooseContact(rule.definition, standing.step, patient, terms);
  if (choice.reason === 'no-contact-point')
    return change({ state: 'finished', reason: null, nextAt: null });
  return { ...ladder, choice, dueAt: later(standing.dueAt, terms.now), isWaiting: false };
}

function whileWaiting(
  waiting: readonly JourneyMessage[],
  { now }: CheckTerms,
): Pick<Journey, 'state' | 'reason' | 'nextAt'> {
  const expiries = waiting.map(({ expiresAt }) => expiresAt);
  return { state: 'active', reason: null, nextAt: expiries.reduce(later, now.add(lookAgain)) };
}

/** Where the journey would stand without the step that waits; null while that may be leaving, or has begun to. */
function standAgain(messages: readonly JourneyMessage[], terms: StandingTerms) {
  const step = messages.find(isWaiting)?.step ?? 0;
  const isUntouched = messages.every(
    (message) => message.step < step || message.state === 'scheduled' || message.state === 'held',
  );
  const before = messages.filter((message) => message.step < step);
  // Of what is unknown or failed the instant is not certain.
  const isCertain = before
    .filter((message) => message.step === before.at(-1)?.step)
    .every((message) => hasLeft(message) && message.sentAt !== null);
  if (!isUntouched || !isCertain || before.length === 0) return null;
  const standing = standingOf(before, terms);
  return standing.kind === 'next' ? standing : null;
}

function takeStep(
  next: NextStep,
  blocks: readonly (string | undefined)[],
  terms: CheckTerms,
  changes: Changes,
): void {
  const { journey, choice } = next;
  const allowed = choice.contacts.filter((_contact, at) => blocks[at] === undefined);
  const isBlocked = allowed.length === 0;
  if (isBlocked && !blocks.includes('no-consent')) {
    const end = { state: 'cancelled', reason: 'opted-out', nextAt: null } as const;
    changes.updates.set(journey.id, { ...journey, ...end });
    return;
  }
  const step = stepTerms(next, choice.reason ?? (isBlocked ? 'no-consent' : null), terms);
  const contacts = isBlocked ? choice.contacts.slice(0, 1) : allowed;
  const { missing, inTheWay } = compareMessages(
    next.messages,
    contacts.map((contact) => toMessage(contact, step, terms)),
  );
  changes.dropped.push(...inTheWay.map(({ id }) => id));
  changes.messages.push(...missing);
  changes.updates.set(journey.id, {
    ...journey,
    state: 'active',
    reason: null,
    step: choice.step,
    nextAt: step.expiresAt,
  });
}

function stepTerms(
  { journey, rule, patient: { patientZone }, choice, dueAt }: NextStep,
  reason: string | null,
  { clinic }: CheckTerms,
): StepTerms {
  const { anchor } = journey;
  const expiresAt = triggerOf(rule.definition.trigger.type).expiresAt(
    { dueAt, anchor, patientZone },
    rule.definition,
    clinic.timeZone,
  );
  return {
    ...{ rule, dueAt, expiresAt, reason },
    journeyId: journey.id,
    occasion: { ...journey, patientZone },
    step: choice.step,
    since: journey.dueAt,
    state: reason === null ? 'scheduled' : 'held',
  };
}

/** A step that waits follows its rule: its channels, its wait, and the zone in which its hour is told. */
function renewStep(
  next: NextStep,
  blocks: readonly (string | undefined)[],
  terms: CheckTerms,
  changes: Changes,
): void {
  const { journey, choice, rule } = next;
  const waiting = next.messages.filter(isWaiting);
  const step = stepTerms(next, null, terms);
  // What waits and may not go any more says so when it is its turn.
  const wanted = choice.contacts
    .filter(
      ({ channel }, at) =>
        blocks[at] === undefined ||
        waiting.some((message) => isSamePlace(message, { channel, step: choice.step })),
    )
    .map((contact) => toMessage(contact, step, terms));
  const { kept, surplus, missing, inTheWay } = compareMessages(next.messages, wanted);
  const standing = whileWaiting(waiting, terms);
  if (kept.length + missing.length === 0) {
    changes.updates.set(journey.id, { ...journey, ...standing });
    return;
  }
  const moved = kept.filter((each) => isMoved(each, rule, terms));
  changes.withdrawn.push(...surplus.map(({ id }) => ({ id, ...replacedEnd })));
  changes.dropped.push(...inTheWay.map(({ id }) => id));
  changes.messages.push(...missing);
  changes.moved.push(
    ...moved.map(({ message: { id }, wanted: { scheduledAt, expiresAt } }) => ({
      ...{ id, scheduledAt, expiresAt },
    })),
  );
  const isNew = moved.length + missing.length > 0;
  const nextAt = isNew ? step.expiresAt : standing.nextAt;
  changes.updates.set(journey.id, { ...journey, ...standing, step: choice.step, nextAt });
}

/** Whether the rule, or a zone, gives a step that waits another time by now. */
function isMoved(
  { message, wanted }: Difference['kept'][number],
  { definition: { trigger } }: Rule,
  { now }: CheckTerms,
): boolean {
  // Where it goes before an appointment depends on when that is asked.
  if (trigger.before !== undefined) return false;
  if (!isAfter(message.scheduledAt, now)) return isAfter(wanted.scheduledAt, now);
  return (
    !wanted.scheduledAt.equals(message.scheduledAt) || !wanted.expiresAt.equals(message.expiresAt)
  );
}
