import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';
import type { Arm, Units } from './holdout.ts';

/** The first assignment of everybody to an arm of a rule, for ever. */

/** By unit. */
export async function findArms(
  trx: Trx,
  clinicId: string,
  ruleId: string,
  units: readonly Units[],
): Promise<Map<string, Arm>> {
  if (units.length === 0) return new Map();
  const asked = [...new Set(units.flatMap(({ own, shared }) => [own, shared]))];
  const { rows } = await sql<{ unit: string; arm: Arm }>`
    select unit, arm from holdout_assignments
    where clinic_id = ${clinicId} and rule_id = ${ruleId} and unit = any(${asked}::text[])`.execute(
    trx,
  );
  return new Map(rows.map(({ unit, arm }) => [unit, arm]));
}

export interface Assignment extends Units {
  arm: Arm;
}

interface Row {
  unit: string;
  arm: Arm;
}

const rowTypes: ColumnTypes<Row> = { unit: 'text', arm: 'text' };

/** What is kept already stays. */
export async function keepArms(
  trx: Trx,
  clinicId: string,
  ruleId: string,
  assignments: readonly Assignment[],
  now: Temporal.Instant,
): Promise<void> {
  if (assignments.length === 0) return;
  const rows = new Map<string, Row>();
  for (const { own, shared, arm } of assignments) {
    for (const unit of [own, shared]) if (!rows.has(unit)) rows.set(unit, { unit, arm });
  }
  await sql`
    insert into holdout_assignments (clinic_id, rule_id, unit, arm, assigned_at)
    select ${clinicId}::uuid, ${ruleId}::uuid, unit, arm, ${now}
    from ${rowSet<Row>([...rows.values()], rowTypes, 'new')} order by unit
    on conflict (clinic_id, rule_id, unit) do nothing`.execute(trx);
}

/** Who is merged keeps their arm, unless the survivor has one of their own. */
export async function lendArms(
  trx: Trx,
  clinicId: string,
  pairs: readonly { retired: string; survivor: string }[],
): Promise<void> {
  if (pairs.length === 0) return;
  await sql`
    insert into holdout_assignments (clinic_id, rule_id, unit, arm, assigned_at)
    select clinic_id, rule_id, 'patient:' || m.survivor, arm, assigned_at
    from jsonb_to_recordset(${JSON.stringify(pairs)}::jsonb) as m (retired uuid, survivor uuid)
    join holdout_assignments a on a.clinic_id = ${clinicId} and a.unit = 'patient:' || m.retired
    order by rule_id, unit, assigned_at
    on conflict (clinic_id, rule_id, unit) do nothing`.execute(trx);
}
