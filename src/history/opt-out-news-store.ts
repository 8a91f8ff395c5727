import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { tellHost } from './host-event-store.ts';

/** A shared address may be that of a whole family, hardly of more. */
const sharersMax = 100;

interface Stopped {
  patientId: string | null;
  channel: string | null;
  purpose: string | null;
  origin: string;
}

/**
 * Tells the host of an opt-out, once for each patient it is about. Whoever stopped as much by themselves is not
 * told of again for their address; an address that nobody has any more is told of without a patient.
 */
export async function tellOptOut(
  trx: Trx,
  clinicId: string,
  optOutId: string,
  now: Temporal.Instant,
): Promise<void> {
  const { rows } = await sql<Stopped>`
    select coalesce(o.patient_id, s.patient_id) as "patientId", o.channel, o.purpose, o.origin
    from opt_outs o
    left join patient_contact_points s on s.clinic_id = ${clinicId} and o.patient_id is null and s.address = o.address
    where o.clinic_id = ${clinicId} and o.id = ${optOutId}
      and not exists (
        select from opt_outs own
        where own.clinic_id = ${clinicId} and own.patient_id = s.patient_id and own.lifted_at is null
          and coalesce(own.channel = o.channel, own.channel is null)
          and (own.purpose is not distinct from o.purpose or own.purpose = 'transactional'
            or (own.purpose is null and o.purpose <> 'transactional')))
    order by 1 limit ${sharersMax}`.execute(trx);
  await tellHost(
    trx,
    clinicId,
    rows.map(({ patientId, ...data }) => ({
      type: 'patient.opted-out',
      patientId,
      data: { optOutId, ...data },
    })),
    now,
  );
}
