import type { Trx } from '../database/connect.ts';
import { AppError, type Fault, invalid } from '../errors.ts';
import { recordAudit } from '../history/audit-store.ts';
import type { Clinic } from '../history/clinic.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import { markReplan } from '../history/replan-store.ts';
import { isDay, localDay } from '../local-time.ts';
import { never, type RecallOverride, recallDueAt } from './recall.ts';
import { deleteRecallOverride, findRecalls, putRecallOverride } from './recall-store.ts';
import { type Rule, rulesPerClinicMax } from './rule.ts';
import { findRule, listRules } from './rule-store.ts';
import { checkPeriod } from './triggers/field-checks.ts';
import type { RecallAnchor, RecallRow } from './triggers/trigger.ts';
import { triggerOf } from './triggers/triggers.ts';

/** Settles when one patient is recalled by a rule, whatever the rule says for everybody. */

export interface RecallWish {
  after?: string | undefined;
  dueOn?: string | undefined;
  disabledUntil?: string | undefined;
  reason?: string | undefined;
}

export interface RecallChange {
  ruleId: string;
  /** Ours. */
  patientId: string;
  actor: string;
  now: Temporal.Instant;
}

export interface Recall {
  rule: Rule;
  /** The last one that counts; null where there is none. */
  anchor: RecallAnchor | null;
  /** Null where nothing is due, or never. */
  dueAt: Temporal.Instant | null;
  override: RecallOverride | null;
}

/** @throws AppError with a pointer for what cannot be. @returns null where there is no such rule. */
export async function putRecall(
  trx: Trx,
  clinic: Clinic,
  wish: RecallWish,
  { ruleId, patientId, actor, now }: RecallChange,
): Promise<Recall | null> {
  const rule = await findRule(trx, clinic.id, ruleId);
  if (rule === null) return null;
  const row = recallRowOf(rule);
  checkWish(wish, rule, localDay(now, clinic.timeZone));
  const anchors = await anchorsOf(trx, clinic, rule, row, patientId);
  if (wish.dueOn !== undefined && anchors.length === 0) {
    const detail = 'There is nothing yet that this patient would be recalled after.';
    throw unprocessable({ pointer: '/dueOn', code: 'no-anchor', detail });
  }
  const { after = null, dueOn = null, disabledUntil = null, reason = null } = wish;
  const override = {
    ...{ ruleId: rule.id, patientId, after, dueOn, disabledUntil, reason },
    dueFor: dueOn === null ? [] : anchors.map(({ occurrence }) => occurrence),
    setBy: actor,
    setAt: now,
  };
  await putRecallOverride(trx, clinic.id, override);
  const detail = { ruleId: rule.id, after, dueOn, disabledUntil };
  const subject = patientId;
  await recordAudit(trx, clinic.id, { actor, action: 'recall.settled', subject, detail }, now);
  await planAnew(trx, clinic.id, patientId, now);
  return toRecall(rule, row, anchors, override, clinic);
}

/** @returns whether there was anything to take back. */
export async function deleteRecall(
  trx: Trx,
  clinicId: string,
  { ruleId, patientId, actor, now }: RecallChange,
): Promise<boolean> {
  const rule = await findRule(trx, clinicId, ruleId);
  if (rule === null || !(await deleteRecallOverride(trx, clinicId, rule.id, patientId)))
    return false;
  const detail = { ruleId: rule.id };
  const subject = patientId;
  await recordAudit(trx, clinicId, { actor, action: 'recall.released', subject, detail }, now);
  await planAnew(trx, clinicId, patientId, now);
  return true;
}

/** By each rule that has been switched on, or about which something is settled. */
export async function listRecalls(trx: Trx, clinic: Clinic, patientId: string): Promise<Recall[]> {
  const page = { afterId: null, limit: rulesPerClinicMax };
  const rules = await listRules(trx, clinic.id, page);
  const ids = rules.map(({ id }) => id);
  const settled = await findRecalls(trx, clinic.id, ids, [patientId]);
  const recalls: Recall[] = [];
  for (const rule of rules) {
    const row = triggerOf(rule.definition.trigger.type).recall;
    const override = settled.get(rule.id)?.[0] ?? null;
    if (row === undefined || (rule.state === 'draft' && override === null)) continue;
    const anchors = await anchorsOf(trx, clinic, rule, row, patientId);
    recalls.push(toRecall(rule, row, anchors, override, clinic));
  }
  return recalls;
}

function recallRowOf({ definition: { trigger } }: Rule): RecallRow {
  const row = triggerOf(trigger.type).recall;
  if (row !== undefined) return row;
  const detail = `A rule with a trigger of the type ${trigger.type} recalls nobody: only visit, inactive and treatment do.`;
  throw unprocessable({ pointer: '/ruleId', code: 'not-a-recall', detail });
}

function checkWish({ after, dueOn, disabledUntil }: RecallWish, rule: Rule, today: string): void {
  if (after === undefined && dueOn === undefined && disabledUntil === undefined)
    throw invalid('', 'missing', 'Name at least one of after, dueOn and disabledUntil.');
  const days = rule.definition.trigger.type !== 'visit';
  const [fault] = checkPeriod(after, '/after', { days });
  if (fault !== undefined) throw invalid(fault.pointer, fault.code, fault.detail);
  for (const [name, day] of Object.entries({ dueOn, disabledUntil })) {
    if (day === undefined || isDay(day) || (name === 'disabledUntil' && day === never)) continue;
    throw invalid(`/${name}`, 'not-a-day', 'It is no day such as 2026-03-08.');
  }
  if (dueOn !== undefined && dueOn < today)
    throw invalid('/dueOn', 'past', 'That day is over at the clinic.');
}

function unprocessable(fault: Fault): AppError {
  return new AppError('unprocessable', fault.detail, { faults: [fault] });
}

function anchorsOf(
  trx: Trx,
  { id: clinicId, timeZone: clinicZone }: Clinic,
  { definition }: Rule,
  row: RecallRow,
  patientId: string,
): Promise<RecallAnchor[]> {
  return row.anchors(trx, { clinicId, clinicZone, definition, patientIds: [patientId] });
}

function toRecall(
  rule: Rule,
  row: RecallRow,
  anchors: readonly RecallAnchor[],
  override: RecallOverride | null,
  clinic: Clinic,
): Recall {
  // They come in the order of their instants.
  const anchor = anchors.at(-1) ?? null;
  const terms = { definition: rule.definition, clinicZone: clinic.timeZone };
  const dueAt = anchor && recallDueAt(row, anchor, override ?? undefined, terms);
  return { rule, anchor, dueAt, override: override && forPresent(override, anchors) };
}

/** A day that was settled for an occurrence that a later visit replaced is settled no more. */
function forPresent(override: RecallOverride, anchors: readonly RecallAnchor[]): RecallOverride {
  const isPresent = anchors.some(({ occurrence }) => override.dueFor.includes(occurrence));
  return isPresent ? override : { ...override, dueOn: null };
}

async function planAnew(
  trx: Trx,
  clinicId: string,
  patientId: string,
  now: Temporal.Instant,
): Promise<void> {
  await markReplan(trx, clinicId, [patientId]);
  await wakeClinic(trx, clinicId, 'plan', now);
}
