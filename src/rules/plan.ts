import type { Db, Trx } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import { findClinic } from '../history/clinic-store.ts';
import { rescheduleClinic } from '../history/clinic-work-store.ts';
import { takeReplanMarks } from '../history/replan-store.ts';
import { earlier, isAfter } from '../local-time.ts';
import { admitBacklog, awaitsBacklog, recordMoved } from './backlog.ts';
import { horizonAt, nextHorizonAt } from './horizon.ts';
import {
  finishJourneys,
  hasReplanMarks,
  nextJourneyAt,
  patientsWithDueJourneys,
} from './journey-store.ts';
import type { Planned } from './plan-changes.ts';
import type { RulesDeps } from './plan-context.ts';
import { planHorizon } from './plan-horizon.ts';
import { planPatients } from './plan-patients.ts';
import { listActiveRules } from './rule-store.ts';

/**
 * One share of a clinic's planning at that instant: changed patients, rules whose horizon falls short,
 * journeys whose next look is due. Any number of planners may run it at once, and running it twice changes
 * nothing; not running it is only late.
 */

export interface PlanResult extends Planned {
  /** When the clinic wants planning again; null when nothing is ahead. */
  nextAt: Temporal.Instant | null;
}

export type PlanDeps = RulesDeps & { db: Db };

const patientsMax = 500;
/** Bounds one share, so that a clinic with an import leaves time for the others. */
const roundsMax = 20;
const statementTimeoutMs = 120_000;

export async function planClinic(
  deps: PlanDeps,
  clinicId: string,
  now: Temporal.Instant,
): Promise<PlanResult> {
  const total: PlanResult = { planned: 0, suppressed: 0, nextAt: null };
  const inClinic = <T>(work: (trx: Trx) => Promise<T>) =>
    withClinic(deps.db, clinicId, work, { statementTimeoutMs });
  let isDone = false;
  for (let round = 0; round < roundsMax && !isDone; round += 1) {
    isDone = await inClinic(async (trx) => {
      const isLast = await planWaiting(deps, trx, clinicId, now, total);
      total.nextAt = await reschedule(trx, clinicId, now);
      return isLast;
    });
  }
  if (total.nextAt === null || isAfter(total.nextAt, now)) return total;
  const { clinic, rules } = await inClinic(async (trx) => ({
    clinic: await findClinic(trx, clinicId),
    rules: await listActiveRules(trx, clinicId),
  }));
  if (clinic === null) return total;
  const horizon = horizonAt(now, clinic.timeZone);
  for (const rule of rules) {
    const { id, plannedThrough, movedFrom } = rule;
    if (movedFrom !== null) add(total, await inClinic((trx) => recordMoved(trx, clinic, id, now)));
    if (plannedThrough !== null && isAfter(horizon, plannedThrough))
      add(total, await inClinic((trx) => planHorizon(deps, trx, clinicId, id, now)));
    if (awaitsBacklog(rule, clinic, now))
      add(total, await inClinic((trx) => admitBacklog(deps, trx, clinic, id, now)));
  }
  return { ...total, nextAt: await inClinic((trx) => reschedule(trx, clinicId, now)) };
}

function add(total: Planned, { planned, suppressed }: Planned): void {
  total.planned += planned;
  total.suppressed += suppressed;
}

/** Changed patients, and those whose journeys want a look. @returns whether that was all. */
async function planWaiting(
  deps: PlanDeps,
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
  total: Planned,
): Promise<boolean> {
  const marked = await takeReplanMarks(trx, clinicId, patientsMax);
  const finished = await finishJourneys(trx, clinicId, now, patientsMax);
  const due = await patientsWithDueJourneys(trx, clinicId, now, patientsMax);
  const patientIds = [...new Set([...marked, ...due])].sort();
  add(total, await planPatients(deps, trx, clinicId, patientIds, now));
  return Math.max(marked.length, due.length, finished) < patientsMax;
}

async function reschedule(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
): Promise<Temporal.Instant | null> {
  let nextAt: Temporal.Instant | null = null;
  await rescheduleClinic(trx, clinicId, 'plan', async () => {
    const clinic = await findClinic(trx, clinicId);
    const rules = await listActiveRules(trx, clinicId);
    const instants = [
      (await hasReplanMarks(trx, clinicId)) ? now : null,
      await nextJourneyAt(trx, clinicId),
      ...rules.map((rule) => nextHorizonAt(rule, clinic?.timeZone ?? 'UTC')),
      ...rules.map((rule) =>
        clinic && (rule.movedFrom !== null || awaitsBacklog(rule, clinic, now)) ? now : null,
      ),
    ].filter((at) => at !== null);
    nextAt = instants.length === 0 ? null : instants.reduce(earlier);
    return nextAt;
  });
  return nextAt;
}
