import type { Trx } from '../database/connect.ts';
import { localDay } from '../local-time.ts';
import type { JourneyMessage } from '../outbox/message-store.ts';
import { isWaiting, standingOf, stopOf } from './advance-journey.ts';
import { type Answers, findAnswers } from './answers-store.ts';
import type { CheckTerms } from './checks.ts';
import { type ContactChoice, chooseContact } from './choose-contact.ts';
import type { Journey } from './journey-store.ts';
import type { Changes } from './plan-changes.ts';
import { askConsent, isAfter, later, toMessage } from './plan-context.ts';
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
    takeStep(step, blocks[index] ?? [], terms, changes);
  });
}

interface NextStep extends Ladder {
  patient: ReachablePatient;
  choice: ContactChoice;
  dueAt: Temporal.Instant;
}

function nextStep(
  ladder: Ladder & { patient: ReachablePatient },
  answers: Answers | undefined,
  terms: CheckTerms,
  changes: Changes,
): NextStep | null {
  const { journey, rule, messages, patient } = ladder;
  const standing = standingOf(messages, {
    definition: rule.definition,
    patientZone: patient.patientZone,
    clinicZone: terms.clinic.timeZone,
    now: terms.now,
  });
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
    const expiries = messages.filter(isWaiting).map(({ expiresAt }) => expiresAt);
    const nextAt = expiries.reduce(later, terms.now.add(lookAgain));
    return change({ state: 'active', reason: null, nextAt });
  }
  const opensAt = standing.dueAt.subtract(visibleAhead);
  if (isAfter(opensAt, terms.now))
    return change({ state: 'active', reason: null, nextAt: opensAt });
  const choice = chooseContact(rule.definition, standing.step, patient, terms);
  if (choice.reason === 'no-contact-point')
    return change({ state: 'finished', reason: null, nextAt: null });
  return { ...ladder, choice, dueAt: later(standing.dueAt, terms.now) };
}

function takeStep(
  { journey, rule, patient, choice, dueAt }: NextStep,
  blocks: readonly (string | undefined)[],
  terms: CheckTerms,
  changes: Changes,
): void {
  const allowed = choice.contacts.filter((_contact, at) => blocks[at] === undefined);
  const isBlocked = allowed.length === 0;
  if (isBlocked && !blocks.includes('no-consent')) {
    const end = { state: 'cancelled', reason: 'opted-out', nextAt: null } as const;
    changes.updates.set(journey.id, { ...journey, ...end });
    return;
  }
  const { anchor } = journey;
  const { patientZone } = patient;
  const expiresAt = triggerOf(rule.definition.trigger.type).expiresAt(
    { dueAt, anchor, patientZone },
    rule.definition,
    terms.clinic.timeZone,
  );
  const reason = choice.reason ?? (isBlocked ? 'no-consent' : null);
  const step = {
    rule,
    journeyId: journey.id,
    occasion: { ...journey, patientZone },
    step: choice.step,
    since: journey.dueAt,
    dueAt,
    expiresAt,
    state: reason === null ? ('scheduled' as const) : ('held' as const),
    reason,
  };
  const contacts = isBlocked ? choice.contacts.slice(0, 1) : allowed;
  changes.messages.push(...contacts.map((contact) => toMessage(contact, step, terms)));
  changes.updates.set(journey.id, {
    ...journey,
    state: 'active',
    reason: null,
    step: choice.step,
    nextAt: expiresAt,
  });
}
