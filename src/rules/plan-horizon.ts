import type { Trx } from '../database/connect.ts';
import { markReplan } from '../history/replan-store.ts';
import { isAfter } from '../local-time.ts';
import { horizonAt } from './horizon.ts';
import { patientsOfEnded } from './journey-store.ts';
import { type Planned, writePlans } from './plan-changes.ts';
import { keepCaseArms, openCases, type RulesDeps, readTerms } from './plan-context.ts';
import { planOccasion } from './plan-occasion.ts';
import { findRecallsOf } from './recall-store.ts';
import { lockRule, setPlannedThrough } from './rule-store.ts';
import { streamOccasions } from './selection-store.ts';

/**
 * Plans what no event starts, behind a watermark for each rule. Whole days of the clinic are planned as
 * each day begins, so that what is due within 48 hours is always there to be seen.
 */

/** Moves a rule's watermark to its horizon; nothing where another planner has been here. */
export async function planHorizon(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  ruleId: string,
  now: Temporal.Instant,
): Promise<Planned> {
  const total = { planned: 0, suppressed: 0 };
  const rule = await lockRule(trx, clinicId, ruleId);
  if (rule === null || rule.state !== 'active' || rule.plannedThrough === null) return total;
  const terms = await readTerms(deps, trx, clinicId, [rule], now);
  // As it is now that the rule is locked: a clinic that changes its zone waits for that lock.
  const { clinic } = terms;
  const upTo = horizonAt(now, clinic.timeZone);
  if (!isAfter(upTo, rule.plannedThrough)) return total;
  const { definition, plannedThrough: after } = rule;
  const recalls = await findRecallsOf(trx, clinic.id, rule.id);
  const window = { after, upTo };
  const selection = { clinic, definition, window, patientIds: null, now, recalls };
  for await (const occasions of streamOccasions(trx, selection)) {
    const cases = await openCases(trx, rule, occasions, terms);
    await keepCaseArms(trx, rule, cases, terms);
    const plans = cases.flatMap((asked) => planOccasion(asked, terms) ?? []);
    const written = await writePlans(trx, clinic.id, plans, now);
    total.planned += written.planned;
    total.suppressed += written.suppressed;
    // A visit that was moved ahead ended its journey; now that its new day is near it may begin again.
    await markReplan(trx, clinic.id, await patientsOfEnded(trx, clinic.id, written.known));
  }
  await setPlannedThrough(trx, clinic.id, rule.id, upTo);
  return total;
}
