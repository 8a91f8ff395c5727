import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ThreadChannel } from './thread.ts';

export interface OwnChannels {
  preferred: string | null;
  language: string | null;
  sms: string | null;
  email: string | null;
  whatsapp: string | null;
  telegram: string | null;
}

/** By what a patient can be written to. */
export async function findOwnChannels(
  trx: Trx,
  clinicId: string,
  patientId: string,
): Promise<OwnChannels | null> {
  const { rows } = await sql<OwnChannels>`
    select preferred_channel as preferred, language, sms_address as sms, email_address as email,
      whatsapp_address as whatsapp, telegram_address as telegram
    from patients where clinic_id = ${clinicId} and id = ${patientId}`.execute(trx);
  return rows[0] ?? null;
}

const channelsInOrder = ['telegram', 'whatsapp', 'sms', 'email'] as const;

/** By which to write to somebody by hand: as they prefer, else what is read soonest of what reaches them; null where nothing does. */
export function channelFor(
  own: OwnChannels,
  mayLeaveBy: (channel: ThreadChannel) => boolean,
): ThreadChannel | null {
  const reaching = channelsInOrder.filter(
    (channel) => own[channel] !== null && mayLeaveBy(channel),
  );
  const preferred = reaching.find((channel) => channel === own.preferred);
  if (preferred !== undefined) return preferred;
  if (own.preferred === 'inbox' && mayLeaveBy('inbox')) return 'inbox';
  return reaching[0] ?? null;
}
