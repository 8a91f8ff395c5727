import type { Channel } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { Addressee } from './render-message.ts';

export interface FoundAddressee extends Addressee {
  address: string | null;
  country: string | null;
}

const addressColumns = {
  sms: 'p.sms_address',
  email: 'p.email_address',
  whatsapp: 'p.whatsapp_address',
  telegram: 'p.telegram_address',
} as const;

/**
 * How a patient is spoken to on a channel, for previews; null where there is no such patient.
 * @param way an address that is not their own, such as a guardian's, stands for theirs.
 */
export async function findAddressee(
  trx: Trx,
  clinicId: string,
  patientId: string,
  { channel, address = null }: { channel: Channel; address?: string | null },
): Promise<FoundAddressee | null> {
  const column =
    channel in addressColumns ? addressColumns[channel as keyof typeof addressColumns] : null;
  const row = await trx
    .selectFrom('patients as p')
    .leftJoin('contact_points as c', (join) =>
      join
        .onRef('c.clinic_id', '=', 'p.clinic_id')
        .on('c.address', '=', (eb) =>
          eb.fn.coalesce(eb.val(address), eb.ref(column ?? 'p.sms_address')),
        ),
    )
    .select([
      'p.family',
      'p.given',
      'p.middle',
      'p.preferred',
      'p.name_text as nameText',
      'p.language',
      'p.sms_address as phoneOnFile',
      'p.email_address as emailOnFile',
      'p.city as cityOnFile',
      'c.address',
      'c.country',
    ])
    .where('p.clinic_id', '=', clinicId)
    .where('p.id', '=', patientId)
    .executeTakeFirst();
  if (row === undefined) return null;
  return column === null ? { ...row, address: null, country: null } : row;
}
