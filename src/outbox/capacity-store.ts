import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { Pool } from './places.ts';

/** Until the transaction ends nobody else of the clinic gives slots away. */
export async function lockCapacity(trx: Trx, clinicId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`capacity/${clinicId}`}, 0))`.execute(
    trx,
  );
}

/** The slots of today and later, by kind. */
export async function findPools(trx: Trx, clinicId: string, today: string): Promise<Pool[]> {
  const { rows } = await sql<Pool>`
    select nullif(service, '') as service, nullif(practitioner, '') as practitioner, sum(free)::int as free
    from capacities where clinic_id = ${clinicId} and local_day >= ${today}::date
    group by service, practitioner order by service, practitioner`.execute(trx);
  return rows;
}

/** The rule's own terms: what it invites to. */
export interface InvitingRule {
  ruleId: string;
  isInviting: boolean;
  services: string[];
  practitioners: string[];
}

export async function findInvitingRules(
  trx: Trx,
  clinicId: string,
  ruleIds: readonly string[],
): Promise<Map<string, InvitingRule>> {
  const { rows } = await sql<InvitingRule>`
    select id as "ruleId",
      definition ->> 'purpose' <> 'transactional' and coalesce((definition -> 'unlessBooked')::boolean, false) as "isInviting",
      coalesce(definition #> '{trigger,services}', '[]') as services,
      coalesce(definition #> '{trigger,practitioners}', '[]') as practitioners
    from rules where clinic_id = ${clinicId} and id = any(${[...ruleIds]}::uuid[])`.execute(trx);
  return new Map(rows.map((row) => [row.ruleId, row]));
}

export interface OpenInvitation {
  ruleId: string;
  scope: string | null;
  practitionerId: string | null;
  serviceIds: string[] | null;
  count: number;
}

/** First contacts since then whose patients have neither booked nor come; each journey once. */
export async function findOpenInvitations(
  trx: Trx,
  clinicId: string,
  since: Temporal.Instant,
): Promise<OpenInvitation[]> {
  const { rows } = await sql<OpenInvitation>`
    select i.rule_id as "ruleId", i.anchor ->> 'scope' as scope, i.anchor ->> 'practitionerId' as "practitionerId",
      i.anchor -> 'serviceIds' as "serviceIds", count(*)::int as count
    from (
      select distinct on (m.journey_id) m.rule_id, m.patient_id, m.guard -> 'anchor' as anchor,
        coalesce(m.sent_at, m.updated_at) as left_at
      from messages m
      where m.clinic_id = ${clinicId} and m.rule_id in (
          select id from rules where clinic_id = ${clinicId} and state = 'active'
            and definition ->> 'purpose' <> 'transactional')
        and m.journey_id is not null and m.attempt_no > 0 and m.state in ('sending', 'unknown', 'sent', 'delivered', 'read')
        and coalesce(m.guard ->> 'unlessBooked', 'false') = 'true'
        and m.updated_at >= ${since} and coalesce(m.sent_at, m.updated_at) >= ${since}
      order by m.journey_id, m.step
    ) i
    where not exists (
        select from appointments a where a.clinic_id = ${clinicId} and a.patient_id = i.patient_id
          and a.deleted_at is null and a.booked_at >= i.left_at
          and a.status in ('proposed', 'pending', 'booked', 'arrived', 'checked-in', 'fulfilled'))
      and not exists (
        select from attendances v where v.clinic_id = ${clinicId} and v.patient_id = i.patient_id
          and v.anchor_at >= i.left_at)
    group by 1, 2, 3, 4`.execute(trx);
  return rows;
}
