import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { Dependent } from './reach-relatives.ts';

export interface ReachablePatient extends Dependent {
  id: string;
  patientZone: string | null;
}

/** How these patients can be reached now. */
export async function findReachable(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<Map<string, ReachablePatient>> {
  const { rows } = await sql<ReachablePatient>`
    select id, language, time_zone as "patientZone", preferred_channel as "preferredChannel", sms_address as sms,
      email_address as email, whatsapp_address as whatsapp, telegram_address as telegram,
      household, guardian_id is not null as "hasGuardian"
    from patients where clinic_id = ${clinicId} and id = any(${[...new Set(patientIds)]}::uuid[])`.execute(
    trx,
  );
  return new Map(rows.map((row) => [row.id, row]));
}
