import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';
import type { AppointmentContent } from '../history/appointment.ts';
import type { VisitContent } from '../history/visit.ts';

/**
 * Appointments, visits and directory entries: objects that the host's key names. Many are written by
 * one statement; what is written has been decided before, under the clinic's intake lock.
 */

/** What is known of an object before a batch. */
export interface StoredObject {
  source: string;
  external_id: string;
  patient_id: string | null;
  occurred_ms: number | null;
  version: string | null;
  hash: string | null;
  is_deleted: boolean;
  start_ms: number | null;
  start_revision: number;
}

/** What a batch asks of one source before it is applied. */
export interface KnownRequest {
  eventIds: readonly string[];
  appointmentIds: readonly string[];
  visitIds: readonly string[];
}

export interface Known {
  events: string[];
  appointments: StoredObject[];
  visits: StoredObject[];
}

/** All that is known of these, in one statement. */
export async function loadKnown(
  trx: Trx,
  clinicId: string,
  source: string,
  request: KnownRequest,
): Promise<Known> {
  const common = sql`source, external_id, patient_id, (extract(epoch from occurred_at) * 1000)::double precision as occurred_ms,
      version, encode(content_hash, 'hex') as hash, deleted_at is not null as is_deleted`;
  const { rows } = await sql<Known>`
    select
      coalesce((select json_agg(event_id) from intake_events
        where clinic_id = ${clinicId} and source = ${source} and event_id = any(${[...request.eventIds]}::text[])), '[]') as events,
      coalesce((select json_agg(a) from (
        select ${common}, (extract(epoch from start_at) * 1000)::double precision as start_ms, start_revision from appointments
        where clinic_id = ${clinicId} and source = ${source} and external_id = any(${[...request.appointmentIds]}::text[])) a), '[]') as appointments,
      coalesce((select json_agg(v) from (
        select ${common}, null::double precision as start_ms, 1 as start_revision from visits
        where clinic_id = ${clinicId} and source = ${source} and external_id = any(${[...request.visitIds]}::text[])) v), '[]') as visits`.execute(
    trx,
  );
  return rows[0] ?? { events: [], appointments: [], visits: [] };
}

/** What every row carries beside its content. */
interface ObjectMark {
  source: string;
  external_id: string;
  patient_id: string | null;
  occurred_ms: number | null;
  version: string | null;
  hash: string | null;
}

export type VisitWrite = VisitContent & ObjectMark;
export type AppointmentWrite = AppointmentContent & ObjectMark & { start_revision: number };

const encounterTypes = {
  status: 'text',
  start_ms: 'epoch_ms',
  end_ms: 'epoch_ms',
  time_zone: 'text',
  practitioner_id: 'text',
  practitioner_name: 'text',
  services: 'jsonb',
  service_ids: 'text[]',
  location_id: 'text',
  location_name: 'text',
  payer_id: 'text',
  payer_name: 'text',
  warnings: 'jsonb',
  source: 'text',
  external_id: 'text',
  patient_id: 'uuid',
  occurred_ms: 'epoch_ms',
  version: 'text',
  hash: 'hex',
} as const;

const visitTypes: ColumnTypes<VisitWrite> = {
  ...encounterTypes,
  appointment_id: 'text',
  amount_minor: 'bigint',
  currency: 'text',
  facts: 'text[]',
};

const appointmentTypes: ColumnTypes<AppointmentWrite> = {
  ...encounterTypes,
  confirmation: 'text',
  host_created_ms: 'epoch_ms',
  rescheduled_from: 'text',
  source_status: 'jsonb',
  start_revision: 'int',
};

/** Rows are sorted by key. */
export async function upsertVisits(
  trx: Trx,
  clinicId: string,
  rows: readonly VisitWrite[],
  now: Temporal.Instant,
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into visits as v (clinic_id, source, external_id, patient_id, appointment_id, status, started_at, ended_at, time_zone,
      practitioner_id, practitioner_name, services, service_ids, location_id, location_name, payer_id, payer_name,
      amount_minor, currency, facts, warnings, deleted_at, occurred_at, version, content_hash, created_at, updated_at)
    select ${clinicId}::uuid, source, external_id, patient_id, appointment_id, status, start_ms, end_ms, time_zone,
      practitioner_id, practitioner_name, services, service_ids, location_id, location_name, payer_id, payer_name,
      amount_minor, currency, facts, warnings, null, occurred_ms, version, hash, ${now}::timestamptz, ${now}::timestamptz
    from ${rowSet(rows, visitTypes, 'r')}
    on conflict (clinic_id, source, external_id) do update set
      patient_id = excluded.patient_id, appointment_id = excluded.appointment_id, status = excluded.status,
      started_at = excluded.started_at, ended_at = excluded.ended_at, time_zone = excluded.time_zone,
      practitioner_id = excluded.practitioner_id, practitioner_name = excluded.practitioner_name,
      services = excluded.services, service_ids = excluded.service_ids, location_id = excluded.location_id,
      location_name = excluded.location_name, payer_id = excluded.payer_id, payer_name = excluded.payer_name,
      amount_minor = excluded.amount_minor, currency = excluded.currency, facts = excluded.facts,
      warnings = excluded.warnings, deleted_at = null, occurred_at = excluded.occurred_at,
      version = excluded.version, content_hash = excluded.content_hash, updated_at = excluded.updated_at`.execute(
    trx,
  );
}

export async function upsertAppointments(
  trx: Trx,
  clinicId: string,
  rows: readonly AppointmentWrite[],
  now: Temporal.Instant,
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into appointments as a (clinic_id, source, external_id, patient_id, status, confirmation, start_at, end_at, time_zone,
      start_revision, practitioner_id, practitioner_name, services, service_ids, location_id, location_name, payer_id, payer_name,
      booked_at, host_created_at, rescheduled_from, source_status, warnings, deleted_at, occurred_at, version, content_hash,
      created_at, updated_at)
    select ${clinicId}::uuid, source, external_id, patient_id, status, confirmation, start_ms, end_ms, time_zone, start_revision,
      practitioner_id, practitioner_name, services, service_ids, location_id, location_name, payer_id, payer_name,
      coalesce(host_created_ms, ${now}::timestamptz), host_created_ms, rescheduled_from, source_status, warnings, null,
      occurred_ms, version, hash, ${now}::timestamptz, ${now}::timestamptz
    from ${rowSet(rows, appointmentTypes, 'r')}
    on conflict (clinic_id, source, external_id) do update set
      patient_id = excluded.patient_id, status = excluded.status,
      -- Where the host says nothing of it, the patient's own answer stays until the appointment moves.
      confirmation = coalesce(excluded.confirmation, case when excluded.start_revision = a.start_revision then a.confirmation end),
      start_at = excluded.start_at, end_at = excluded.end_at, time_zone = excluded.time_zone,
      start_revision = excluded.start_revision,
      practitioner_id = excluded.practitioner_id, practitioner_name = excluded.practitioner_name,
      services = excluded.services, service_ids = excluded.service_ids, location_id = excluded.location_id,
      location_name = excluded.location_name, payer_id = excluded.payer_id, payer_name = excluded.payer_name,
      booked_at = coalesce(excluded.host_created_at, a.created_at), host_created_at = excluded.host_created_at,
      rescheduled_from = excluded.rescheduled_from, source_status = excluded.source_status,
      warnings = excluded.warnings, deleted_at = null, occurred_at = excluded.occurred_at,
      version = excluded.version, content_hash = excluded.content_hash, updated_at = excluded.updated_at`.execute(
    trx,
  );
}

export interface Advance {
  source: string;
  external_id: string;
  occurred_ms: number;
  version: string | null;
}

/** Content that came again changes nothing but what counts as older from now on. */
export async function advanceObjects(
  trx: Trx,
  clinicId: string,
  kind: 'appointment' | 'visit',
  marks: readonly Advance[],
): Promise<void> {
  if (marks.length === 0) return;
  await sql`
    update ${sql.table(kind === 'visit' ? 'visits' : 'appointments')} o
    set occurred_at = to_timestamp(r.occurred_ms / 1000.0), version = r.version
    from json_to_recordset(${JSON.stringify(marks)}::json) as r (
      source text, external_id text, occurred_ms double precision, version text)
    where o.clinic_id = ${clinicId} and o.source = r.source and o.external_id = r.external_id`.execute(
    trx,
  );
}

/** A tombstone stands also for what was never seen, so that an older upsert cannot bring it to life. */
export async function deleteObjects(
  trx: Trx,
  clinicId: string,
  kind: 'appointment' | 'visit',
  marks: readonly Advance[],
  now: Temporal.Instant,
): Promise<void> {
  if (marks.length === 0) return;
  const booked = kind === 'appointment';
  await sql`
    insert into ${sql.table(booked ? 'appointments' : 'visits')} as o (clinic_id, source, external_id, deleted_at, occurred_at, version,
      created_at, updated_at ${booked ? sql`, booked_at` : sql``})
    select ${clinicId}::uuid, source, external_id, ${now}::timestamptz, to_timestamp(occurred_ms / 1000.0), version,
      ${now}::timestamptz, ${now}::timestamptz ${booked ? sql`, ${now}::timestamptz` : sql``}
    from json_to_recordset(${JSON.stringify(marks)}::json) as r (
      source text, external_id text, occurred_ms double precision, version text)
    on conflict (clinic_id, source, external_id) do update set
      deleted_at = coalesce(o.deleted_at, excluded.deleted_at), occurred_at = excluded.occurred_at,
      version = excluded.version, updated_at = excluded.updated_at`.execute(trx);
}
