import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { rowSet } from '../database/row-set.ts';
import type { ConsentChannel, Purpose } from '../database/tables.ts';

export interface ContactMade {
  patientId: string;
  channel: ConsentChannel;
  purpose: Exclude<Purpose, 'transactional'>;
  atMs: number;
}

/**
 * Books contacts made outside like our own, on the clinic's local day: at the contact point of the channel, or
 * at all that the patient has where that channel has none. Who has none at all is not reached by us either.
 */
export async function bookContactDays(
  trx: Trx,
  clinicId: string,
  contacts: readonly ContactMade[],
): Promise<void> {
  if (contacts.length === 0) return;
  const types = { patientId: 'uuid', channel: 'text', purpose: 'text', atMs: 'epoch_ms' } as const;
  await sql`
    with made as (
      select c."patientId" as patient_id, c.purpose, (c."atMs" at time zone k.time_zone)::date as local_day,
        case c.channel when 'call' then p.sms_address when 'sms' then p.sms_address when 'email' then p.email_address
          when 'whatsapp' then p.whatsapp_address when 'telegram' then p.telegram_address end as address
      from ${rowSet(contacts, types, 'c')}
      join clinics k on k.id = ${clinicId}
      join patients p on p.clinic_id = ${clinicId} and p.id = c."patientId"
    ), reached as (
      select address, purpose, local_day from made where address is not null
      union
      select w.address, m.purpose, m.local_day from made m
      join patient_contact_points w on w.clinic_id = ${clinicId} and w.patient_id = m.patient_id
      where m.address is null
    )
    insert into contact_days (clinic_id, address, purpose, local_day, message_id)
    select ${clinicId}::uuid, address, purpose, local_day, null from reached
    order by address, purpose, local_day
    on conflict do nothing`.execute(trx);
}
