import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName, Purpose } from '../database/tables.ts';
import { answeringOutcomes, type Guard } from './guard.ts';

/**
 * Reads, for many messages at once, everything that may speak against sending them. Each read runs
 * after the locks on the patients and the contact points are held, so that what it says still holds
 * when the intent to send commits.
 */

/** Whom a message goes to: its patient, or who a merge put in their place. */
export interface Recipient {
  id: string;
  patientId: string;
}

/**
 * The contact point each message goes to: the one it was planned for while that is still the
 * patient's, their guardian's or their household's; else the one the patient has now.
 */
export async function findAddresses(
  trx: Trx,
  clinicId: string,
  recipients: readonly Recipient[],
): Promise<Map<string, string | null>> {
  const { rows } = await sql<{ id: string; address: string | null }>`
    with ${given(clinicId, recipients)}
    select m.id,
      case
        when m.channel in ('inbox', 'task', 'webhook') then m.address
        when m.address is not null and exists (
          select from patient_contact_points c where c.clinic_id = ${clinicId} and c.address = m.address
            and c.patient_id = p.id) then m.address
        when m.address is not null and (p.guardian_id is not null or p.household is not null) and exists (
          select from patient_contact_points c
          join patients q on q.clinic_id = ${clinicId} and q.id = c.patient_id
          where c.clinic_id = ${clinicId} and c.address = m.address
            and (q.household = p.household or (q.source = p.source and q.external_id = p.guardian_id))) then m.address
        else case m.channel when 'sms' then p.sms_address when 'email' then p.email_address
          when 'whatsapp' then p.whatsapp_address when 'telegram' then p.telegram_address end
      end as address
    from asked
    join chosen m on m.id = asked.id
    join people p on p.id = asked."patientId"`.execute(trx);
  return new Map(rows.map((row) => [row.id, row.address]));
}

/** A message with all that the judge looks at. */
export interface GuardFacts {
  id: string;
  leaseEpoch: number;
  attemptNo: number;
  clientRef: string | null;
  ruleId: string | null;
  journeyId: string | null;
  step: number | null;
  journeyContinues: boolean;
  patientId: string;
  purpose: Purpose;
  channel: ChannelName;
  template: string | null;
  body: { subject?: string; text: string } | null;
  address: string | null;
  addressCountry: string | null;
  guard: Guard;
  expiresAt: Temporal.Instant;
  cancelRequested: boolean;
  /** Why it was held when it was last looked at. */
  lastReason: string | null;
  isDeceased: boolean;
  isActive: boolean;
  family: string | null;
  given: string | null;
  middle: string | null;
  preferred: string | null;
  nameText: string | null;
  language: string | null;
  phoneOnFile: string | null;
  emailOnFile: string | null;
  cityOnFile: string | null;
  timeZone: string | null;
  nextAppointmentAt: Temporal.Instant | null;
  bookedSince: boolean;
  visitedSince: boolean;
  visitedScope: boolean;
  /** False when the anchor is gone, or is no longer what it was. */
  anchorHolds: boolean;
  isConfirmed: boolean;
  hasReplied: boolean;
  hasClicked: boolean;
  hasTaskOutcome: boolean;
  contactsToday: number;
  contactsThisWeek: number;
}

export interface Asked extends Recipient {
  address: string | null;
}

export interface GuardTimes {
  now: Temporal.Instant;
  /** The clinic's local day. */
  today: string;
  /** The first day of the seven that end with today. */
  weekStart: string;
}

/** Reads the facts of these messages, whatever their state, in one statement. */
export async function readGuardFacts(
  trx: Trx,
  clinicId: string,
  asked: readonly Asked[],
  { now, today, weekStart }: GuardTimes,
): Promise<GuardFacts[]> {
  const stops = (reason: string) => sql`coalesce(m.guard->'stopOn' ? ${sql.lit(reason)}, false)`;
  const journeyHas = (condition: ReturnType<typeof sql>) => sql`exists (
    select from messages j where j.clinic_id = ${clinicId} and j.journey_id = m.journey_id and ${condition})`;
  const { rows } = await sql<GuardFacts>`
    with ${given(clinicId, asked)}
    select m.id, m.lease_epoch as "leaseEpoch", m.attempt_no as "attemptNo", m.client_ref as "clientRef",
      m.rule_id as "ruleId", m.journey_id as "journeyId", m.step, m.journey_continues as "journeyContinues",
      p.id as "patientId", m.purpose, m.channel, m.template, m.body, asked.address, cp.country as "addressCountry",
      m.guard, m.expires_at as "expiresAt", m.cancel_requested as "cancelRequested",
      m.reason as "lastReason",
      p.deceased as "isDeceased",
      p.active and p.deleted_at is null as "isActive",
      p.family, p.given, p.middle, p.preferred, p.name_text as "nameText", p.language, p.time_zone as "timeZone",
      p.sms_address as "phoneOnFile", p.email_address as "emailOnFile", p.city as "cityOnFile",
      case when coalesce((m.guard->>'unlessBooked')::boolean, false) or ${stops('booked')} then (
        select min(a.start_at) from appointments a
        where a.clinic_id = ${clinicId} and a.patient_id = p.id and a.deleted_at is null and a.start_at > ${now}
          and a.status in ('proposed', 'pending', 'booked', 'arrived', 'checked-in'))
      end as "nextAppointmentAt",
      case when m.guard ? 'since' and ${stops('booked')} then exists (
        select from appointments a
        where a.clinic_id = ${clinicId} and a.patient_id = p.id and a.deleted_at is null
          and a.booked_at >= (m.guard->>'since')::timestamptz
          -- One that was over by then is only told late: it is what the message follows, not an answer to it.
          and (a.start_at is null or a.start_at >= (m.guard->>'since')::timestamptz)
          and a.status in ('proposed', 'pending', 'booked', 'arrived', 'checked-in', 'fulfilled'))
        else false end as "bookedSince",
      case when m.guard ? 'since' and ${stops('visited')} then exists (
        select from attendances v
        where v.clinic_id = ${clinicId} and v.patient_id = p.id
          and v.anchor_at >= (m.guard->>'since')::timestamptz and v.anchor_at <= ${now})
        else false end as "visitedSince",
      case when g.kind = 'visit' and ${stops('visited')} then exists (
        select from attendances v
        where v.clinic_id = ${clinicId} and v.patient_id = p.id
          and v.anchor_at > g.at and v.anchor_at <= ${now}
          and not (v.source = g.source and (v.external_id = g.id or v.appointment_id is not distinct from g.id))
          and case g.scope
            when 'same-practitioner' then v.practitioner_id = g."practitionerId"
            when 'same-service' then v.service_ids && array(select jsonb_array_elements_text(g."serviceIds"))
            else true end)
        else false end as "visitedScope",
      case g.kind
        when 'visit' then exists (
          select from attendances v
          where v.clinic_id = ${clinicId} and v.patient_id = p.id and v.source = g.source
            and (v.external_id = g.id or v.appointment_id = g.id))
        when 'appointment' then ap.deleted_at is null and coalesce(ap.start_revision = g.revision, false)
          and coalesce(ap.patient_id = p.id, false)
          and case coalesce(g.status, 'upcoming')
            when 'upcoming' then ap.status in ('proposed', 'pending', 'booked')
            else ap.status = g.status end
        when 'treatment' then exists (
          select from treatments t
          where t.clinic_id = ${clinicId} and t.patient_id = p.id and t.source = g.source and t.external_id = g.id
            and t.next_step = g.step)
        else true end as "anchorHolds",
      coalesce(ap.confirmation = 'accepted', false) as "isConfirmed",
      m.journey_id is not null and ${stops('replied')} and ${journeyHas(sql`j.replied_at is not null`)} as "hasReplied",
      m.journey_id is not null and ${stops('clicked')} and ${journeyHas(sql`j.clicked_at is not null`)} as "hasClicked",
      m.journey_id is not null and ${stops('task-outcome')} and ${journeyHas(sql`exists (
        select from tasks t where t.clinic_id = ${clinicId} and t.message_id = j.id
          and t.outcome = any(${[...answeringOutcomes]}::text[]))`)} as "hasTaskOutcome",
      coalesce(caps.today, 0)::int as "contactsToday", coalesce(caps.week, 0)::int as "contactsThisWeek"
    from asked
    join chosen m on m.id = asked.id
    join people p on p.id = asked."patientId"
    left join contact_points cp on cp.clinic_id = ${clinicId} and cp.address = asked.address
    left join lateral jsonb_to_record(m.guard->'anchor') as g (kind text, source text, id text, at timestamptz,
      scope text, "practitionerId" text, "serviceIds" jsonb, revision integer, status text, step text) on true
    left join appointments ap on g.kind = 'appointment' and ap.clinic_id = ${clinicId}
      and ap.source = g.source and ap.external_id = g.id
    left join lateral (
      select count(*) filter (where d.local_day = ${today}::date) as today, count(*) as week
      from contact_days d
      where d.clinic_id = ${clinicId} and d.local_day >= ${weekStart}::date and d.local_day <= ${today}::date
        and d.message_id is distinct from m.id
        and d.address in (
          select c.address from patient_contact_points c where c.clinic_id = ${clinicId} and c.patient_id = p.id
          union select asked.address)
    ) caps on m.purpose in ('care', 'marketing') and asked.address is not null
    order by m.id`.execute(trx);
  return rows;
}

/**
 * The messages asked about and their patients, found by the primary key whatever the planner believes
 * of the tables' size.
 */
function given(clinicId: string, asked: readonly (Recipient & { address?: string | null })[]) {
  const ids = asked.map(({ id }) => id);
  const patientIds = asked.map(({ patientId }) => patientId);
  return sql`asked as materialized (
      select * from unnest(${ids}::uuid[], ${patientIds}::uuid[], ${asked.map((each) => each.address ?? null)}::text[])
        as a (id, "patientId", address)
    ), chosen as materialized (
      select * from messages where clinic_id = ${clinicId} and id = any(${ids}::uuid[])
    ), people as materialized (
      select * from patients where clinic_id = ${clinicId} and id = any(${patientIds}::uuid[])
    )`;
}
