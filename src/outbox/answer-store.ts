import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import { markReplan } from '../history/replan-store.ts';
import { inFlightStates } from './message.ts';

/** What patients did about a message: a rule may stop on it. Only the first time counts. */
export async function stampAnswer(
  trx: Trx,
  clinicId: string,
  messageId: string,
  answer: 'replied' | 'clicked',
  now: Temporal.Instant,
): Promise<void> {
  const { rows } = await sql<{ patient_id: string }>`
    update messages set
      replied_at = case when ${answer} = 'replied' then coalesce(replied_at, ${now}) else replied_at end,
      clicked_at = case when ${answer} = 'clicked' then coalesce(clicked_at, ${now}) else clicked_at end
    where clinic_id = ${clinicId} and id = ${messageId}
    returning patient_id`.execute(trx);
  await markReplan(
    trx,
    clinicId,
    rows.map((row) => row.patient_id),
  );
  await wakeClinic(trx, clinicId, 'plan', now);
}

/** Messages that are perhaps at a provider already, for one person or one address. */
export async function messagesInFlight(
  trx: Trx,
  clinicId: string,
  whom: { patientId?: string | undefined; address?: string | undefined },
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from messages
    where clinic_id = ${clinicId} and state = any(${[...inFlightStates]}::text[])
      and (patient_id = ${whom.patientId ?? null}::uuid or address = ${whom.address ?? null}::text)
    order by id`.execute(trx);
  return rows.map((row) => row.id);
}
