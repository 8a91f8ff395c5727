import type { Db } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import { findClinic } from '../history/clinic-store.ts';
import { rescheduleClinic } from '../history/clinic-work-store.ts';
import { takeReplanMarks } from '../history/replan-store.ts';
import { horizonAt, nextHorizonAt } from './horizon.ts';
import {
  finishJourneys,
  hasReplanMarks,
  nextJourneyAt,
  patientsWithDueJourneys,
} from './journey-store.ts';
import type { Planned } from './plan-changes.ts';
import { earlier, isAfter, type RulesDeps } from './plan-context.ts';
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

const marksPerTransaction = 500;
/** Bounds one share, so that a clinic with an import leaves time for the others. */
const roundsMax = 20;
const statementTimeoutMs = 120_000;

export async function planClinic(
  deps: PlanDeps,
  clinicId: string,
  now: Temporal.Instant,
): Promise<PlanResult> {
  const total = { planned: 0, suppressed: 0 };
  const add = ({ planned, suppressed }: Planned) => {
    total.planned += planned;
    total.suppressed += suppressed;
  };
  await planHorizons(deps, clinicId, now, add);
  await planMarked(deps, clinicId, now, add);
  await planDue(deps, clinicId, now, add);
  return { ...total, nextAt: await reschedule(deps, clinicId, now) };
}

type Add = (planned: Planned) => void;

async function planMarked(
  deps: PlanDeps,
  clinicId: string,
  now: Temporal.Instant,
  add: Add,
): Promise<void> {
  for (let round = 0; round < roundsMax; round += 1) {
    const taken = await withClinic(
      deps.db,
      clinicId,
      async (trx) => {
        const patientIds = await takeReplanMarks(trx, clinicId, marksPerTransaction);
        add(await planPatients(deps, trx, clinicId, patientIds, now));
        return patientIds.length;
      },
      { statementTimeoutMs },
    );
    if (taken === 0) return;
  }
}

async function planHorizons(
  deps: PlanDeps,
  clinicId: string,
  now: Temporal.Instant,
  add: Add,
): Promise<void> {
  const { clinic, rules } = await withClinic(deps.db, clinicId, async (trx) => ({
    clinic: await findClinic(trx, clinicId),
    rules: await listActiveRules(trx, clinicId),
  }));
  if (clinic === null) return;
  const horizon = horizonAt(now, clinic.timeZone);
  for (const { id, plannedThrough } of rules) {
    if (plannedThrough === null || !isAfter(horizon, plannedThrough)) continue;
    const plan = () =>
      withClinic(deps.db, clinicId, (trx) => planHorizon(deps, trx, clinic, id, now), {
        statementTimeoutMs,
      });
    add(await plan());
  }
}

async function planDue(
  deps: PlanDeps,
  clinicId: string,
  now: Temporal.Instant,
  add: Add,
): Promise<void> {
  for (let round = 0; round < roundsMax; round += 1) {
    const found = await withClinic(
      deps.db,
      clinicId,
      async (trx) => {
        const finished = await finishJourneys(trx, clinicId, now, marksPerTransaction);
        const patientIds = await patientsWithDueJourneys(trx, clinicId, now, marksPerTransaction);
        add(await planPatients(deps, trx, clinicId, patientIds, now));
        return finished + patientIds.length;
      },
      { statementTimeoutMs },
    );
    if (found === 0) return;
  }
}

async function reschedule(
  deps: PlanDeps,
  clinicId: string,
  now: Temporal.Instant,
): Promise<Temporal.Instant | null> {
  return withClinic(deps.db, clinicId, async (trx) => {
    let nextAt: Temporal.Instant | null = null;
    await rescheduleClinic(trx, clinicId, 'plan', async () => {
      const clinic = await findClinic(trx, clinicId);
      const zone = clinic?.timeZone ?? 'UTC';
      const rules = await listActiveRules(trx, clinicId);
      const instants = [
        (await hasReplanMarks(trx, clinicId)) ? now : null,
        await nextJourneyAt(trx, clinicId),
        ...rules.map((rule) => nextHorizonAt(rule, zone)),
      ].filter((at) => at !== null);
      nextAt = instants.length === 0 ? null : instants.reduce(earlier);
      return nextAt;
    });
    return nextAt;
  });
}
