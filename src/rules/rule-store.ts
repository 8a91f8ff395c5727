import { isDeepStrictEqual } from 'node:util';
import { type Selectable, sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { RulesTable } from '../database/tables.ts';
import { AppError, invalid } from '../errors.ts';
import { recordAudit } from '../history/audit-store.ts';
import type { Clinic } from '../history/clinic.ts';
import { clinicPolicy } from '../history/clinic-policy.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import { localDay } from '../local-time.ts';
import { type RenewedTerms, renewMessages } from '../outbox/message-store.ts';
import { findTemplates, type Template } from '../outbox/template-store.ts';
import { isUuid, uuidv7 } from '../uuid.ts';
import { checkTemplates, parseRule, patchRule, refuse, toStep } from './check-rule.ts';
import {
  cancelJourneysOfRule,
  holdMessagesOfRule,
  replanUnsentOfRule,
  resumeMessagesOfRule,
} from './journey-store.ts';
import {
  isInviting,
  type Rule,
  type RuleDefinition,
  type RuleIn,
  type RuleOut,
  type RulePatch,
  rulesPerClinicMax,
} from './rule.ts';
import { segmentFaults } from './segment-store.ts';

/** Rules and their versions. Every change is a new version that tells who made it and when. */

export interface RuleChange {
  /** `key:<id>`, as in the audit. */
  actor: string;
  now: Temporal.Instant;
}

const columns = [
  'id',
  'state',
  'version',
  'definition',
  'active_from',
  'planned_through',
  'backlog_day',
  'moved_from_version',
  'created_at',
  'updated_at',
] as const;

export async function createRule(
  trx: Trx,
  clinicId: string,
  input: RuleIn,
  { actor, now }: RuleChange,
): Promise<Rule> {
  const definition = parseRule(input);
  refuse(checkTemplates(definition, await templatesOf(trx, clinicId, definition)));
  refuse(await segmentFaults(trx, clinicId, definition.audience));
  await refuseTooMany(trx, clinicId);
  const row = await trx
    .insertInto('rules')
    .values({
      clinic_id: clinicId,
      id: uuidv7(now),
      name: definition.name,
      state: 'draft',
      version: 1,
      definition: JSON.stringify(definition),
      created_at: now,
      updated_at: now,
    })
    .returning(columns)
    .executeTakeFirstOrThrow();
  await keepVersion(trx, clinicId, toRule(row), { actor, now });
  return toRule(row);
}

async function refuseTooMany(trx: Trx, clinicId: string): Promise<void> {
  const { count } = await trx
    .selectFrom('rules')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('clinic_id', '=', clinicId)
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow();
  if (count < rulesPerClinicMax) return;
  throw new AppError('unprocessable', `A clinic has at most ${rulesPerClinicMax} rules.`);
}

export async function findRule(trx: Trx, clinicId: string, id: string): Promise<Rule | null> {
  if (!isUuid(id)) return null;
  const row = await selectRules(trx, clinicId).where('id', '=', id).executeTakeFirst();
  return row ? toRule(row) : null;
}

/** A page of the clinic's rules by id, so by age. */
export async function listRules(
  trx: Trx,
  clinicId: string,
  page: { afterId: string | null; limit: number },
): Promise<Rule[]> {
  const rows = await selectRules(trx, clinicId)
    .$if(page.afterId !== null, (query) => query.where('id', '>', page.afterId ?? ''))
    .orderBy('id')
    .limit(page.limit)
    .execute();
  return rows.map(toRule);
}

/** What the planner works on, by id. */
export async function listActiveRules(trx: Trx, clinicId: string): Promise<Rule[]> {
  const rows = await selectRules(trx, clinicId)
    .where('state', '=', 'active')
    .orderBy('id')
    .execute();
  return rows.map(toRule);
}

/** Keeps the watermarks of these rules where they are until the transaction ends; returns the active ones. */
export async function shareActiveRules(trx: Trx, clinicId: string): Promise<Rule[]> {
  const rows = await selectRules(trx, clinicId)
    .where('state', '=', 'active')
    .orderBy('id')
    .forShare()
    .execute();
  return rows.map(toRule);
}

/** Locks one rule against all other planners and changes. */
export async function lockRule(trx: Trx, clinicId: string, id: string): Promise<Rule | null> {
  if (!isUuid(id)) return null;
  const row = await selectRules(trx, clinicId)
    .where('id', '=', id)
    .forNoKeyUpdate()
    .executeTakeFirst();
  return row ? toRule(row) : null;
}

/** Moves a watermark; it never goes back. */
export async function setPlannedThrough(
  trx: Trx,
  clinicId: string,
  id: string,
  through: Temporal.Instant,
): Promise<void> {
  await sql`
    update rules set planned_through = greatest(planned_through, ${through}::timestamptz)
    where clinic_id = ${clinicId} and id = ${id}`.execute(trx);
}

export async function setBacklogDay(
  trx: Trx,
  clinicId: string,
  id: string,
  day: string,
): Promise<void> {
  await sql`
    update rules set backlog_day = ${day}::date where clinic_id = ${clinicId} and id = ${id}`.execute(
    trx,
  );
}

/** What a changed trigger moved into the past is recorded now. */
export async function setMoveRecorded(trx: Trx, clinicId: string, id: string): Promise<void> {
  await sql`
    update rules set moved_from_version = null where clinic_id = ${clinicId} and id = ${id}`.execute(
    trx,
  );
}

/** @returns null where there is no such rule. */
export async function updateRule(
  trx: Trx,
  clinicId: string,
  id: string,
  patch: RulePatch,
  change: RuleChange,
): Promise<Rule | null> {
  const rule = await lockRule(trx, clinicId, id);
  if (rule === null) return null;
  const definition = patchRule(rule.definition, patch);
  refuse(checkTemplates(definition, await templatesOf(trx, clinicId, definition)));
  refuse(await segmentFaults(trx, clinicId, definition.audience));
  if (isDeepStrictEqual(definition, rule.definition)) return rule;
  const isNewTrigger = rule.state === 'active' && movesDue(rule.definition, definition);
  const row = await trx
    .updateTable('rules')
    .set({
      name: definition.name,
      version: rule.version + 1,
      definition: JSON.stringify(definition),
      updated_at: change.now,
      // A changed trigger is a new activation: it does nothing about the past.
      ...(isNewTrigger && {
        active_from: change.now,
        planned_through: change.now,
        moved_from_version: rule.movedFrom ?? rule.version,
      }),
      ...(isResting(rule, change.now) && { backlog_day: null }),
    })
    .where('clinic_id', '=', clinicId)
    .where('id', '=', id)
    .returning(columns)
    .executeTakeFirstOrThrow();
  await keepVersion(trx, clinicId, toRule(row), change);
  await renewMessages(trx, clinicId, renewedTerms(toRule(row)), change.now);
  await replanUnsentOfRule(trx, clinicId, id);
  await wakeClinic(trx, clinicId, 'plan', change.now);
  return toRule(row);
}

function renewedTerms({ id: ruleId, version, definition }: Rule): RenewedTerms {
  const { purpose, priority, onAmbiguous, unlessBooked, stopOn, steps } = definition;
  const templates = steps.map(({ template }) => template);
  return {
    ...{ ruleId, version, purpose, priority, onAmbiguous, unlessBooked, stopOn, templates },
    isInviting: isInviting(definition),
  };
}

/** Whether its backlog was empty when it was last looked at, so that nobody entered today. */
function isResting({ backlogDay }: Rule, now: Temporal.Instant): boolean {
  return backlogDay !== null && backlogDay > localDay(now, earliestZone);
}

/** Where a day begins first on earth. */
const earliestZone = 'Pacific/Kiritimati';

/** Whether a change of a rule changes who is due when. */
export function movesDue(one: RuleDefinition, other: RuleDefinition): boolean {
  return !isDeepStrictEqual([one.trigger, one.sendAt], [other.trigger, other.sendAt]);
}

/**
 * Switches a rule on; what was due before now is left alone. Where the country asks for it, a person must
 * answer for marketing, and the audit keeps the name.
 * @returns null where there is no such rule.
 */
export async function activateRule(
  trx: Trx,
  clinic: Clinic,
  id: string,
  { by, actor, now }: RuleChange & { by?: string | undefined },
): Promise<Rule | null> {
  const rule = await lockRule(trx, clinic.id, id);
  if (rule === null) return null;
  const needsName =
    rule.definition.purpose === 'marketing' && clinicPolicy(clinic).marketingNeedsApprover;
  if (needsName && !by?.trim()) {
    throw invalid(
      '/by',
      'required',
      'Marketing is activated here only with the name of who answers for it.',
    );
  }
  refuse(checkTemplates(rule.definition, await templatesOf(trx, clinic.id, rule.definition)));
  if (rule.state === 'active') return rule;
  const row = await trx
    .updateTable('rules')
    .set({
      state: 'active',
      ...{ active_from: now, planned_through: now, updated_at: now },
      ...(isResting(rule, now) && { backlog_day: null }),
    })
    .where('clinic_id', '=', clinic.id)
    .where('id', '=', id)
    .returning(columns)
    .executeTakeFirstOrThrow();
  if (rule.state === 'paused') await resumeMessagesOfRule(trx, clinic.id, id, now);
  const detail = { version: rule.version, ...(by && { by }) };
  await recordAudit(trx, clinic.id, { actor, action: 'rule.activated', subject: id, detail }, now);
  await wakeClinic(trx, clinic.id, 'plan', now);
  return toRule(row);
}

/** What has not left waits until the rule is switched on again. */
export async function pauseRule(
  trx: Trx,
  clinicId: string,
  id: string,
  { actor, now }: RuleChange,
): Promise<Rule | null> {
  const rule = await lockRule(trx, clinicId, id);
  if (rule === null || rule.state !== 'active') return rule;
  const row = await trx
    .updateTable('rules')
    .set({ state: 'paused', updated_at: now })
    .where('clinic_id', '=', clinicId)
    .where('id', '=', id)
    .returning(columns)
    .executeTakeFirstOrThrow();
  await holdMessagesOfRule(trx, clinicId, id, now);
  await recordAudit(trx, clinicId, { actor, action: 'rule.paused', subject: id }, now);
  return toRule(row);
}

/** Its past stays for the reports; what has not left is taken back. @returns whether there was one. */
export async function deleteRule(
  trx: Trx,
  clinicId: string,
  id: string,
  { actor, now }: RuleChange,
): Promise<boolean> {
  const rule = await lockRule(trx, clinicId, id);
  if (rule === null) return false;
  await trx
    .updateTable('rules')
    .set({ state: 'draft', deleted_at: now, updated_at: now })
    .where('clinic_id', '=', clinicId)
    .where('id', '=', id)
    .execute();
  await cancelJourneysOfRule(trx, clinicId, id, 'rule-deleted', now);
  await recordAudit(trx, clinicId, { actor, action: 'rule.deleted', subject: id }, now);
  return true;
}

export interface RuleVersion {
  version: number;
  definition: ReturnType<typeof definitionOut>;
  changedAt: Temporal.Instant;
  changedBy: string;
}

/** Newest first. */
export async function listRuleVersions(
  trx: Trx,
  clinicId: string,
  id: string,
): Promise<RuleVersion[]> {
  const rows = await trx
    .selectFrom('rule_versions')
    .select(['version', 'definition', 'changed_at', 'changed_by'])
    .where('clinic_id', '=', clinicId)
    .where('rule_id', '=', id)
    .orderBy('version', 'desc')
    .execute();
  return rows.map((row) => ({
    version: row.version,
    definition: definitionOut(toDefinition(row.definition)),
    changedAt: row.changed_at,
    changedBy: row.changed_by,
  }));
}

/** A rule as it was in one of its versions; null where it never was. */
export async function findRuleVersion(
  trx: Trx,
  clinicId: string,
  id: string,
  version: number,
): Promise<RuleDefinition | null> {
  const row = await trx
    .selectFrom('rule_versions')
    .select('definition')
    .where('clinic_id', '=', clinicId)
    .where('rule_id', '=', id)
    .where('version', '=', version)
    .executeTakeFirst();
  return row === undefined ? null : toDefinition(row.definition);
}

/** The templates that a rule names, as far as they exist. */
export async function templatesOf(
  trx: Trx,
  clinicId: string,
  { steps }: Pick<RuleDefinition, 'steps'>,
): Promise<Map<string, Template>> {
  const names = [...new Set(steps.map((step) => step.template))];
  const found = await findTemplates(trx, clinicId, names);
  return new Map(found.map((template) => [template.name, template]));
}

/** A rule as the API shows it. @param anomaly why it is held today, if it is. */
export function toRuleOut(rule: Rule, anomaly: RuleOut['anomaly'] = null): RuleOut {
  return {
    id: rule.id,
    state: rule.state,
    version: rule.version,
    ...definitionOut(rule.definition),
    anomaly,
    activeFrom: rule.activeFrom?.toString() ?? null,
    createdAt: rule.createdAt.toString(),
    updatedAt: rule.updatedAt.toString(),
  };
}

function definitionOut({ steps, ...definition }: RuleDefinition) {
  return { ...definition, audience: definition.audience ?? null, steps: steps.map(toStep) };
}

function selectRules(trx: Trx, clinicId: string) {
  return trx
    .selectFrom('rules')
    .select(columns)
    .where('clinic_id', '=', clinicId)
    .where('deleted_at', 'is', null);
}

async function keepVersion(
  trx: Trx,
  clinicId: string,
  rule: Rule,
  { actor, now }: RuleChange,
): Promise<void> {
  await trx
    .insertInto('rule_versions')
    .values({
      clinic_id: clinicId,
      rule_id: rule.id,
      version: rule.version,
      definition: JSON.stringify(rule.definition),
      changed_at: now,
      changed_by: actor,
    })
    .execute();
}

function toRule(row: Pick<Selectable<RulesTable>, (typeof columns)[number]>): Rule {
  return {
    id: row.id,
    state: row.state,
    version: row.version,
    definition: toDefinition(row.definition),
    activeFrom: row.active_from,
    plannedThrough: row.planned_through,
    backlogDay: row.backlog_day,
    movedFrom: row.moved_from_version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/** Written by `createRule` and `updateRule` alone; what is younger than a stored rule has its default. */
function toDefinition(stored: unknown): RuleDefinition {
  return { backlog: null, ...(stored as Omit<RuleDefinition, 'backlog'>) };
}
