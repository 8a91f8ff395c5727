import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { Purpose } from '../database/tables.ts';

/** A counted message that has not left, and may go today in the place of another. */
export interface Rival {
  id: string;
  patientId: string;
  purpose: Purpose;
  priority: number;
  since: string | null;
  scheduledAt: Temporal.Instant;
  nextAt: Temporal.Instant;
  expiresAt: Temporal.Instant;
  address: string | null;
  /** All of its patient's, and of the guardian whose address it goes to. */
  addresses: string[];
  household: string | null;
  timeZone: string | null;
  ignoresSendWindow: boolean;
}

export interface RivalQuestion {
  patientIds: readonly string[];
  /** Where their messages go. */
  addresses: readonly string[];
  households: readonly string[];
  /** Messages of which it is known already whether they go. */
  except: readonly string[];
  now: Temporal.Instant;
  /** The clinic's local day, and the start of its next one. */
  today: string;
  dayEnd: Temporal.Instant;
}

/**
 * The messages that compete with those to these patients and addresses: of the same people, of who shares
 * an address with them, of whom they answer for, and of their households. Nothing is locked: whoever sends
 * one of them needs a row that the asker holds.
 */
export async function findRivals(
  trx: Trx,
  clinicId: string,
  question: RivalQuestion,
): Promise<Rival[]> {
  const { patientIds, addresses, households, except, now, today, dayEnd } = question;
  const { rows } = await sql<Rival>`
    with circle as materialized (
      select id from unnest(${[...patientIds]}::uuid[]) as a (id)
      union
      select o.patient_id from patient_contact_points c
      join patient_contact_points o on o.clinic_id = ${clinicId} and o.address = c.address
      where c.clinic_id = ${clinicId} and c.patient_id = any(${[...patientIds]}::uuid[])
      union
      select o.patient_id from patient_contact_points o
      where o.clinic_id = ${clinicId} and o.address = any(${[...addresses]}::text[])
      union
      select d.id from patients g
      join patients d on d.clinic_id = ${clinicId} and d.guardian_id = g.external_id and d.source = g.source
      where g.clinic_id = ${clinicId} and g.id = any(${[...patientIds]}::uuid[])
      union
      select q.id from patients q where q.clinic_id = ${clinicId} and q.household = any(${[...households]}::text[])
    )
    select m.id, m.patient_id as "patientId", m.purpose, m.priority, m.guard->>'since' as since,
      m.scheduled_at as "scheduledAt", m.next_at as "nextAt", m.expires_at as "expiresAt", m.address,
      array(
        select c.address from patient_contact_points c where c.clinic_id = ${clinicId} and c.patient_id = m.patient_id
        union all
        select c.address from patient_contact_points c where c.clinic_id = ${clinicId} and c.patient_id = g.id
      ) as addresses,
      p.household, p.time_zone as "timeZone",
      coalesce((m.guard->>'sendWindow')::boolean = false, false) as "ignoresSendWindow"
    from circle
    join messages m on m.clinic_id = ${clinicId} and m.patient_id = circle.id
      -- In these words for the index that holds such messages alone.
      and m.state in ('scheduled', 'held', 'retry') and m.purpose in ('care', 'marketing')
    join patients p on p.clinic_id = ${clinicId} and p.id = circle.id
    left join patients g on g.clinic_id = ${clinicId} and g.source = p.source and g.external_id = p.guardian_id
      and exists (
        select from patient_contact_points c
        where c.clinic_id = ${clinicId} and c.patient_id = g.id and c.address = m.address)
    where m.channel in ('sms', 'email', 'whatsapp', 'telegram')
      and m.next_at < ${dayEnd} and m.expires_at > greatest(m.next_at, ${now}::timestamptz)
      and (m.state <> 'held' or m.reason in ('send-window', 'lower-priority', 'daily-limit'))
      and not m.cancel_requested and not p.deceased and m.id <> all(${[...except]}::uuid[])
      -- The same step on another channel is the same contact.
      and not exists (
        select from messages s where s.clinic_id = ${clinicId} and s.id = any(${[...except]}::uuid[])
          and s.journey_id = m.journey_id and s.step = m.step)
      and (m.attempt_no = 0 or not exists (
        select from contact_days d
        where d.clinic_id = ${clinicId} and d.message_id = m.id and d.local_day = ${today}::date))
    order by m.id`.execute(trx);
  return rows;
}
