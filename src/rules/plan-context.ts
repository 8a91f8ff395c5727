import type { Trx } from '../database/connect.ts';
import { notFound } from '../errors.ts';
import type { Clinic } from '../history/clinic.ts';
import { clinicConsentTerms } from '../history/clinic-policy.ts';
import { findClinic } from '../history/clinic-store.ts';
import { blockedByConsent, type ConsentBlock } from '../history/consent-store.ts';
import { lastAllowedBefore, type SendTerms } from '../history/send-window.ts';
import { later } from '../local-time.ts';
import { type ChannelDeps, effectiveChannels } from '../outbox/channel-store.ts';
import type { NewMessage } from '../outbox/message-store.ts';
import { moveMinutes } from '../outbox/move-store.ts';
import { sendTermsOf } from '../outbox/sending-hours.ts';
import { findTemplates } from '../outbox/template-store.ts';
import { type Case, type CheckTerms, decide, openCase, takesPart } from './checks.ts';
import type { Contact } from './choose-contact.ts';
import { type Arm, assignArms } from './holdout.ts';
import { findArms, keepArms } from './holdout-store.ts';
import { reachRelatives } from './reach-relatives.ts';
import { isInviting, type Rule, type RuleDefinition } from './rule.ts';
import type { Occasion } from './selection-store.ts';
import { triggerOf } from './triggers/triggers.ts';

/** What planning, preview and explain share: the clinic's terms, and the way from an occasion to a message. */

export type RulesDeps = ChannelDeps;

export async function readTerms(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  rules: readonly Pick<Rule, 'definition'>[],
  now: Temporal.Instant,
): Promise<CheckTerms> {
  const clinic = await findClinic(trx, clinicId);
  if (clinic === null) throw notFound('clinic');
  const names = new Set(
    rules.flatMap(({ definition }) => definition.steps.map((step) => step.template)),
  );
  const templates = await findTemplates(trx, clinicId, [...names]);
  return {
    clinic,
    now,
    channels: await effectiveChannels(deps, trx, clinic),
    templates: new Map(templates.map((template) => [template.name, template])),
    country: clinic.country,
    clinicLanguage: clinic.language,
  };
}

/** Brings all occasions of a rule before the checks, with consent asked once. */
export async function openCases(
  trx: Trx,
  rule: Rule,
  occasions: readonly Occasion[],
  terms: CheckTerms,
): Promise<Case[]> {
  const { purpose } = rule.definition;
  const reached = await reachRelatives(trx, occasions, {
    clinic: terms.clinic,
    purposeOf: () => purpose,
    idOf: ({ patientId }) => patientId,
    dayOf: ({ dueDay }) => dueDay,
  });
  const cases = reached.map((occasion) => openCase(rule, occasion, terms));
  const blocks = await askConsent(
    trx,
    terms.clinic,
    cases.map(({ occasion, choice }) => ({
      patientId: occasion.patientId,
      throughId: occasion.throughId,
      purpose,
      contacts: choice.contacts,
    })),
  );
  const arms = await findCaseArms(trx, terms.clinic.id, rule, cases);
  return cases.map((asked, index) => ({
    ...asked,
    blocks: blocks[index] ?? [],
    arm: arms[index] ?? 'treated',
  }));
}

async function findCaseArms(
  trx: Trx,
  clinicId: string,
  rule: Rule,
  cases: readonly Pick<Case, 'units'>[],
): Promise<Arm[]> {
  if (rule.definition.holdout === 0) return [];
  const units = cases.map((asked) => asked.units);
  return assignArms(rule, units, await findArms(trx, clinicId, rule.id, units));
}

/** Keeps, when they are planned, the arms of those who take part in what the rule's holdout measures. */
export async function keepCaseArms(
  trx: Trx,
  rule: Rule,
  cases: readonly Case[],
  terms: CheckTerms,
): Promise<void> {
  if (rule.definition.holdout === 0) return;
  const assignments = cases
    .filter((asked) => takesPart(decide(asked, terms)))
    .map(({ units, arm }) => ({ ...units, arm }));
  await keepArms(trx, terms.clinic.id, rule.id, assignments, terms.now);
}

export interface ContactAsk {
  patientId: string;
  /** Whose contact points they are, where that is somebody else: their opt-outs hold too. */
  throughId?: string | null | undefined;
  purpose: RuleDefinition['purpose'];
  contacts: readonly Contact[];
}

/** For each ask and each of its contacts, what blocks it. */
export async function askConsent(
  trx: Trx,
  clinic: Clinic,
  asks: readonly ContactAsk[],
): Promise<(ConsentBlock | undefined)[][]> {
  const flat = asks.flatMap(({ patientId, throughId, purpose, contacts }, index) =>
    contacts.flatMap(({ channel, address }, at) => {
      const ask = { key: `${index}/${at}`, patientId, purpose, channel, address };
      if (throughId == null || address === null) return [ask];
      return [ask, { ...ask, key: `${index}/${at} through`, patientId: throughId }];
    }),
  );
  const consent = clinicConsentTerms(clinic);
  const blocked = await blockedByConsent(trx, clinic.id, flat, consent);
  return asks.map(({ contacts }, index) =>
    contacts.map((_contact, at) => {
      const isStopped = blocked.get(`${index}/${at} through`) === 'opted-out';
      return isStopped ? 'opted-out' : blocked.get(`${index}/${at}`);
    }),
  );
}

export interface StepTerms {
  rule: Rule;
  journeyId: string;
  occasion: Pick<Occasion, 'patientId' | 'occurrence' | 'anchor' | 'patientZone'>;
  step: number;
  /** When the journey fell due: what happens from then on answers it. */
  since: Temporal.Instant;
  /** Nothing of the journey was sent before. */
  isOpening?: boolean;
  dueAt: Temporal.Instant;
  expiresAt: Temporal.Instant;
  state: NewMessage['state'];
  reason: string | null;
}

/** The message that a step becomes on one channel. */
export function toMessage(
  contact: Contact,
  terms: StepTerms,
  { clinic, now }: CheckTerms,
): NewMessage {
  const { rule, occasion, step } = terms;
  const { definition } = rule;
  const at = later(scheduledAt(terms, clinic, now), now);
  return {
    ruleId: rule.id,
    ruleVersion: rule.version,
    journeyId: terms.journeyId,
    step,
    occurrence: occasion.occurrence,
    journeyContinues: step < definition.steps.length - 1,
    patientId: occasion.patientId,
    purpose: definition.purpose,
    channel: contact.channel,
    template: definition.steps[step]?.template ?? '',
    address: contact.address,
    priority: definition.priority,
    onAmbiguous: definition.onAmbiguous,
    guard: {
      ...triggerOf(definition.trigger.type).guard(occasion.anchor, definition, clinic.timeZone),
      since: terms.since.toString(),
      unlessBooked: definition.unlessBooked,
      stopOn: definition.stopOn,
      opens: terms.isOpening === true,
      ...(terms.isOpening && isInviting(definition) && { invitation: true }),
    },
    state: terms.state,
    ...(terms.reason !== null && { reason: terms.reason }),
    scheduledAt: at,
    expiresAt: terms.expiresAt,
  };
}

/** The hours and days on which a rule's message about this may leave. */
export function hoursOf(
  { definition }: Rule,
  { anchor, patientZone }: Pick<Occasion, 'anchor' | 'patientZone'>,
  clinic: Clinic,
): SendTerms {
  const { purpose, trigger } = definition;
  const guard = triggerOf(trigger.type).guard(anchor, definition, clinic.timeZone);
  return sendTermsOf({ purpose, patientZone, guard }, clinic);
}

/** What must come before an appointment goes at the last allowed minute rather than at the next. */
function scheduledAt(
  { rule, occasion, dueAt }: StepTerms,
  clinic: Clinic,
  now: Temporal.Instant,
): Temporal.Instant {
  if (rule.definition.trigger.before === undefined)
    return afterMove(dueAt, occasion.anchor.cancelledAt);
  const allowed = lastAllowedBefore(dueAt, hoursOf(rule, occasion, clinic));
  return allowed !== null && Temporal.Instant.compare(allowed, now) >= 0 ? allowed : dueAt;
}

/** Until then a cancellation may still turn out to be a move. */
function afterMove(dueAt: Temporal.Instant, cancelledAt: string | undefined): Temporal.Instant {
  if (cancelledAt === undefined) return dueAt;
  return later(dueAt, Temporal.Instant.from(cancelledAt).add({ minutes: moveMinutes, seconds: 1 }));
}
