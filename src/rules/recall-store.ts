import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { RecallOverride } from './recall.ts';

/** What clinics have settled about single patients, by rule. */

const columns = sql`
  rule_id as "ruleId", patient_id as "patientId", after_period as after, due_on as "dueOn", due_for as "dueFor",
  disabled_until as "disabledUntil", reason, set_by as "setBy", set_at as "setAt"`;

/** By rule; of all patients, or of these. */
export async function findRecalls(
  trx: Trx,
  clinicId: string,
  ruleIds: readonly string[],
  patientIds: readonly string[] | null,
): Promise<Map<string, RecallOverride[]>> {
  if (ruleIds.length === 0) return new Map();
  const isAsked =
    patientIds === null ? sql`true` : sql`patient_id = any(${[...patientIds]}::uuid[])`;
  const { rows } = await sql<RecallOverride>`
    select ${columns} from recall_overrides
    where clinic_id = ${clinicId} and rule_id = any(${[...ruleIds]}::uuid[]) and ${isAsked}
    order by rule_id, patient_id`.execute(trx);
  return Map.groupBy(rows, ({ ruleId }) => ruleId);
}

/** All of one rule. */
export async function findRecallsOf(
  trx: Trx,
  clinicId: string,
  ruleId: string,
): Promise<readonly RecallOverride[]> {
  return (await findRecalls(trx, clinicId, [ruleId], null)).get(ruleId) ?? [];
}

export async function putRecallOverride(
  trx: Trx,
  clinicId: string,
  override: RecallOverride,
): Promise<void> {
  const { ruleId, patientId, after, dueOn, dueFor, disabledUntil, reason, setBy, setAt } = override;
  await sql`
    insert into recall_overrides as o (clinic_id, rule_id, patient_id, after_period, due_on, due_for, disabled_until,
      reason, set_by, set_at)
    values (${clinicId}, ${ruleId}, ${patientId}, ${after}, ${dueOn}, ${dueFor}::text[], ${disabledUntil},
      ${reason}, ${setBy}, ${setAt})
    on conflict (clinic_id, rule_id, patient_id) do update set after_period = excluded.after_period,
      due_on = excluded.due_on, due_for = excluded.due_for, disabled_until = excluded.disabled_until,
      reason = excluded.reason, set_by = excluded.set_by, set_at = excluded.set_at`.execute(trx);
}

/** @returns whether there was one. */
export async function deleteRecallOverride(
  trx: Trx,
  clinicId: string,
  ruleId: string,
  patientId: string,
): Promise<boolean> {
  const { numAffectedRows = 0n } = await sql`
    delete from recall_overrides
    where clinic_id = ${clinicId} and rule_id = ${ruleId} and patient_id = ${patientId}`.execute(
    trx,
  );
  return numAffectedRows > 0n;
}

/** After a merge: what was settled for the survivor stays, else the latest that was for the retired. */
export async function moveRecalls(
  trx: Trx,
  clinicId: string,
  pairs: readonly { retired: string; survivor: string }[],
): Promise<void> {
  if (pairs.length === 0) return;
  await sql`
    with merged as (
      select retired, survivor from jsonb_to_recordset(${JSON.stringify(pairs)}::jsonb) as m (retired uuid, survivor uuid)
    ), taken as (
      delete from recall_overrides o using merged m
      where o.clinic_id = ${clinicId} and o.patient_id = m.retired
      returning m.survivor, o.rule_id, o.after_period, o.due_on, o.due_for, o.disabled_until, o.reason, o.set_by, o.set_at
    )
    insert into recall_overrides (clinic_id, rule_id, patient_id, after_period, due_on, due_for, disabled_until, reason,
      set_by, set_at)
    select distinct on (rule_id, survivor) ${clinicId}::uuid, rule_id, survivor, after_period, due_on, due_for,
      disabled_until, reason, set_by, set_at
    from taken order by rule_id, survivor, set_at desc
    on conflict (clinic_id, rule_id, patient_id) do nothing`.execute(trx);
}
