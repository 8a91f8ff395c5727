import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { answeringOutcomes } from '../outbox/guard.ts';
import { bookedStatuses } from './audience/predicate.ts';

/** What a patient did since the journey fell due. */
export interface Answers {
  booked: boolean;
  visited: boolean;
  confirmed: boolean;
  paid: boolean;
  hasTaskOutcome: boolean;
  /** The last step whose call was settled without reaching anybody. */
  unansweredStep: number | null;
}

/** What the patients of these journeys did since each fell due. */
export async function findAnswers(
  trx: Trx,
  clinicId: string,
  journeyIds: readonly string[],
  now: Temporal.Instant,
): Promise<Map<string, Answers>> {
  if (journeyIds.length === 0) return new Map();
  const { rows } = await sql<Answers & { id: string }>`
    select j.id,
      exists (
        select from appointments a
        where a.clinic_id = ${clinicId} and a.patient_id = j.patient_id and a.deleted_at is null
          and a.booked_at >= j.due_at and (a.start_at is null or a.start_at >= j.due_at)
          and a.status = any(${[...bookedStatuses, 'fulfilled']}::text[])) as booked,
      exists (
        select from attendances v
        where v.clinic_id = ${clinicId} and v.patient_id = j.patient_id
          and v.anchor_at >= j.due_at and v.anchor_at <= ${now}) as visited,
      coalesce(ap.confirmation = 'accepted', false) as confirmed,
      exists (
        select from payments y
        where y.clinic_id = ${clinicId} and y.patient_id = j.patient_id
          and y.kind <> 'refund' and y.paid_at >= j.due_at and y.paid_at <= ${now}) as paid,
      exists (
        select from messages m join tasks t on t.clinic_id = ${clinicId} and t.message_id = m.id
          and t.outcome = any(${[...answeringOutcomes]}::text[])
        where m.clinic_id = ${clinicId} and m.journey_id = j.id) as "hasTaskOutcome",
      (select max(m.step) from messages m join tasks t on t.clinic_id = ${clinicId} and t.message_id = m.id
          and t.state = 'done' and t.asks is null and t.outcome <> all(${[...answeringOutcomes]}::text[])
        where m.clinic_id = ${clinicId} and m.journey_id = j.id) as "unansweredStep"
    from journeys j
    left join appointments ap on j.anchor ->> 'kind' = 'appointment' and ap.clinic_id = ${clinicId}
      and ap.source = j.anchor ->> 'source' and ap.external_id = j.anchor ->> 'id'
    where j.clinic_id = ${clinicId} and j.id = any(${[...journeyIds]}::uuid[])`.execute(trx);
  return new Map(rows.map((row) => [row.id, row]));
}
