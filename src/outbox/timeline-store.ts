import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

/** All that happened with a patient, newest first. */

export const timelineKinds = [
  'visit',
  'appointment',
  'message',
  'reply',
  'task',
  'opt-out',
  'consent',
  'contact',
] as const;
export type TimelineKind = (typeof timelineKinds)[number];

export interface TimelineEntry {
  at: Temporal.Instant;
  kind: TimelineKind;
  /** Of the message, the task, the visit and so on; a visit's and an appointment's are the host's. */
  id: string;
  /** Whose id it is, where it is the host's. */
  source: string | null;
  state: string | null;
  reason: string | null;
  channel: string | null;
  ruleId: string | null;
}

export interface TimelinePage {
  /** The last entry of the page before. */
  before: Pick<TimelineEntry, 'at' | 'kind' | 'id'> | null;
  limit: number;
}

export async function readTimeline(
  trx: Trx,
  clinicId: string,
  patientId: string,
  { before, limit }: TimelinePage,
): Promise<TimelineEntry[]> {
  const older =
    before === null
      ? sql``
      : sql`where (at, kind, id) < (${before.at}::timestamptz, ${before.kind}, ${before.id})`;
  const { rows } = await sql<TimelineEntry>`
    with entries as (
      select anchor_at as at, 'visit' as kind, external_id as id, source, status as state, null as reason,
        null as channel, null::text as "ruleId"
      from visits where clinic_id = ${clinicId} and patient_id = ${patientId} and deleted_at is null and anchor_at is not null
      union all
      select start_at, 'appointment', external_id, source, status, confirmation, null, null
      from appointments where clinic_id = ${clinicId} and patient_id = ${patientId} and deleted_at is null and start_at is not null
      union all
      select coalesce(sent_at, scheduled_at), 'message', id::text, null, state, reason, channel, rule_id::text
      from messages where clinic_id = ${clinicId} and patient_id = ${patientId}
      union all
      select received_at, 'reply', id::text, null, meaning, null, channel, null
      from replies where clinic_id = ${clinicId} and patient_id = ${patientId}
      union all
      select created_at, 'task', id::text, null, state, outcome, null, rule_id::text
      from tasks where clinic_id = ${clinicId} and patient_id = ${patientId}
      union all
      select created_at, 'opt-out', id::text, null, case when lifted_at is null then 'active' else 'lifted' end,
        origin, channel, null
      from opt_outs where clinic_id = ${clinicId} and patient_id = ${patientId}
      union all
      select occurred_at, 'consent', purpose || '/' || channel, null, state, purpose, channel, null
      from consents where clinic_id = ${clinicId} and patient_id = ${patientId}
      union all
      select at, 'contact', id::text, null, 'outside', purpose, channel, null
      from outside_contacts where clinic_id = ${clinicId} and patient_id = ${patientId}
    )
    select at, kind, id, source, state, reason, channel, "ruleId" from entries ${older}
    order by at desc, kind desc, id desc limit ${limit}`.execute(trx);
  return rows;
}
