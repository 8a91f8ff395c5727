import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { Meeting } from './template-values.ts';

export interface Meetings {
  visit: Meeting | null;
  appointment: Meeting | null;
}

interface Row {
  id: string;
  kind: 'visit' | 'appointment';
  start: Temporal.Instant;
  zone: string | null;
  practitioner: string | null;
  service: string | null;
  location: string | null;
}

/** Who is spoken to, and what for. */
export interface Spoken {
  /** By which the answer is found. */
  id: string;
  patientId: string;
  anchor: { kind: string; source: string; id: string } | undefined;
  /** Of its rule: a kept appointment stands for a visit that is gone under the same one. */
  occurrence?: string | null;
  /** When it is said, if that is another time. */
  at?: Temporal.Instant;
}

/**
 * The visit and the appointment that each message speaks of: those it was made for, else the patient's
 * last visit and next appointment.
 */
export async function readMeetings(
  trx: Trx,
  clinicId: string,
  spoken: readonly Spoken[],
  clinicZone: string,
  now: Temporal.Instant,
): Promise<Map<string, Meetings>> {
  const asked = spoken.map(({ id, patientId, anchor, occurrence, at = now }) => ({
    id,
    at: at.toString(),
    patient_id: patientId,
    kind: anchor?.kind,
    source: anchor?.source,
    anchor_id: anchor?.id,
    occurrence,
  }));
  const { rows } = await sql<Row>`
    with asked as (
      select * from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as a (id uuid, at timestamptz, patient_id uuid,
        kind text, source text, anchor_id text, occurrence text)
    ), met as (
      select asked.id, 'visit' as kind, v.*
      from asked cross join lateral (
        select v.source, coalesce(v.started_at, v.anchor_at) as start, v.time_zone as zone, v.practitioner_id,
          v.practitioner_name, v.services->0 as service, v.location_id, v.location_name
        from attendances v
        where v.clinic_id = ${clinicId} and v.patient_id = asked.patient_id and v.anchor_at <= asked.at
          and (asked.kind is distinct from 'visit'
            or (v.source = asked.source and (v.external_id = asked.anchor_id or v.appointment_id = asked.anchor_id))
            or asked.occurrence in (v.occurrence, 'inactive:' || v.occurrence))
        order by v.anchor_at desc limit 1
      ) v
      union all
      select asked.id, 'appointment', a.*
      from asked cross join lateral (
        select a.source, a.start_at, a.time_zone, a.practitioner_id,
          a.practitioner_name, a.services->0, a.location_id, a.location_name
        from appointments a
        where a.clinic_id = ${clinicId} and a.patient_id = asked.patient_id and a.deleted_at is null
          and case when asked.kind = 'appointment' then a.source = asked.source and a.external_id = asked.anchor_id
            else a.start_at > asked.at and a.status in ('proposed', 'pending', 'booked', 'arrived', 'checked-in') end
        order by a.start_at limit 1
      ) a
    )
    select met.id, met.kind, met.start, met.zone,
      coalesce(met.practitioner_name, practitioner.name) as practitioner,
      met.service->>'name' as service,
      coalesce(met.location_name, location.name) as location
    from met
    left join directory_entries practitioner on practitioner.clinic_id = ${clinicId}
      and practitioner.kind = 'practitioner' and practitioner.source = met.source
      and practitioner.external_id = met.practitioner_id
    left join directory_entries location on location.clinic_id = ${clinicId}
      and location.kind = 'location' and location.source = met.source and location.external_id = met.location_id
    where met.start is not null`.execute(trx);
  const meetings = new Map<string, Meetings>();
  for (const { id, kind, zone, ...rest } of rows) {
    const found = meetings.get(id) ?? { visit: null, appointment: null };
    found[kind] = { ...rest, zone: zone ?? clinicZone };
    meetings.set(id, found);
  }
  return meetings;
}
