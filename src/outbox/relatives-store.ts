import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

/** Who lives with a patient, and who answers for them. */

export interface Relative {
  /** The patient whose relative this is. */
  ofId: string;
  id: string;
  kind: 'self' | 'guardian' | 'member';
  birthDate: string | null;
  /** As the host wrote it. */
  guardianId: string | null;
  isAlive: boolean;
  language: string | null;
  sms: string | null;
  email: string | null;
  whatsapp: string | null;
  telegram: string | null;
  /** All of theirs. */
  addresses: string[];
}

/** More are no household but a mistake of the host's, and are taken as people apart. */
export const householdMembersMax = 20;

/**
 * The relatives of these patients, themselves included: guardians, and with `withHouseholds` those of the
 * same household.
 */
export async function findRelatives(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
  withHouseholds: boolean,
): Promise<Map<string, Relative[]>> {
  if (patientIds.length === 0) return new Map();
  const members = sql`
    union all
    select a.id, q.id, 'member' from asked a cross join lateral (
      select m.id from patients m
      where m.clinic_id = ${clinicId} and m.household = a.household and m.replaced_by is null and m.deleted_at is null
      order by m.id limit ${householdMembersMax + 1}) q
    where q.id <> a.id`;
  const { rows } = await sql<Relative>`
    with asked as (
      select id, source, guardian_id, household from patients
      where clinic_id = ${clinicId} and id = any(${[...patientIds]}::uuid[])
    ), related (of_id, id, kind) as (
      select a.id, a.id, 'self' from asked a
      union all
      select a.id, coalesce(g.replaced_by, g.id), 'guardian' from asked a
      join patients g on g.clinic_id = ${clinicId} and g.source = a.source and g.external_id = a.guardian_id
      ${withHouseholds ? members : sql``}
    )
    select r.of_id as "ofId", p.id, r.kind, p.birth_date as "birthDate", p.guardian_id as "guardianId",
      not p.deceased and p.deleted_at is null as "isAlive", p.language, p.sms_address as sms, p.email_address as email,
      p.whatsapp_address as whatsapp, p.telegram_address as telegram,
      array(select c.address from patient_contact_points c
        where c.clinic_id = ${clinicId} and c.patient_id = p.id order by c.address) as addresses
    from related r join patients p on p.clinic_id = ${clinicId} and p.id = r.id
    order by r.of_id, p.id`.execute(trx);
  return Map.groupBy(rows, ({ ofId }) => ofId);
}

/** Messages of these patients that may be named by one of the household today, held until the transaction ends. */
export interface CompanionMessage {
  id: string;
  patientId: string;
  purpose: string;
  /** Somebody else holds it just now. */
  isBusy: boolean;
}

export interface CompanionQuestion {
  /** Messages that are held already. */
  except: readonly string[];
  now: Temporal.Instant;
  /** The start of the clinic's next day. */
  dayEnd: Temporal.Instant;
  /** Held for these, a message waits for more than its household. */
  unfitReasons: readonly string[];
}

export async function lockCompanionMessages(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
  { except, now, dayEnd, unfitReasons }: CompanionQuestion,
): Promise<CompanionMessage[]> {
  if (patientIds.length === 0) return [];
  const { rows: found } = await sql<Omit<CompanionMessage, 'isBusy'>>`
    select m.id, m.patient_id as "patientId", m.purpose from messages m
    where m.clinic_id = ${clinicId} and m.patient_id = any(${[...patientIds]}::uuid[])
      and m.state in ('scheduled', 'held', 'retry') and m.purpose in ('care', 'marketing')
      and m.state <> 'retry' and m.attempt_no = 0 and m.channel in ('sms', 'email', 'whatsapp', 'telegram')
      and m.journey_id is not null and m.template is not null
      and m.scheduled_at < ${dayEnd} and m.expires_at > ${now} and not m.cancel_requested
      and (m.state = 'scheduled' or m.reason <> all(${[...unfitReasons]}::text[]))
      and m.id <> all(${[...except]}::uuid[])
    order by m.id`.execute(trx);
  if (found.length === 0) return [];
  const { rows: held } = await sql<{ id: string }>`
    select id from messages
    where clinic_id = ${clinicId} and id = any(${found.map(({ id }) => id)}::uuid[])
      and state in ('scheduled', 'held')
    for no key update skip locked`.execute(trx);
  const mine = new Set(held.map(({ id }) => id));
  return found.map((message) => ({ ...message, isBusy: !mine.has(message.id) }));
}

export interface Carried {
  id: string;
  patientId: string;
  journeyId: string;
}

/** Whom earlier messages of these journeys named beside their own patients. */
export async function findCarried(
  trx: Trx,
  clinicId: string,
  journeyIds: readonly string[],
): Promise<Carried[]> {
  if (journeyIds.length === 0) return [];
  const { rows } = await sql<Carried>`
    select m.id, m.patient_id as "patientId", c.journey_id as "journeyId"
    from messages c join messages m on m.clinic_id = ${clinicId} and m.carried_by = c.id
    where c.clinic_id = ${clinicId} and c.journey_id = any(${[...journeyIds]}::uuid[])
    order by m.id`.execute(trx);
  return rows;
}

/** Notes which message named whom. */
export async function markCarried(
  trx: Trx,
  clinicId: string,
  carried: readonly { id: string; carriedBy: string }[],
): Promise<void> {
  if (carried.length === 0) return;
  await sql`
    update messages m set carried_by = c.by
    from unnest(${carried.map(({ id }) => id)}::uuid[], ${carried.map(({ carriedBy }) => carriedBy)}::uuid[]) as c (id, by)
    where m.clinic_id = ${clinicId} and m.id = c.id`.execute(trx);
}

/** Has the message that carries a household's news looked at now, on whatever channel it goes. */
export async function callForward(
  trx: Trx,
  clinicId: string,
  messageIds: readonly string[],
  now: Temporal.Instant,
): Promise<void> {
  if (messageIds.length === 0) return;
  await sql`
    update messages set next_at = ${now}
    where clinic_id = ${clinicId} and id = any(${[...messageIds]}::uuid[])
      and state in ('scheduled', 'held') and next_at > ${now}`.execute(trx);
}

/** Notes whom a message names beside its patient: it is a contact of theirs too. */
export async function bookNamed(
  trx: Trx,
  clinicId: string,
  day: string,
  contacts: readonly { messageId: string; patientId: string; purpose: string }[],
): Promise<void> {
  if (contacts.length === 0) return;
  await sql`
    insert into named_days (clinic_id, patient_id, message_id, purpose, local_day)
    select ${clinicId}::uuid, n.patient_id, n.id, n.purpose, ${day}::date
    from unnest(${contacts.map(({ messageId }) => messageId)}::uuid[],
      ${contacts.map(({ patientId }) => patientId)}::uuid[], ${contacts.map(({ purpose }) => purpose)}::text[])
      as n (id, patient_id, purpose)
    order by n.patient_id, n.id
    on conflict do nothing`.execute(trx);
}
