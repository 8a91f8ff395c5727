import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName, Purpose } from '../database/tables.ts';
import { answeringOutcomes, type Guard } from './guard.ts';
import { isInvited } from './invitation-store.ts';
import { wasMoved } from './move-store.ts';

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

/** How a message goes, as far as the patient alone decides it. */
export interface Way {
  id: string;
  channel: ChannelName;
  address: string | null;
  /** Addresses of the patient that others have too: contacts at them count for all who share them. */
  shared: string[];
  journeyId: string | null;
  /** Whether something of its journey has left before, as far as the message itself tells. */
  isBegun: boolean;
}

/**
 * The contact point each message goes to: the one it was planned for while that is still the
 * patient's, their guardian's or their household's; else the one the patient has now.
 */
export async function findWays(
  trx: Trx,
  clinicId: string,
  recipients: readonly Recipient[],
): Promise<Map<string, Way>> {
  if (recipients.length === 0) return new Map();
  const { rows } = await sql<Way>`
    with ${given(clinicId, recipients)}
    select m.id, m.channel, m.journey_id as "journeyId", m.attempt_no > 0 or coalesce(m.step, 0) > 0 as "isBegun",
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
      end as address,
      case when m.purpose in ('care', 'marketing') then array(
        select c.address from patient_contact_points c
        where c.clinic_id = ${clinicId} and c.patient_id = p.id and exists (
          select from patient_contact_points o
          where o.clinic_id = ${clinicId} and o.address = c.address and o.patient_id <> p.id))
        else '{}' end as shared
    from asked
    join chosen m on m.id = asked.id
    join people p on p.id = asked."patientId"`.execute(trx);
  return new Map(rows.map((row) => [row.id, row]));
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
  occurrence: string | null;
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
  lastJudgedAt: Temporal.Instant;
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
  /** A payment or deposit since the journey fell due. */
  hasPaid: boolean;
  /** Another rule invites this patient already, with steps to come. */
  isInvited: boolean;
  hasReplied: boolean;
  hasClicked: boolean;
  hasTaskOutcome: boolean;
  priority: number;
  scheduledAt: Temporal.Instant;
  birthDate: string | null;
  guardianId: string | null;
  /** The person whose address it goes to, where that is not the patient. */
  throughId: string | null;
  /** Where its contacts are counted together, and one message may name all who are due. */
  household: string | null;
  /** Whether a message of another member of the household may speak for it. */
  mayMerge: boolean;
  /** Whether an attempt today took its place among the day's contacts already. */
  isBooked: boolean;
  /** All addresses of the patient, and of who is written to in their place. */
  addresses: string[];
  contactsToday: number;
  contactsThisWeek: number;
  /** The highest priority of what reached them today. */
  priorityToday: number | null;
  householdToday: number;
  householdThisWeek: number;
  householdPriorityToday: number | null;
}

export interface Asked extends Recipient {
  address: string | null;
  throughId: string | null;
  /** Null where contacts are counted for the person alone. */
  household: string | null;
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
  if (asked.length === 0) return [];
  const counted = (contacts: ReturnType<typeof sql>, whose = sql`true`) => sql`
      -- One step over several channels is one contact.
      select count(distinct coalesce(t.journey_id || '/' || t.step, d.message_id::text, d.outside_id::text, d.address || ' ' || d.purpose))
          filter (where d.local_day = ${today}::date) as today,
        count(distinct coalesce(t.journey_id || '/' || t.step, d.message_id::text, d.outside_id::text, d.address || ' ' || d.purpose || ' ' || d.local_day)) as week,
        max(t.priority) filter (where d.local_day = ${today}::date) as priority
      from (${contacts}) d
      left join messages t on t.clinic_id = ${clinicId} and t.id = d.message_id
      where d.local_day >= ${weekStart}::date and d.local_day <= ${today}::date
        and d.message_id is distinct from m.id
        and (t.journey_id is distinct from m.journey_id or t.step is distinct from m.step or m.journey_id is null)
        and ${whose}`;
  const contactsAt = (addresses: ReturnType<typeof sql>) => sql`
        select c.clinic_id, c.address, c.purpose, c.local_day, c.message_id, c.outside_id
        from contact_days c where c.clinic_id = ${clinicId} and c.address in (${addresses})`;
  // Whoever is written to in a child's place hears of the clinic as often as anybody.
  const people = sql`(p.id, asked."throughId")`;
  // To be named in a message to the household is a contact of that person, wherever it went.
  const naming = sql`
        select n.clinic_id, null::text as address, n.purpose, n.local_day, n.message_id, null::uuid as outside_id
        from named_days n where n.clinic_id = ${clinicId} and n.patient_id = p.id`;
  // What reached a member for a child who lives elsewhere is a contact of that member, and of no household.
  const isOfMember = sql`(t.id is null or exists (select from patients w
    where w.clinic_id = ${clinicId} and w.id = t.patient_id and w.household = asked.household))`;
  const atHome = counted(
    contactsAt(sql`
        select c.address from patients q join patient_contact_points c on c.clinic_id = ${clinicId} and c.patient_id = q.id
        where q.clinic_id = ${clinicId} and q.household = asked.household and q.replaced_by is null
        union select c.address from patient_contact_points c
        where c.clinic_id = ${clinicId} and c.patient_id = asked."throughId"
        union select asked.address`),
    isOfMember,
  );
  // A kept appointment stands for its visit where that is gone, under the same key.
  const isAnchor = sql`(v.source = g.source and (v.external_id = g.id or v.appointment_id is not distinct from g.id)
    or coalesce(m.occurrence in (v.occurrence, 'inactive:' || v.occurrence), false))`;
  const stops = (reason: string) => sql`coalesce(m.guard->'stopOn' ? ${sql.lit(reason)}, false)`;
  const journeyHas = (condition: ReturnType<typeof sql>) => sql`exists (
    select from messages j where j.clinic_id = ${clinicId} and j.journey_id = m.journey_id and ${condition})`;
  const { rows } = await sql<GuardFacts>`
    with ${given(clinicId, asked)}
    select m.id, m.lease_epoch as "leaseEpoch", m.attempt_no as "attemptNo", m.client_ref as "clientRef",
      m.rule_id as "ruleId", m.journey_id as "journeyId", m.step, m.occurrence, m.journey_continues as "journeyContinues",
      p.id as "patientId", m.purpose, m.channel, m.template, m.body, asked.address, cp.country as "addressCountry",
      m.guard, m.expires_at as "expiresAt", m.cancel_requested as "cancelRequested",
      m.reason as "lastReason", m.updated_at as "lastJudgedAt",
      p.deceased as "isDeceased",
      p.active and p.deleted_at is null as "isActive",
      p.family, p.given, p.middle, p.preferred, p.name_text as "nameText",
      case when asked."throughId" is null then p.language else coalesce((
        select t.language from patients t where t.clinic_id = ${clinicId} and t.id = asked."throughId"), p.language)
      end as language, p.time_zone as "timeZone",
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
      -- What a later visit replaced is due no more, whatever stops the rule; a ladder that has begun its stops decide.
      case when g.kind = 'visit'
        and (${stops('visited')} or coalesce((m.guard->>'opens')::boolean, coalesce(m.step, 0) = 0)) then exists (
        select from attendances v
        where v.clinic_id = ${clinicId} and v.patient_id = p.id
          and v.anchor_at > g.at and v.anchor_at <= ${now}
          and not ${isAnchor}
          and case g.scope
            when 'same-practitioner' then v.practitioner_id = g."practitionerId"
            when 'same-service' then v.service_ids && array(select jsonb_array_elements_text(g."serviceIds"))
            else true end)
        else false end as "visitedScope",
      case g.kind
        when 'visit' then exists (
          select from attendances v
          where v.clinic_id = ${clinicId} and v.patient_id = p.id and ${isAnchor})
        when 'appointment' then ap.deleted_at is null and coalesce(ap.start_revision = g.revision, false)
          and coalesce(ap.patient_id = p.id, false)
          and case coalesce(g.status, 'upcoming')
            when 'upcoming' then ap.status in ('proposed', 'pending', 'booked')
            when 'cancelled' then ap.status = 'cancelled' and not ${wasMoved(clinicId, 'ap')}
            else ap.status = g.status end
        when 'treatment' then exists (
          select from treatments t
          where t.clinic_id = ${clinicId} and t.patient_id = p.id and t.source = g.source and t.external_id = g.id
            and t.next_step = g.step)
        else true end as "anchorHolds",
      coalesce(ap.confirmation = 'accepted', false) as "isConfirmed",
      case when m.guard ? 'since' and ${stops('paid')} then exists (
        select from payments y
        where y.clinic_id = ${clinicId} and y.patient_id = p.id and y.kind <> 'refund'
          and y.paid_at >= (m.guard->>'since')::timestamptz and y.paid_at <= ${now})
        else false end as "hasPaid",
      case when coalesce((m.guard->>'invitation')::boolean, false) and m.attempt_no = 0
        then ${isInvited(clinicId, sql`p.id`, sql`m.journey_id`)} else false end as "isInvited",
      m.journey_id is not null and ${stops('replied')} and ${journeyHas(sql`j.replied_at is not null`)} as "hasReplied",
      m.journey_id is not null and ${stops('clicked')} and ${journeyHas(sql`j.clicked_at is not null`)} as "hasClicked",
      m.journey_id is not null and ${stops('task-outcome')} and ${journeyHas(sql`exists (
        select from tasks t where t.clinic_id = ${clinicId} and t.message_id = j.id
          and t.outcome = any(${[...answeringOutcomes]}::text[]))`)} as "hasTaskOutcome",
      m.priority, m.scheduled_at as "scheduledAt", p.birth_date as "birthDate", p.guardian_id as "guardianId",
      asked."throughId", asked.household,
      asked.household is not null and m.journey_id is not null and m.template is not null
        and m.purpose in ('care', 'marketing') and m.channel in ('sms', 'email', 'whatsapp', 'telegram')
        -- What is private, or speaks of one appointment, is said to its patient alone.
        and g.kind is distinct from 'appointment' and not exists (
          select from rules r where r.clinic_id = ${clinicId} and r.id = m.rule_id
            and coalesce((r.definition->>'sensitive')::boolean, false)) as "mayMerge",
      m.attempt_no > 0 and exists (
        select from contact_days b where b.clinic_id = ${clinicId} and b.message_id = m.id
          and b.local_day = ${today}::date) as "isBooked",
      case when m.purpose in ('care', 'marketing') then array(
        select c.address from patient_contact_points c where c.clinic_id = ${clinicId} and c.patient_id in ${people})
        else '{}' end as addresses,
      coalesce(caps.today, 0)::int as "contactsToday", coalesce(caps.week, 0)::int as "contactsThisWeek",
      caps.priority as "priorityToday",
      coalesce(home.today, 0)::int as "householdToday", coalesce(home.week, 0)::int as "householdThisWeek",
      home.priority as "householdPriorityToday"
    from asked
    join chosen m on m.id = asked.id
    join people p on p.id = asked."patientId"
    left join contact_points cp on cp.clinic_id = ${clinicId} and cp.address = asked.address
    left join lateral jsonb_to_record(m.guard->'anchor') as g (kind text, source text, id text, at timestamptz,
      scope text, "practitionerId" text, "serviceIds" jsonb, revision integer, status text, step text) on true
    left join appointments ap on g.kind = 'appointment' and ap.clinic_id = ${clinicId}
      and ap.source = g.source and ap.external_id = g.id
    left join lateral (${counted(
      sql`${contactsAt(sql`
        select c.address from patient_contact_points c where c.clinic_id = ${clinicId} and c.patient_id in ${people}
        union select asked.address`)} union all ${naming}`,
    )}
    ) caps on m.purpose in ('care', 'marketing') and asked.address is not null
    left join lateral (${atHome}
    ) home on asked.household is not null and m.purpose in ('care', 'marketing') and asked.address is not null
    order by m.id`.execute(trx);
  return rows;
}

/**
 * The messages asked about and their patients, found by the primary key whatever the planner believes
 * of the tables' size.
 */
function given(clinicId: string, asked: readonly (Recipient & Partial<Asked>)[]) {
  const ids = asked.map(({ id }) => id);
  const patientIds = asked.map(({ patientId }) => patientId);
  return sql`asked as materialized (
      select * from unnest(${ids}::uuid[], ${patientIds}::uuid[], ${asked.map((each) => each.address ?? null)}::text[],
        ${asked.map((each) => each.throughId ?? null)}::uuid[], ${asked.map((each) => each.household ?? null)}::text[])
        as a (id, "patientId", address, "throughId", household)
    ), chosen as materialized (
      select * from messages where clinic_id = ${clinicId} and id = any(${ids}::uuid[])
    ), people as materialized (
      select * from patients where clinic_id = ${clinicId} and id = any(${patientIds}::uuid[])
    )`;
}
