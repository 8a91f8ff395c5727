import type { Trx } from '../database/connect.ts';
import { notFound } from '../errors.ts';
import { hostIdsOf } from '../history/patient-store.ts';
import { addToDay, localDay } from '../local-time.ts';
import { moveQuestion } from './backlog.ts';
import { countMoved } from './backlog-store.ts';
import { checkTemplates, parseRule, refuse } from './check-rule.ts';
import { type Forecast, moneyOf, openForecast, spell, tallyDays } from './forecast.ts';
import { type RulesDeps, readTerms } from './plan-context.ts';
import type { Rule, RuleIn } from './rule.ts';
import { findRule, movesDue, templatesOf } from './rule-store.ts';

/** Whom a changed rule would gain and lose in the coming days, and what it would cost. Nothing is stored. */

export interface DiffSample {
  patientId: string;
  change: 'gained' | 'lost';
  /** When the first step would leave. */
  scheduledAt: string;
}

interface Money {
  amount: string;
  currency: string;
}

export interface RuleDiff {
  /** Patients. */
  gained: number;
  lost: number;
  unchanged: number;
  /** Patients whom the change would move into the past: they enter by the backlog alone. */
  beforeActivation: number;
  /** Who would still wait in the new rule's backlog after those days. */
  backlog: number;
  cost: { before: Money; after: Money };
  samples: DiffSample[];
}

export interface DiffQuestion {
  ruleId: string;
  /** The rule as it would be. */
  rule: RuleIn;
  source: string;
}

/** Today and the days after it that are compared. */
export const diffDays = 30;
/** Of each kind. */
const samplesMax = 10;

/** @throws AppError for a rule that is not there, and with a pointer for what is wrong with the new one. */
export async function diffRule(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  { ruleId, rule: input, source }: DiffQuestion,
  now: Temporal.Instant,
): Promise<RuleDiff> {
  const rule = await findRule(trx, clinicId, ruleId);
  if (rule === null) throw notFound('rule');
  const definition = parseRule(input);
  refuse(checkTemplates(definition, await templatesOf(trx, clinicId, definition)));
  const isMoved = movesDue(rule.definition, definition);
  // A changed trigger is a new activation.
  const changed = { ...rule, definition, ...(isMoved && { activeFrom: now }) };
  const terms = await readTerms(deps, trx, clinicId, [rule, changed], now);
  const from = localDay(now, terms.clinic.timeZone);
  const days = { ruleId, from, to: addToDay(from, `P${diffDays - 1}D`), source };
  const opened = await openForecast(deps, trx, clinicId, days, now);
  const forecast = { ...opened, terms: { ...terms, now: opened.terms.now } };
  const before = await recipientsOf(deps, trx, forecast);
  const after = await recipientsOf(deps, trx, { ...forecast, rule: changed });
  const gained = without(after.patients, before.patients);
  const lost = without(before.patients, after.patients);
  const some = [
    ...gained.slice(0, samplesMax).map((each) => ({ ...each, change: 'gained' as const })),
    ...lost.slice(0, samplesMax).map((each) => ({ ...each, change: 'lost' as const })),
  ];
  const ids = await hostIdsOf(
    trx,
    clinicId,
    some.map(({ id }) => id),
  );
  return {
    gained: gained.length,
    lost: lost.length,
    unchanged: after.patients.size - gained.length,
    beforeActivation: isMoved ? await countLeftBehind(trx, forecast, changed, now) : 0,
    backlog: after.backlog,
    cost: {
      before: moneyOf(before.costMicros, forecast.terms),
      after: moneyOf(after.costMicros, forecast.terms),
    },
    samples: some.map(({ id, change, at }) => ({
      patientId: spell(ids.get(id), source),
      change,
      scheduledAt: at.toString(),
    })),
  };
}

/** A rule that is off has nothing ahead of it yet. */
async function countLeftBehind(
  trx: Trx,
  { rule, terms: { clinic }, recalls }: Forecast,
  changed: Rule,
  now: Temporal.Instant,
): Promise<number> {
  if (rule.state !== 'active') return 0;
  const asOf = { at: now, now, recalls };
  return countMoved(trx, moveQuestion(clinic, changed, rule.definition, asOf));
}

async function recipientsOf(deps: RulesDeps, trx: Trx, forecast: Forecast) {
  const patients = new Map<string, Temporal.Instant>();
  const { costMicros, backlog } = await tallyDays(deps, trx, forecast, ({ asked, at }) => {
    const { patientId } = asked.occasion;
    if (!patients.has(patientId)) patients.set(patientId, at);
  });
  return { patients, costMicros, backlog };
}

function without(
  some: ReadonlyMap<string, Temporal.Instant>,
  others: ReadonlyMap<string, Temporal.Instant>,
): { id: string; at: Temporal.Instant }[] {
  return [...some].filter(([id]) => !others.has(id)).map(([id, at]) => ({ id, at }));
}
