import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName, Purpose } from '../database/tables.ts';
import type { Guard } from '../outbox/guard.ts';
import { invites, isRunning } from '../outbox/invitation-store.ts';
import { withdrawableStates } from '../outbox/message.ts';
import type { Pool } from '../outbox/places.ts';
import { findCarried } from '../outbox/relatives-store.ts';
import type { ReachablePatient } from './reachable-store.ts';
import { type ContactDay, keyOfNamed, type SpentDay } from './simulate-world.ts';
import type { Anchor } from './triggers/trigger.ts';

/** What stands in the outbox and in the books when coming days are foreseen. */

interface Person extends ReachablePatient {
  household: string | null;
}

const person = sql`
  p.id, p.language, p.time_zone as "patientZone", p.preferred_channel as "preferredChannel", p.sms_address as sms,
  p.email_address as email, p.whatsapp_address as whatsapp, p.telegram_address as telegram, p.household,
  p.guardian_id is not null as "hasGuardian"`;

/** A message that another of its household carried. */
export interface CarriedMessage {
  journeyId: string;
  patientId: string;
  purpose: Purpose;
  channel: ChannelName;
  address: string | null;
}

/** Whom these messages named, and who still lives there and has neither come nor booked since where that stops the rule. */
export async function findStillNamed(
  trx: Trx,
  clinicId: string,
  journeyIds: readonly string[],
  now: Temporal.Instant,
): Promise<CarriedMessage[]> {
  const carried = await findCarried(trx, clinicId, [...new Set(journeyIds)]);
  if (carried.length === 0) return [];
  const stops = (reason: string) => sql`coalesce(k.guard->'stopOn' ? ${sql.lit(reason)}, false)`;
  const { rows } = await sql<Omit<CarriedMessage, 'journeyId'> & { id: string }>`
    select k.id, p.id as "patientId", k.purpose, k.channel, k.address
    from messages k
    join messages c on c.clinic_id = ${clinicId} and c.id = k.carried_by
    join patients o on o.clinic_id = ${clinicId} and o.id = c.patient_id
    join patients p on p.clinic_id = ${clinicId} and p.id = k.patient_id
    where k.clinic_id = ${clinicId} and k.id = any(${carried.map(({ id }) => id)}::uuid[])
      and p.household = o.household and p.active and not p.deceased and p.deleted_at is null
      and not (${stops('visited')} and exists (
        select from attendances v where v.clinic_id = ${clinicId} and v.patient_id = p.id
          and v.anchor_at >= (k.guard->>'since')::timestamptz and v.anchor_at <= ${now}))
      and not (${stops('booked')} and exists (
        select from appointments a where a.clinic_id = ${clinicId} and a.patient_id = p.id and a.deleted_at is null
          and a.booked_at >= (k.guard->>'since')::timestamptz
          and a.status in ('proposed', 'pending', 'booked', 'arrived', 'checked-in', 'fulfilled')))`.execute(
    trx,
  );
  const byId = new Map(rows.map(({ id, ...row }) => [id, row]));
  return carried.flatMap(({ id, journeyId }) => {
    const row = byId.get(id);
    return row === undefined ? [] : { ...row, journeyId };
  });
}

/** A message of an earlier journey that has not left. */
export interface WaitingMessage extends Person {
  journeyId: string;
  ruleId: string;
  step: number;
  channel: ChannelName;
  address: string | null;
  purpose: Purpose;
  guard: Guard;
  anchor: Anchor;
  state: string;
  reason: string | null;
  nextAt: Temporal.Instant;
  expiresAt: Temporal.Instant;
  dueAt: Temporal.Instant;
  isFirst: boolean;
  /** When its step left on another channel. */
  stepLeftAt: Temporal.Instant | null;
}

/** @param dueUpTo of their journeys: what fell due later is foreseen from its beginning. */
export async function findWaitingMessages(
  trx: Trx,
  clinicId: string,
  dueUpTo: Temporal.Instant,
): Promise<WaitingMessage[]> {
  const { rows } = await sql<WaitingMessage>`
    select m.journey_id as "journeyId", m.rule_id as "ruleId", m.step, m.channel, m.address, m.purpose, m.guard, j.anchor, m.state,
      m.reason, coalesce(m.next_at, m.scheduled_at) as "nextAt", m.expires_at as "expiresAt", j.due_at as "dueAt",
      not exists (select from messages b where b.clinic_id = ${clinicId} and b.journey_id = m.journey_id
        and b.attempt_no > 0) as "isFirst",
      (select max(coalesce(b.sent_at, b.updated_at)) from messages b where b.clinic_id = ${clinicId}
        and b.journey_id = m.journey_id and b.step = m.step and b.attempt_no > 0) as "stepLeftAt", ${person}
    from messages m
    join journeys j on j.clinic_id = ${clinicId} and j.id = m.journey_id and j.due_at <= ${dueUpTo}
    join patients p on p.clinic_id = ${clinicId} and p.id = m.patient_id
    where m.clinic_id = ${clinicId} and m.state = any(${[...withdrawableStates]}::text[]) and m.rule_id is not null
    order by m.id`.execute(trx);
  return rows;
}

/** A journey of which a message left, and whose next step is still to be prepared. */
export interface OpenLadder extends Person {
  journeyId: string;
  ruleId: string;
  step: number;
  leftAt: Temporal.Instant;
  dueAt: Temporal.Instant;
  anchor: Anchor;
}

export async function findOpenLadders(
  trx: Trx,
  clinicId: string,
  dueUpTo: Temporal.Instant,
): Promise<OpenLadder[]> {
  const { rows } = await sql<OpenLadder>`
    select j.id as "journeyId", j.rule_id as "ruleId", l.step, coalesce(l.sent_at, l.updated_at) as "leftAt",
      j.due_at as "dueAt", j.anchor, ${person}
    from journeys j
    join lateral (
      select m.step, m.sent_at, m.updated_at, m.journey_continues from messages m
      where m.clinic_id = ${clinicId} and m.journey_id = j.id and m.attempt_no > 0
      order by m.step desc, m.sent_at desc nulls last limit 1) l on l.journey_continues
    join patients p on p.clinic_id = ${clinicId} and p.id = j.patient_id
    where j.clinic_id = ${clinicId} and j.state in ('planned', 'active') and j.due_at <= ${dueUpTo}
      and not exists (select from messages w where w.clinic_id = ${clinicId} and w.journey_id = j.id
        and w.state = any(${[...withdrawableStates]}::text[]))`.execute(trx);
  return rows;
}

/** The invitations that patients are in the middle of: journey by patient. */
export async function findRunning(
  trx: Trx,
  clinicId: string,
  dueUpTo: Temporal.Instant,
): Promise<Map<string, string>> {
  const { rows } = await sql<{ patientId: string; journeyId: string }>`
    select i.patient_id as "patientId", i.id as "journeyId"
    from journeys i join rules r on r.clinic_id = ${clinicId} and r.id = i.rule_id
    where i.clinic_id = ${clinicId} and i.due_at <= ${dueUpTo} and ${invites()} and ${isRunning(clinicId)}`.execute(
    trx,
  );
  return new Map(rows.map(({ patientId, journeyId }) => [patientId, journeyId]));
}

/** The contacts of the six days before and of the first day itself, of journeys due until then. */
export async function findContactDays(
  trx: Trx,
  clinicId: string,
  { since, firstDay, dueUpTo }: { since: string; firstDay: string; dueUpTo: Temporal.Instant },
): Promise<ContactDay[]> {
  const { rows } = await sql<ContactDay>`
    with booked as (
      select d.address, d.purpose, d.local_day, d.message_id, d.outside_id from contact_days d
      where d.clinic_id = ${clinicId} and d.local_day >= ${since}::date and d.local_day <= ${firstDay}::date
      union all
      select ${keyOfNamed('')} || n.patient_id, n.purpose, n.local_day, n.message_id, null from named_days n
      where n.clinic_id = ${clinicId} and n.local_day >= ${since}::date and n.local_day <= ${firstDay}::date
    )
    select d.address, d.purpose, d.local_day::text as day, m.priority, p.household, m.id is null as "isOutside",
      coalesce(m.journey_id || '/' || m.step, d.message_id::text, d.outside_id::text,
        d.address || ' ' || d.purpose || ' ' || d.local_day) as contact
    from booked d
    left join messages m on m.clinic_id = ${clinicId} and m.id = d.message_id
    left join journeys j on j.clinic_id = ${clinicId} and j.id = m.journey_id
    left join patients p on p.clinic_id = ${clinicId} and p.id = m.patient_id
    where d.local_day < ${firstDay}::date or coalesce(j.due_at <= ${dueUpTo}, true)`.execute(trx);
  return rows;
}

/** All of each patient's addresses, also those that no message would use. */
export async function findPatientAddresses(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ id: string; addresses: string[] }>`
    select c.patient_id as id, array_agg(c.address) as addresses from patient_contact_points c
    where c.clinic_id = ${clinicId} and c.patient_id = any(${[...new Set(patientIds)]}::uuid[])
    group by c.patient_id`.execute(trx);
  return new Map(rows.map(({ id, addresses }) => [id, addresses]));
}

export async function findHouseholdAddresses(
  trx: Trx,
  clinicId: string,
): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ household: string; addresses: string[] }>`
    select p.household, array_agg(distinct c.address) as addresses
    from patients p
    join patient_contact_points c on c.clinic_id = ${clinicId} and c.patient_id = p.id
    where p.clinic_id = ${clinicId} and p.household is not null
    group by p.household`.execute(trx);
  return new Map(rows.map(({ household, addresses }) => [household, addresses]));
}

/** Of those who live with others: who answers for whom, and who is of age. */
export async function findBirths(
  trx: Trx,
  clinicId: string,
): Promise<Map<string, { birthDate: string | null; guardianId: string | null }>> {
  const { rows } = await sql<{ id: string; birthDate: string | null; guardianId: string | null }>`
    select id, birth_date::text as "birthDate", guardian_id as "guardianId" from patients
    where clinic_id = ${clinicId} and household is not null`.execute(trx);
  return new Map(rows.map(({ id, ...birth }) => [id, birth]));
}

export async function findDayPools(
  trx: Trx,
  clinicId: string,
  firstDay: string,
): Promise<(Pool & { day: string })[]> {
  const { rows } = await sql<Pool & { day: string }>`
    select local_day::text as day, nullif(service, '') as service, nullif(practitioner, '') as practitioner, free
    from capacities where clinic_id = ${clinicId} and local_day >= ${firstDay}::date
    order by local_day, service, practitioner`.execute(trx);
  return rows;
}

/** First contacts of each rule on that day, of journeys due until then. */
export async function countContactsOn(
  trx: Trx,
  clinicId: string,
  day: string,
  from: Temporal.Instant,
): Promise<Map<string, number>> {
  const { rows } = await sql<{ ruleId: string; contacts: number }>`
    select d.rule_id as "ruleId", d.contacts - (
      select count(distinct m.journey_id)::int from messages m
      join journeys j on j.clinic_id = ${clinicId} and j.id = m.journey_id and j.due_at > ${from}
      where m.clinic_id = ${clinicId} and m.rule_id = d.rule_id and m.attempt_no > 0) as contacts
    from rule_days d where d.clinic_id = ${clinicId} and d.local_day = ${day}::date`.execute(trx);
  return new Map(rows.map(({ ruleId, contacts }) => [ruleId, Math.max(0, contacts)]));
}

/**
 * What these rules have sent and spent, by local day from the one after `after` on; of `firstDay` only what journeys
 * sent that were due until then.
 */
export async function findSpentDays(
  trx: Trx,
  clinicId: string,
  ruleIds: readonly string[],
  { after, firstDay, dueUpTo }: { after: string; firstDay: string; dueUpTo: Temporal.Instant },
): Promise<Map<string, SpentDay[]>> {
  if (ruleIds.length === 0) return new Map();
  const { rows } = await sql<SpentDay & { ruleId: string }>`
    select d.rule_id as "ruleId", d.local_day::text as day,
      greatest(0, d.cost_micros - coalesce(l.cost_micros, 0))::bigint as "costMicros",
      greatest(0, d.messages - coalesce(l.messages, 0))::int as messages
    from rule_days d
    left join lateral (
      select sum(m.cost_micros) as cost_micros, count(*) as messages from messages m
      join journeys j on j.clinic_id = ${clinicId} and j.id = m.journey_id and j.due_at > ${dueUpTo}
      where m.clinic_id = ${clinicId} and m.rule_id = d.rule_id and m.attempt_no > 0
    ) l on d.local_day = ${firstDay}::date
    where d.clinic_id = ${clinicId} and d.rule_id = any(${[...ruleIds]}::uuid[]) and d.local_day > ${after}::date
    order by d.local_day`.execute(trx);
  return Map.groupBy(rows, ({ ruleId }) => ruleId);
}
