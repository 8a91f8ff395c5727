import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { uuidv7 } from '../uuid.ts';
import type { HostEventType } from './host-event.ts';
import { formatHostId, type HostId } from './host-id.ts';

/** What happened, as the host is told: ids and states, never a name, an address or a text. */
export interface HostEvent {
  type: HostEventType;
  /** Ours; told as the host's `patientId`. Null where nobody knows who it is. */
  patientId?: string | null;
  /** Of other objects of the host's, such as `appointmentId`. */
  hostIds?: Readonly<Record<string, HostId>>;
  /** Ids of ours, codes and numbers. */
  data?: Readonly<Record<string, string | number | boolean | null>>;
}

/**
 * Tells every webhook of the clinic that asks for it, in the caller's transaction: what is rolled back
 * was never told. A clinic where nobody listens keeps nothing.
 */
export async function tellHost(
  trx: Trx,
  clinicId: string,
  events: readonly HostEvent[],
  now: Temporal.Instant,
): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map((event, position) => ({
    position,
    id: uuidv7(now),
    type: event.type,
    patient: event.patientId ?? null,
    isAboutPatient: event.patientId !== undefined,
    hostIds: Object.fromEntries(
      Object.entries(event.hostIds ?? {}).map(([name, id]) => [name, formatHostId(id, '')]),
    ),
    data: event.data ?? {},
  }));
  await sql`
    insert into host_events (clinic_id, id, type, occurred_at, host_ids, data)
    select ${clinicId}, e.id, e.type, ${now},
      case when e."isAboutPatient" then coalesce(host_ids_of(${clinicId}, e.patient), '{"patientId": null}') else '{}' end
        || e."hostIds", e.data
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as e (position integer, id uuid, type text, patient uuid,
      "isAboutPatient" boolean, "hostIds" jsonb, data jsonb)
    where exists (select from webhooks w
      where w.clinic_id = ${clinicId} and w.state <> 'disabled' and hears_event(w.events, e.type))
    order by e.position`.execute(trx);
}
