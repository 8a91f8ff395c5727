import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { audienceLeaves } from './audience/audience.ts';
import type { Journey } from './journey-store.ts';
import type { RuleDefinition } from './rule.ts';
import { segmentsFor } from './segment-store.ts';
import type { Anchor } from './triggers/trigger.ts';

/** What explain looks up beyond what planning reads. */

export type RecordedJourney = Pick<
  Journey,
  | 'id'
  | 'occurrence'
  | 'anchor'
  | 'dueAt'
  | 'expiresAt'
  | 'state'
  | 'reason'
  | 'enteredAt'
  | 'wasDueAt'
> & { ruleVersion: number };

/** The rule's journeys of a patient, the latest first. */
export async function findJourneysOf(
  trx: Trx,
  clinicId: string,
  ruleId: string,
  patientId: string,
): Promise<RecordedJourney[]> {
  const { rows } = await sql<RecordedJourney>`
    select id, occurrence, anchor, due_at as "dueAt", expires_at as "expiresAt", state, reason,
      entered_at as "enteredAt", was_due_at as "wasDueAt", rule_version as "ruleVersion"
    from journeys
    where clinic_id = ${clinicId} and rule_id = ${ruleId} and patient_id = ${patientId}
    order by due_at desc, id desc limit ${journeysMax}`.execute(trx);
  return rows;
}

const journeysMax = 1_000;

/** How many other patients have one of these addresses, of those that were stopped as addresses. */
export async function countSharers(
  trx: Trx,
  clinicId: string,
  patientId: string,
  addresses: readonly string[],
): Promise<number> {
  const { rows } = await sql<{ sharers: number }>`
    select count(distinct c.patient_id)::int as sharers from patient_contact_points c
    where c.clinic_id = ${clinicId} and c.address = any(${[...addresses]}::text[]) and c.patient_id <> ${patientId}
      and exists (
        select from opt_outs o
        where o.clinic_id = ${clinicId} and o.address = c.address and o.lifted_at is null)`.execute(
    trx,
  );
  return rows[0]?.sharers ?? 0;
}

export interface AnchorFacts {
  services: string[];
  practitioners: string[];
  facts: string[];
}

/** What a rule's filters see of the visit or appointment that a journey counts from. */
export async function findAnchorFacts(
  trx: Trx,
  clinicId: string,
  anchor: Anchor,
): Promise<AnchorFacts | null> {
  if (anchor.kind !== 'visit' && anchor.kind !== 'appointment') return null;
  const { rows } = await (anchor.kind === 'visit'
    ? sql<AnchorFacts>`
        select service_ids as services, array_remove(array[practitioner_id], null) as practitioners, facts
        from attendances
        where clinic_id = ${clinicId} and source = ${anchor.source} and external_id = ${anchor.id}`
    : sql<AnchorFacts>`
        select service_ids as services, array_remove(array[practitioner_id], null) as practitioners, '{}'::text[] as facts
        from appointments
        where clinic_id = ${clinicId} and source = ${anchor.source} and external_id = ${anchor.id}`
  ).execute(trx);
  return rows[0] ?? null;
}

/** What the patient said about reminders; null where nothing. */
export async function findReminderPreference(
  trx: Trx,
  clinicId: string,
  patientId: string,
): Promise<unknown> {
  const { rows } = await sql<{ preference: unknown }>`
    select reminder_preference as preference from patients
    where clinic_id = ${clinicId} and id = ${patientId}`.execute(trx);
  return rows[0]?.preference ?? null;
}

export interface SeenLeaf {
  path: string;
  passed: boolean;
  seen: unknown;
  wanted: unknown;
}

/** Each predicate of the audience with what it sees of one patient, as of one instant. */
export async function seeAudience(
  trx: Trx,
  clinic: { id: string; timeZone: string; currency: string },
  definition: RuleDefinition,
  asked: { patientId: string; dueAt: Temporal.Instant; dueDay: string },
): Promise<SeenLeaf[]> {
  const leaves = audienceLeaves(definition.audience, {
    clinicId: clinic.id,
    zone: clinic.timeZone,
    currency: clinic.currency,
    dueDays: [asked.dueDay],
    segments: await segmentsFor(trx, clinic.id, definition.audience),
  });
  if (leaves.length === 0) return [];
  const pairs = leaves.map(
    ({ passed, seen }) => sql`jsonb_build_object('passed', ${passed}, 'seen', to_jsonb(${seen}))`,
  );
  const { rows } = await sql<{ found: { passed: boolean; seen: unknown }[] }>`
    select jsonb_build_array(${sql.join(pairs)}) as found
    from patients p
    cross join (select ${asked.dueAt}::timestamptz as due_at, ${asked.dueDay}::date as due_day) c
    where p.clinic_id = ${clinic.id} and p.id = ${asked.patientId}`.execute(trx);
  const found = rows[0]?.found ?? [];
  return leaves.map(({ path, wanted }, index) => ({
    path,
    wanted,
    passed: found[index]?.passed ?? false,
    seen: found[index]?.seen ?? null,
  }));
}

/** Whether the audience as a whole takes the patient is what its leaves make of it. */
export function audienceHolds(audience: unknown, leaves: readonly SeenLeaf[]): boolean {
  if (audience === null || audience === undefined) return true;
  const byPath = new Map(leaves.map(({ path, passed }) => [path, passed]));
  return nodeHolds(audience as Record<string, unknown>, '', false, byPath);
}

function nodeHolds(
  node: Record<string, unknown>,
  path: string,
  isNegated: boolean,
  byPath: ReadonlyMap<string, boolean>,
): boolean {
  return Object.entries(node).every(([name, value]) => {
    if (name === 'not') {
      return !nodeHolds(value as Record<string, unknown>, `${path}not/`, !isNegated, byPath);
    }
    if (name === 'all' || name === 'any') {
      const items = (value as Record<string, unknown>[]).map((item, index) =>
        nodeHolds(item, `${path}${name}/${index}/`, isNegated, byPath),
      );
      return name === 'all' ? items.every(Boolean) : items.some(Boolean);
    }
    // A leaf under a `not` was seen the other way round.
    const passed = byPath.get(path + name) ?? false;
    return isNegated ? !passed : passed;
  });
}
