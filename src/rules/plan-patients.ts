import type { Trx } from '../database/connect.ts';
import { earlier, isAfter, later } from '../local-time.ts';
import { type JourneyMessage, journeyMessages, recheckHeld } from '../outbox/message-store.ts';
import { advanceLadders, type Ladder } from './advance-ladders.ts';
import type { Case, CheckTerms } from './checks.ts';
import { horizonAt } from './horizon.ts';
import {
  type EarliestOpen,
  earliestOpen,
  isOpen,
  type Journey,
  lockJourneys,
} from './journey-store.ts';
import { findLostReasons, type LostReason } from './lost-store.ts';
import { moveToSurvivors } from './move-patients-store.ts';
import { type Changes, noChanges, type Planned, writeChanges } from './plan-changes.ts';
import { keepCaseArms, openCases, type RulesDeps, readTerms } from './plan-context.ts';
import { considerOccasion, isBegun, lookBack, withdraw } from './plan-occasion.ts';
import { findRecalls } from './recall-store.ts';
import type { Rule } from './rule.ts';
import { shareActiveRules } from './rule-store.ts';
import { selectOccasions } from './selection-store.ts';
import type { DueWindow } from './triggers/due-slots.ts';
import { triggerOf } from './triggers/triggers.ts';

/**
 * Plans given patients anew, by all rules: new occurrences become journeys, what is no longer due is
 * withdrawn, what moved is moved, and ladders go on. It answers a change of their history, and a journey
 * whose next look is due.
 */
export async function planPatients(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  marked: readonly string[],
  now: Temporal.Instant,
): Promise<Planned> {
  if (marked.length === 0) return { planned: 0, suppressed: 0 };
  const patientIds = await moveToSurvivors(trx, clinicId, marked, now);
  const rules = await shareActiveRules(trx, clinicId);
  const terms = await readTerms(deps, trx, clinicId, rules, now);
  const plan = await gather(trx, rules, patientIds, terms);
  const changes = noChanges();
  for (const asked of plan.cases) {
    const journey = plan.byKey.get(keyOf({ ...asked.occasion, ruleId: asked.rule.id }));
    const messages = (journey && plan.messages.get(journey.id)) ?? [];
    considerOccasion(asked, journey, messages, terms, changes);
  }
  await withdrawLost(trx, clinicId, plan, changes);
  await advanceLadders(trx, laddersOf(plan, changes), terms, changes);
  const planned = await writeChanges(trx, clinicId, changes, now);
  await recheckHeld(trx, clinicId, { patientIds }, now);
  return planned;
}

/** Everything that the decisions look at, read set by set. */
interface Plan {
  rules: ReadonlyMap<string, Rule>;
  cases: Case[];
  recalls: Recalls;
  /** The open journeys of the patients, and those of the cases. */
  journeys: Journey[];
  byKey: ReadonlyMap<string, Journey>;
  messages: ReadonlyMap<string, JourneyMessage[]>;
}

type Recalls = Awaited<ReturnType<typeof findRecalls>>;

async function gather(
  trx: Trx,
  rules: readonly Rule[],
  patientIds: readonly string[],
  terms: CheckTerms,
): Promise<Plan> {
  const { clinic, now } = terms;
  const earliest = await earliestOpen(trx, clinic.id, patientIds);
  const ruleIds = rules.filter(isRecall).map(({ id }) => id);
  const recalls = await findRecalls(trx, clinic.id, ruleIds, patientIds);
  const cases: Case[] = [];
  for (const rule of rules) {
    const window = windowOf(rule, earliest.get(rule.id), terms);
    if (window === null) continue;
    const { definition } = rule;
    const selection = { clinic, definition, window, patientIds, now };
    const settled = { recalls: recalls.get(rule.id) ?? [], recallWindow: farAround(window, now) };
    const occasions = await selectOccasions(trx, { ...selection, ...settled });
    const found = await openCases(trx, rule, occasions, terms);
    await keepCaseArms(trx, rule, found, terms);
    cases.push(...found);
  }
  const keys = cases.map(({ rule, occasion }) => ({ ...occasion, ruleId: rule.id }));
  const journeys = await lockJourneys(trx, clinic.id, patientIds, keys);
  const ids = journeys.map(({ id }) => id);
  const messages = await journeyMessages(trx, clinic.id, ids);
  return {
    rules: new Map(rules.map((rule) => [rule.id, rule])),
    cases,
    recalls,
    journeys,
    byKey: new Map(journeys.map((journey) => [keyOf(journey), journey])),
    messages: Map.groupBy(messages, ({ journeyId }) => journeyId),
  };
}

function keyOf(of: { ruleId: string; patientId: string; occurrence: string }): string {
  return `${of.ruleId} ${of.patientId} ${of.occurrence}`;
}

const farOff = Temporal.Duration.from({ hours: 400 * 24 });
const oneMs = Temporal.Duration.from({ milliseconds: 1 });

/**
 * From the oldest that may still be shown or is still open, to the horizon. A changed trigger takes the
 * watermark back, and another planner may have moved it on: what is open between is not lost.
 */
function windowOf(
  { activeFrom, plannedThrough }: Rule,
  open: EarliestOpen | undefined,
  { clinic, now }: CheckTerms,
): DueWindow | null {
  if (activeFrom === null) return null;
  const horizon = horizonAt(now, clinic.timeZone);
  const upTo = plannedThrough === null ? horizon : later(plannedThrough, horizon);
  const start = later(activeFrom, now.subtract(lookBack));
  if (open === undefined) return { after: start, upTo };
  const after = earlier(start, open.dueAt.subtract(oneMs));
  // What was planned by another trigger may have moved far either way.
  if (isAfter(activeFrom, open.createdAt)) return farAround({ after, upTo }, now);
  return { after, upTo };
}

function farAround({ after, upTo }: DueWindow, now: Temporal.Instant): DueWindow {
  return { after: earlier(after, now.subtract(farOff)), upTo: later(upTo, now.add(farOff)) };
}

/** Open journeys without a case: replaced by a visit, moved, corrected, or out of the audience. */
async function withdrawLost(
  trx: Trx,
  clinicId: string,
  plan: Plan,
  changes: Changes,
): Promise<void> {
  const cased = new Set(
    plan.cases.map(({ rule, occasion }) => keyOf({ ...occasion, ruleId: rule.id })),
  );
  const lost = plan.journeys.filter((journey) => {
    if (!isOpen(journey) || !plan.rules.has(journey.ruleId) || cased.has(keyOf(journey)))
      return false;
    // Of a ladder that has begun its own stops decide, but for an appointment that is no longer what it was.
    const isStarted = (plan.messages.get(journey.id) ?? []).some(isBegun);
    return !isStarted || journey.anchor.kind === 'appointment';
  });
  const reasons = await findLostReasons(
    trx,
    clinicId,
    lost.map(({ id }) => id),
  );
  for (const journey of lost) {
    const rule = plan.rules.get(journey.ruleId);
    if (rule === undefined) continue;
    const reason = reasons.get(journey.id) ?? 'anchor';
    // Its day was moved far ahead, or away for ever.
    const isSettled =
      reason === 'audience' &&
      plan.recalls.get(rule.id)?.some(({ patientId }) => patientId === journey.patientId);
    const end = isSettled ? settledEnd : endOf(rule, reason);
    withdraw(journey, plan.messages.get(journey.id) ?? [], end, changes);
  }
}

const settledEnd = { state: 'cancelled', reason: 'recall-settled' } as const;

function isRecall({ definition: { trigger } }: Rule): boolean {
  return triggerOf(trigger.type).recall !== undefined;
}

function endOf(rule: Rule, reason: LostReason) {
  if (reason === 'visited') return { state: 'suppressed', reason } as const;
  if (reason === 'audience') return { state: 'cancelled', reason } as const;
  return { state: 'cancelled', reason: triggerOf(rule.definition.trigger.type).changed } as const;
}

function laddersOf(plan: Plan, changes: Changes): Ladder[] {
  return plan.journeys.flatMap((journey) => {
    const rule = plan.rules.get(journey.ruleId);
    const messages = plan.messages.get(journey.id) ?? [];
    const isLadder = isOpen(journey) && messages.some(isBegun) && !changes.updates.has(journey.id);
    return rule !== undefined && isLadder ? [{ journey, rule, messages }] : [];
  });
}
