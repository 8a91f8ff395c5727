import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { Addressee } from './render-message.ts';

/** How patients are spoken to, and where, for previews. */

export interface PersonOnFile extends Addressee {
  id: string;
  sms: string | null;
  email: string | null;
  whatsapp: string | null;
  telegram: string | null;
}

/** Those of these that there are. */
export async function findPeople(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<Map<string, PersonOnFile>> {
  const rows = await trx
    .selectFrom('patients')
    .select([
      'id',
      'family',
      'given',
      'middle',
      'preferred',
      'name_text as nameText',
      'language',
      'sms_address as phoneOnFile',
      'email_address as emailOnFile',
      'city as cityOnFile',
      'sms_address as sms',
      'email_address as email',
      'whatsapp_address as whatsapp',
      'telegram_address as telegram',
    ])
    .where('clinic_id', '=', clinicId)
    .where(sql<boolean>`id = any(${[...patientIds]}::uuid[])`)
    .execute();
  return new Map(rows.map((row) => [row.id, row]));
}

/** The countries of these addresses, by which they are priced. */
export async function findCountries(
  trx: Trx,
  clinicId: string,
  addresses: readonly string[],
): Promise<Map<string, string | null>> {
  if (addresses.length === 0) return new Map();
  const rows = await trx
    .selectFrom('contact_points')
    .select(['address', 'country'])
    .where('clinic_id', '=', clinicId)
    .where(sql<boolean>`address = any(${[...addresses]}::text[])`)
    .execute();
  return new Map(rows.map(({ address, country }) => [address, country]));
}
