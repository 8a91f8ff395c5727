import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type HostId, isHostId } from './host-id.ts';
import type { PatientRow } from './patient.ts';

export interface PatientLookup {
  /** Also whom the host has not told about yet, or has deleted. */
  evenIfAbsent?: boolean;
}

/** The person behind a host's id, through all merges; null where there is none to speak of. */
export async function findPatientId(
  trx: Trx,
  clinicId: string,
  hostId: HostId,
  lookup: PatientLookup = {},
): Promise<string | null> {
  if (!isHostId(hostId.externalId)) return null;
  const { rows } = await sql<{ id: string }>`
    select p.id from patients named
    join patients p on p.clinic_id = ${clinicId} and p.id = coalesce(named.replaced_by, named.id)
    where named.clinic_id = ${clinicId} and named.source = ${hostId.source} and named.external_id = ${hostId.externalId}
      and (${lookup.evenIfAbsent === true}::boolean or (p.is_known and p.deleted_at is null))`.execute(
    trx,
  );
  return rows[0]?.id ?? null;
}

/** What the host calls each of these patients. */
export async function hostIdsOf(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<Map<string, HostId>> {
  if (patientIds.length === 0) return new Map();
  const rows = await trx
    .selectFrom('patients')
    .select(['id', 'source', 'external_id'])
    .where('clinic_id', '=', clinicId)
    .where(sql<boolean>`id = any(${[...new Set(patientIds)]}::uuid[])`)
    .execute();
  return new Map(rows.map((row) => [row.id, { source: row.source, externalId: row.external_id }]));
}

/** A patient with what the store alone knows. */
export interface StoredPatient extends PatientRow {
  id: string;
}

const patientColumns = sql`
  p.id, p.source, p.external_id, p.family, p.given, p.middle, p.preferred, p.name_text, p.birth_date, p.birth_date_text, p.gender,
  p.language, p.time_zone, p.preferred_channel, p.reminder_preference, p.tags, p.payer_id, p.payer_name, p.household, p.guardian_id,
  p.referred_by, p.city, p.acquisition, p.active, p.deceased, p.attributes, p.telecom, p.sms_address, p.email_address,
  p.whatsapp_address, p.telegram_address, p.linked_chat, p.warnings, p.updated_at,
  coalesce((
    select jsonb_agg(jsonb_build_object('purpose', c.purpose, 'channel', c.channel, 'state', c.state) order by c.purpose, c.channel)
    from consents c where c.clinic_id = p.clinic_id and c.patient_id = p.id), '[]') as consents`;

const isPresent = sql`p.is_known and p.deleted_at is null and p.replaced_by is null`;

/** The patient as the API shows them, also under an id that was merged away. */
export async function findPatientByHostId(
  trx: Trx,
  clinicId: string,
  hostId: HostId,
): Promise<StoredPatient | null> {
  const id = await findPatientId(trx, clinicId, hostId);
  if (id === null) return null;
  const { rows } = await sql<StoredPatient>`
    select ${patientColumns} from patients p
    where p.clinic_id = ${clinicId} and p.id = ${id}`.execute(trx);
  return rows[0] ?? null;
}

export interface PatientFilter {
  /** A normalised address, such as +573001234567. */
  address?: string;
  tag?: string;
  updatedSince?: Temporal.Instant;
}

/** Where a page ended: when the last patient shown changed, and their id. */
export type PatientListKey = readonly [updatedAt: string, id: string];

export const patientListKey = (patient: StoredPatient): PatientListKey => [
  patient.updated_at.toString(),
  patient.id,
];

/** In the order in which they last changed. */
export async function listPatients(
  trx: Trx,
  clinicId: string,
  filter: PatientFilter,
  page: { after: PatientListKey | null; limit: number },
): Promise<StoredPatient[]> {
  const conditions = [sql`p.clinic_id = ${clinicId}`, isPresent];
  if (filter.tag !== undefined) conditions.push(sql`${filter.tag} = any(p.tags)`);
  if (filter.updatedSince !== undefined)
    conditions.push(sql`p.updated_at >= ${filter.updatedSince}`);
  if (filter.address !== undefined) {
    conditions.push(sql`p.id in (
      select c.patient_id from patient_contact_points c
      where c.clinic_id = ${clinicId} and c.address = ${filter.address})`);
  }
  if (page.after !== null) {
    conditions.push(
      sql`(p.updated_at, p.id) > (${page.after[0]}::timestamptz, ${page.after[1]}::uuid)`,
    );
  }
  const { rows } = await sql<StoredPatient>`
    select ${patientColumns} from patients p
    where ${sql.join(conditions, sql` and `)}
    order by p.updated_at, p.id limit ${page.limit}`.execute(trx);
  return rows;
}

export interface Birthday {
  id: string;
  source: string;
  external_id: string;
  /** The local day on which it is kept. */
  on: string;
  birth_date: string;
}

/** Whose birthday is kept on one of these days, in their order; the dead have none. */
export async function listBirthdays(
  trx: Trx,
  clinicId: string,
  days: readonly { on: string; birthDay: number }[],
  page: { after: readonly [on: string, id: string] | null; limit: number },
): Promise<Birthday[]> {
  const after =
    page.after === null
      ? sql`true`
      : sql`(d.kept_on, p.id) > (${page.after[0]}::date, ${page.after[1]}::uuid)`;
  const { rows } = await sql<Birthday>`
    select p.id, p.source, p.external_id, d.kept_on as "on", p.birth_date
    from unnest(${days.map((day) => day.on)}::date[], ${days.map((day) => day.birthDay)}::int[]) as d (kept_on, birth_day)
    join patients p on p.clinic_id = ${clinicId} and p.birth_day = d.birth_day
    where ${isPresent} and not p.deceased and extract(year from p.birth_date) <= extract(year from d.kept_on) and ${after}
    order by d.kept_on, p.id limit ${page.limit}`.execute(trx);
  return rows;
}
