import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';
import type { ConsentChannel, Purpose } from '../database/tables.ts';
import { uuidv7 } from '../uuid.ts';

/** A contact that the clinic made itself. */
export interface ContactMade {
  source: string;
  eventId: string;
  patientId: string;
  channel: ConsentChannel;
  purpose: Purpose;
  atMs: number;
}

type ContactRow = ContactMade & { id: string };

const contactTypes: ColumnTypes<ContactRow> = {
  id: 'uuid',
  source: 'text',
  eventId: 'text',
  patientId: 'uuid',
  channel: 'text',
  purpose: 'text',
  atMs: 'epoch_ms',
};

export async function insertOutsideContacts(
  trx: Trx,
  clinicId: string,
  contacts: readonly ContactMade[],
  now: Temporal.Instant,
): Promise<void> {
  if (contacts.length === 0) return;
  const rows = contacts.map((contact) => ({ ...contact, id: uuidv7(now) }));
  await sql`
    insert into outside_contacts (clinic_id, id, source, event_id, patient_id, channel, purpose, at, created_at)
    select ${clinicId}::uuid, id, source, "eventId", "patientId", channel, purpose, "atMs", ${now}::timestamptz
    from ${rowSet(rows, contactTypes, 'c')}
    on conflict (clinic_id, source, event_id) do nothing`.execute(trx);
}

/** Where contacts with somebody are booked, in the order in which everyone locks them. */
export async function findAddressesOf(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<string[]> {
  const { rows } = await sql<{ address: string }>`
    select distinct address from patient_contact_points
    where clinic_id = ${clinicId} and patient_id = any(${[...patientIds]}::uuid[])
    order by address`.execute(trx);
  return rows.map((row) => row.address);
}

/**
 * Books what the clinic did itself with these patients like our own contacts, on its local day: at the contact
 * point of the channel, or at all that the patient has where that channel has none. The day is the outside
 * contact's from then on: it stands even if a message of ours that day fails after all.
 */
export async function bookOutsideContacts(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<void> {
  await sql`
    with made as (
      select o.id, o.patient_id, o.purpose, (o.at at time zone k.time_zone)::date as local_day,
        case o.channel when 'call' then p.sms_address when 'sms' then p.sms_address when 'email' then p.email_address
          when 'whatsapp' then p.whatsapp_address when 'telegram' then p.telegram_address end as address
      from outside_contacts o
      join clinics k on k.id = ${clinicId}
      join patients p on p.clinic_id = ${clinicId} and p.id = o.patient_id
      where o.clinic_id = ${clinicId} and o.patient_id = any(${[...patientIds]}::uuid[]) and o.purpose <> 'transactional'
        and not exists (
          select from contact_days d where d.clinic_id = ${clinicId} and d.outside_id = o.id
            and d.address in (
              select w.address from patient_contact_points w where w.clinic_id = ${clinicId} and w.patient_id = p.id))
    ), reached as (
      select id, address, purpose, local_day from made where address is not null
      union all
      select m.id, w.address, m.purpose, m.local_day from made m
      join patient_contact_points w on w.clinic_id = ${clinicId} and w.patient_id = m.patient_id
      where m.address is null
    ), first as (
      select distinct on (address, purpose, local_day) id, address, purpose, local_day from reached
      order by address, purpose, local_day, id
    )
    insert into contact_days as d (clinic_id, address, purpose, local_day, message_id, outside_id)
    select ${clinicId}::uuid, address, purpose, local_day, null, id from first
    order by address, purpose, local_day
    on conflict (clinic_id, address, purpose, local_day) do update set message_id = null, outside_id = excluded.outside_id
      where d.message_id is not null`.execute(trx);
}
