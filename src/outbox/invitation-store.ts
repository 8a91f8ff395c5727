import { type RawBuilder, sql } from 'kysely';

/**
 * An invitation is a care or marketing journey that asks a patient back: of a rule with `unlessBooked` on a
 * visit, a long absence or an unfinished treatment. A patient has one at a time.
 */
export const invitingTriggers = ['visit', 'inactive', 'treatment'] as const;

/** The rules, as `r`, that invite. */
export function invites(): RawBuilder<boolean> {
  return sql<boolean>`(
    r.state = 'active' and r.deleted_at is null
    and r.definition ->> 'purpose' <> 'transactional'
    and coalesce((r.definition -> 'unlessBooked')::boolean, false)
    and r.definition #>> '{trigger,type}' = any(${[...invitingTriggers]}::text[]))`;
}

/** The journeys, as `i`, of which something left and something is still to come. */
export function isRunning(clinicId: string): RawBuilder<boolean> {
  return sql<boolean>`(
    i.state in ('planned', 'active')
    and exists (
      select from messages b where b.clinic_id = ${clinicId} and b.journey_id = i.id and b.attempt_no > 0
        and b.journey_continues and b.state <> 'failed')
    and not exists (
      select from messages l where l.clinic_id = ${clinicId} and l.journey_id = i.id and l.attempt_no > 0
        and not l.journey_continues))`;
}

/** Whether another invitation of the patient is running. */
export function isInvited(
  clinicId: string,
  patientId: RawBuilder<unknown>,
  journeyId: RawBuilder<unknown>,
): RawBuilder<boolean> {
  return sql<boolean>`exists (
    select from journeys i join rules r on r.clinic_id = ${clinicId} and r.id = i.rule_id
    where i.clinic_id = ${clinicId} and i.patient_id = ${patientId} and i.id is distinct from ${journeyId}
      and ${invites()} and ${isRunning(clinicId)})`;
}
