import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { addPeriod, addToDay, earlier, later, localDay, toInstant } from '../local-time.ts';
import { streamBacklog, streamMoved } from './backlog-store.ts';
import { type Case, type CheckTerms, type Decision, decide, enterCase } from './checks.ts';
import { type Journey, lockJourneys } from './journey-store.ts';
import {
  type Changes,
  type NewPlan,
  noChanges,
  type Planned,
  writeChanges,
  writePlans,
} from './plan-changes.ts';
import { keepCaseArms, openCases, type RulesDeps, readTerms } from './plan-context.ts';
import { bringBack, planOccasion } from './plan-occasion.ts';
import type { RecallOverride } from './recall.ts';
import { findRecallsOf } from './recall-store.ts';
import type { Rule, RuleDefinition } from './rule.ts';
import { findRuleVersion, lockRule, setBacklogDay, setMoveRecorded } from './rule-store.ts';
import type { Occasion, SelectionTerms } from './selection-store.ts';
import { morning } from './triggers/day-slots.ts';
import type { DueWindow } from './triggers/due-slots.ts';
import { triggerOf } from './triggers/triggers.ts';

/**
 * What a rule left behind it when it was switched on: so many a local day enter, each due on that day.
 * Once a day under the rule's lock, so that several planners let in no more than one would.
 */

/** Whether a rule's backlog has yet to be served on that day. */
export function awaitsBacklog(
  { state, definition, backlogDay }: Rule,
  clinic: Pick<Clinic, 'timeZone'>,
  now: Temporal.Instant,
): boolean {
  if (state !== 'active' || definition.backlog === null) return false;
  return backlogDay === null || backlogDay < localDay(now, clinic.timeZone);
}

/** Lets in those of today; nothing where another planner has been here. */
export async function admitBacklog(
  deps: RulesDeps,
  trx: Trx,
  clinic: Clinic,
  ruleId: string,
  now: Temporal.Instant,
): Promise<Planned> {
  const rule = await lockRule(trx, clinic.id, ruleId);
  const backlog = rule?.definition.backlog;
  if (rule == null || backlog == null || !awaitsBacklog(rule, clinic, now)) return nothing;
  const today = localDay(now, clinic.timeZone);
  await setBacklogDay(trx, clinic.id, rule.id, today);
  const terms = await readTerms(deps, trx, clinic.id, [rule], now);
  const recalls = await findRecallsOf(trx, clinic.id, rule.id);
  const entering: Entering[] = [];
  let isEmpty = true;
  let left = backlog.perDay;
  for await (const one of judgeBacklog(trx, rule, {
    terms,
    recalls,
    since: activationOf(rule, now),
  })) {
    isEmpty = false;
    const asked = enterOn(one, today, now, terms);
    const decision = decide(asked, terms);
    // Who is held out hears nothing, so that no place is taken.
    if (decision.outcome === 'due') left -= 1;
    else if (decision.reason !== 'holdout') continue;
    entering.push({ asked, decision });
    if (left === 0) break;
  }
  if (isEmpty) await setBacklogDay(trx, clinic.id, rule.id, addToDay(today, restDays));
  await keepCaseArms(
    trx,
    rule,
    entering.map(({ asked }) => asked),
    terms,
  );
  return writeChanges(trx, clinic.id, await toChanges(trx, entering, terms), now);
}

/** An empty backlog is looked at once a week: only history that is told late can fill it again. */
const restDays = 'P6D';

const nothing: Planned = { planned: 0, suppressed: 0 };

interface Entering {
  asked: Case;
  decision: Decision;
}

async function toChanges(
  trx: Trx,
  entering: readonly Entering[],
  terms: CheckTerms,
): Promise<Changes> {
  const changes = noChanges();
  const keys = entering.map(({ asked: { rule, occasion } }) => ({ ...occasion, ruleId: rule.id }));
  const patientIds = keys.map(({ patientId }) => patientId);
  const known = await lockJourneys(trx, terms.clinic.id, patientIds, keys);
  const byKey = new Map(known.map((journey) => [keyOf(journey), journey]));
  for (const { asked, decision } of entering) {
    const journey = byKey.get(keyOf({ ...asked.occasion, ruleId: asked.rule.id }));
    if (journey !== undefined) bringBack(asked, journey, decision, terms, changes);
    else changes.inserts.push(...[planOccasion(asked, terms)].filter((plan) => plan !== null));
  }
  return changes;
}

function keyOf({
  ruleId,
  patientId,
  occurrence,
}: Pick<Journey, 'ruleId' | 'patientId' | 'occurrence'>) {
  return `${ruleId} ${patientId} ${occurrence}`;
}

interface BacklogTerms {
  terms: CheckTerms;
  recalls: readonly RecallOverride[];
  /** What was due up to here, and of no journey, is the backlog. */
  since: Temporal.Instant;
}

/** Everybody of the backlog in the order in which they enter, due as they were. */
async function* judgeBacklog(
  trx: Trx,
  rule: Rule,
  { terms, recalls, since }: BacklogTerms,
): AsyncGenerator<Case> {
  const { backlog } = rule.definition;
  if (backlog === null) return;
  const { clinic, now } = terms;
  const after = addPeriod(since, `-${backlog.within ?? longest}`, clinic.timeZone);
  const question = {
    ...{ clinic, definition: rule.definition, window: { after, upTo: since } },
    ...{ patientIds: null, now, recalls, ruleId: rule.id, order: backlog.order },
  };
  for await (const occasions of streamBacklog(trx, question))
    yield* await openCases(trx, rule, occasions, terms);
}

const longest = 'P10Y';

/** The same, due on that day at the rule's time, or at once where that is past. */
function enterOn(asked: Case, day: string, now: Temporal.Instant, { clinic }: CheckTerms): Case {
  const { rule, occasion } = asked;
  const zone = occasion.patientZone ?? clinic.timeZone;
  const atTime = toInstant(day, rule.definition.sendAt ?? morning, zone);
  const dueAt = later(atTime, now);
  return enterCase(asked, { dueAt, at: now, wasDueAt: occasion.dueAt }, clinic);
}

/** Since when the rule looks ahead; as if it were switched on now where it is not on. */
function activationOf(
  { state, activeFrom }: Pick<Rule, 'state' | 'activeFrom'>,
  now: Temporal.Instant,
): Temporal.Instant {
  return state === 'active' ? (activeFrom ?? now) : now;
}

/** Records what a changed trigger moved into the past, so that it enters by the backlog alone. */
export async function recordMoved(
  trx: Trx,
  clinic: Clinic,
  ruleId: string,
  now: Temporal.Instant,
): Promise<Planned> {
  const rule = await lockRule(trx, clinic.id, ruleId);
  if (rule === null || rule.movedFrom === null || rule.activeFrom === null) return nothing;
  const before = await findRuleVersion(trx, clinic.id, rule.id, rule.movedFrom);
  const total = { planned: 0, suppressed: 0 };
  if (before !== null) {
    const recalls = await findRecallsOf(trx, clinic.id, rule.id);
    const question = moveQuestion(clinic, rule, before, { at: rule.activeFrom, now, recalls });
    for await (const occasions of streamMoved(trx, question)) {
      const plans = occasions.map((occasion) => leftBehind(rule, occasion));
      total.suppressed += (await writePlans(trx, clinic.id, plans, now)).suppressed;
    }
  }
  await setMoveRecorded(trx, clinic.id, rule.id);
  return total;
}

function leftBehind(rule: Rule, { patientId, occurrence, anchor, dueAt }: Occasion): NewPlan {
  const journey = {
    ...{ ruleId: rule.id, ruleVersion: rule.version, patientId, occurrence, anchor, dueAt },
    ...{ expiresAt: dueAt, state: 'suppressed' as const, reason: 'before-activation' },
    ...{ step: 0, nextAt: null, holdout: false, enteredAt: null, wasDueAt: null },
  };
  return { journey, toMessages: () => [] };
}

/** Whose occurrences lay ahead of an instant by the old rule, and lie behind it by the new one. */
export function moveQuestion(
  clinic: Clinic,
  rule: Rule,
  before: RuleDefinition,
  {
    at,
    now,
    recalls,
  }: { at: Temporal.Instant; now: Temporal.Instant; recalls: readonly RecallOverride[] },
) {
  const { id: ruleId, definition } = rule;
  const reach = triggerOf(definition.trigger.type).recall === undefined ? usualReach : longest;
  const terms = (of: RuleDefinition, window: DueWindow): SelectionTerms => ({
    ...{ clinic, definition: of, window, patientIds: null, now, recalls },
  });
  const ahead = { after: at, upTo: addPeriod(at, reach, clinic.timeZone) };
  const behind = { after: addPeriod(at, `-${reach}`, clinic.timeZone), upTo: at };
  return { ruleId, before: terms(before, ahead), after: terms(definition, behind) };
}

/** Of what comes again and again nothing is moved further. */
const usualReach = 'P400D';

export interface EnteringQuestion {
  terms: CheckTerms;
  recalls: readonly RecallOverride[];
  askedAt: Temporal.Instant;
  /** Who is due within it is no part of the backlog; nobody enters after it. */
  window: DueWindow;
}

export interface DayEntry extends Entering {
  /** The clinic's local day. */
  day: string;
}

/** It waits beyond the days that were asked about. */
export const leftInBacklog: Decision = { outcome: 'held', reason: 'backlog', check: 'backlog' };

/** Who will enter on which day from now on, and who is left when the days are over. */
export async function* enterByDay(
  trx: Trx,
  rule: Rule,
  { terms, recalls, askedAt, window }: EnteringQuestion,
): AsyncGenerator<DayEntry> {
  const { backlog } = rule.definition;
  if (backlog === null) return;
  const { timeZone } = terms.clinic;
  const since = earlier(activationOf(rule, askedAt), window.after);
  const last = localDay(window.upTo, timeZone);
  let day = firstDay(rule, localDay(askedAt, timeZone));
  let taken = 0;
  for await (const one of judgeBacklog(trx, rule, { terms, recalls, since })) {
    if (taken === backlog.perDay) [day, taken] = [addToDay(day, 'P1D'), 0];
    const asked = enterOn(one, day, askedAt, terms);
    const decision = decide(asked, terms);
    if (decision.outcome !== 'due' && decision.reason !== 'holdout') continue;
    if (day > last) {
      if (decision.outcome === 'due') yield { asked, decision: leftInBacklog, day };
      continue;
    }
    if (decision.outcome === 'due') taken += 1;
    yield { asked, decision, day };
  }
}

/** The first day that the backlog has not served. */
function firstDay({ backlogDay }: Rule, today: string): string {
  return backlogDay === today ? addToDay(today, 'P1D') : today;
}
