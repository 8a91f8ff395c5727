import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';
import type { HostId } from '../history/host-id.ts';
import type { PatientContent } from '../history/patient.ts';

/** Patients, written many by one statement under the clinic's intake lock. */

export interface StoredPerson {
  id: string;
  source: string;
  external_id: string;
  is_known: boolean;
  replaced_by: string | null;
  merged_ms: number | null;
  is_deleted: boolean;
  is_erased: boolean;
  occurred_ms: number | null;
  version: string | null;
  hash: string | null;
}

const personColumns = sql`
  id, source, external_id, is_known, replaced_by, (extract(epoch from merged_at) * 1000)::double precision as merged_ms,
  deleted_at is not null as is_deleted, erased_at is not null as is_erased,
  (extract(epoch from occurred_at) * 1000)::double precision as occurred_ms, version, encode(content_hash, 'hex') as hash`;

/** Locks them as senders do: in the order of their ids. */
export async function lockPersons(
  trx: Trx,
  clinicId: string,
  source: string,
  externalIds: readonly string[],
): Promise<StoredPerson[]> {
  const { rows } = await sql<StoredPerson>`
    select ${personColumns} from patients
    where clinic_id = ${clinicId} and source = ${source} and external_id = any(${[...externalIds]}::text[])
    order by id for no key update`.execute(trx);
  return rows;
}

export async function lockPersonsById(
  trx: Trx,
  clinicId: string,
  ids: readonly string[],
): Promise<StoredPerson[]> {
  const { rows } = await sql<StoredPerson>`
    select ${personColumns} from patients
    where clinic_id = ${clinicId} and id = any(${[...ids]}::uuid[])
    order by id for no key update`.execute(trx);
  return rows;
}

/** Someone a visit or a merge names before the host tells about them. */
export async function insertStubs(
  trx: Trx,
  clinicId: string,
  stubs: readonly (HostId & { id: string })[],
  now: Temporal.Instant,
): Promise<void> {
  if (stubs.length === 0) return;
  await sql`
    insert into patients (clinic_id, id, source, external_id, is_known, created_at, updated_at)
    select ${clinicId}::uuid, id, source, external_id, false, ${now}::timestamptz, ${now}::timestamptz
    from unnest(${stubs.map((stub) => stub.id)}::uuid[], ${stubs.map((stub) => stub.source)}::text[],
      ${stubs.map((stub) => stub.externalId)}::text[]) as s (id, source, external_id)`.execute(trx);
}

export interface Point {
  address: string;
  kind: string;
  country: string | null;
}

/** In the order of their addresses, as everyone takes them. */
export async function insertContactPoints(
  trx: Trx,
  clinicId: string,
  points: readonly Point[],
): Promise<void> {
  if (points.length === 0) return;
  await sql`
    insert into contact_points (clinic_id, address, kind, country)
    select distinct on (address) ${clinicId}::uuid, address, kind, country
    from json_to_recordset(${JSON.stringify(points)}::json) as r (address text, kind text, country text)
    order by address
    on conflict (clinic_id, address) do nothing`.execute(trx);
}

export async function setContactPoints(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
  pairs: readonly { patient_id: string; address: string }[],
): Promise<void> {
  await sql`
    with wanted as (
      select patient_id, address from json_to_recordset(${JSON.stringify(pairs)}::json) as r (patient_id uuid, address text)
    ), gone as (
      delete from patient_contact_points p
      where p.clinic_id = ${clinicId} and p.patient_id = any(${[...patientIds]}::uuid[])
        and not exists (select from wanted w where w.patient_id = p.patient_id and w.address = p.address)
        and not exists (select from patients l where l.clinic_id = ${clinicId} and l.id = p.patient_id and l.linked_chat = p.address)
    )
    insert into patient_contact_points (clinic_id, patient_id, address)
    select ${clinicId}::uuid, patient_id, address from wanted
    on conflict do nothing`.execute(trx);
}

/** What the host tells of a person, whole with each upsert. */
export const contentColumns = [
  'family',
  'given',
  'middle',
  'preferred',
  'name_text',
  'birth_date',
  'birth_date_text',
  'gender',
  'language',
  'time_zone',
  'preferred_channel',
  'reminder_preference',
  'tags',
  'payer_id',
  'payer_name',
  'household',
  'guardian_id',
  'referred_by',
  'city',
  'acquisition',
  'active',
  'deceased',
  'attributes',
  'telecom',
  'sms_address',
  'email_address',
  'whatsapp_address',
  'telegram_address',
  'warnings',
] as const;

const contentList = sql.raw(contentColumns.join(', '));
const excludedContent = sql.raw(
  contentColumns
    .map((column) => `${column} = ${contentOf('excluded', 'patients', column)}`)
    .join(', '),
);

/** Of a chat that the patient linked the host knows nothing. */
export function contentOf(from: string, to: string, column: string): string {
  const told = `${from}.${column}`;
  return column === 'telegram_address' ? `coalesce(${told}, ${to}.linked_chat)` : told;
}

export interface PersonWrite extends PatientContent {
  id: string;
  source: string;
  external_id: string;
  occurred_ms: number | null;
  version: string | null;
  hash: string | null;
}

const personTypes: ColumnTypes<PersonWrite> = {
  id: 'uuid',
  source: 'text',
  external_id: 'text',
  family: 'text',
  given: 'text',
  middle: 'text',
  preferred: 'text',
  name_text: 'text',
  birth_date: 'date',
  birth_date_text: 'text',
  gender: 'text',
  language: 'text',
  time_zone: 'text',
  preferred_channel: 'text',
  reminder_preference: 'jsonb',
  tags: 'text[]',
  payer_id: 'text',
  payer_name: 'text',
  household: 'text',
  guardian_id: 'text',
  referred_by: 'text',
  city: 'text',
  acquisition: 'jsonb',
  active: 'boolean',
  deceased: 'boolean',
  attributes: 'jsonb',
  telecom: 'jsonb',
  sms_address: 'text',
  email_address: 'text',
  whatsapp_address: 'text',
  telegram_address: 'text',
  warnings: 'jsonb',
  occurred_ms: 'epoch_ms',
  version: 'text',
  hash: 'hex',
};

/** Rows are sorted by id. */
export async function upsertPersons(
  trx: Trx,
  clinicId: string,
  rows: readonly PersonWrite[],
  now: Temporal.Instant,
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into patients (clinic_id, id, source, external_id, is_known, ${contentList}, deleted_at, occurred_at, version, content_hash, created_at, updated_at)
    select ${clinicId}::uuid, id, source, external_id, true, ${contentList}, null, occurred_ms, version, hash, ${now}::timestamptz, ${now}::timestamptz
    from ${rowSet(rows, personTypes, 'r')}
    on conflict (clinic_id, id) do update set
      is_known = true, ${excludedContent}, deleted_at = null, occurred_at = excluded.occurred_at, version = excluded.version,
      content_hash = excluded.content_hash, updated_at = excluded.updated_at`.execute(trx);
}

export interface PersonMark {
  id: string;
  occurred_ms: number;
  version: string | null;
}

export async function advancePersons(
  trx: Trx,
  clinicId: string,
  marks: readonly PersonMark[],
): Promise<void> {
  if (marks.length === 0) return;
  await sql`
    update patients p set occurred_at = to_timestamp(r.occurred_ms / 1000.0), version = r.version
    from json_to_recordset(${JSON.stringify(marks)}::json) as r (id uuid, occurred_ms double precision, version text)
    where p.clinic_id = ${clinicId} and p.id = r.id`.execute(trx);
}

export async function deletePersons(
  trx: Trx,
  clinicId: string,
  marks: readonly PersonMark[],
  now: Temporal.Instant,
): Promise<void> {
  if (marks.length === 0) return;
  await sql`
    update patients p set deleted_at = coalesce(p.deleted_at, ${now}), updated_at = ${now},
      occurred_at = to_timestamp(r.occurred_ms / 1000.0), version = r.version
    from json_to_recordset(${JSON.stringify(marks)}::json) as r (id uuid, occurred_ms double precision, version text)
    where p.clinic_id = ${clinicId} and p.id = r.id`.execute(trx);
}

/** The ids that were merged into these. */
export async function findAliases(
  trx: Trx,
  clinicId: string,
  ids: readonly string[],
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from patients
    where clinic_id = ${clinicId} and replaced_by = any(${[...ids]}::uuid[])`.execute(trx);
  return rows.map((row) => row.id);
}

/** A tombstone without a person: the ids stay, so that whoever was erased is known when the host sends them again. */
export async function erasePersons(
  trx: Trx,
  clinicId: string,
  ids: readonly string[],
  now: Temporal.Instant,
): Promise<void> {
  const erased = sql`any(${[...ids]}::uuid[])`;
  await sql`
    update patients set family = null, given = null, middle = null, preferred = null, name_text = null, birth_date = null,
      birth_date_text = null, gender = null, language = null, time_zone = null, preferred_channel = null,
      reminder_preference = null, tags = '{}', payer_id = null, payer_name = null, household = null, guardian_id = null,
      referred_by = null, city = null, acquisition = null, active = false, attributes = '{}', telecom = '[]',
      sms_address = null, email_address = null, whatsapp_address = null, telegram_address = null, linked_chat = null, warnings = '[]',
      content_hash = null, deleted_at = coalesce(deleted_at, ${now}), erased_at = coalesce(erased_at, ${now}), updated_at = ${now}
    where clinic_id = ${clinicId} and id = ${erased}`.execute(trx);
  await sql`delete from patient_contact_points where clinic_id = ${clinicId} and patient_id = ${erased}`.execute(
    trx,
  );
  await sql`
    update consents set evidence = null where clinic_id = ${clinicId} and patient_id = ${erased} and evidence is not null`.execute(
    trx,
  );
  await sql`delete from payments where clinic_id = ${clinicId} and patient_id = ${erased}`.execute(
    trx,
  );
  await sql`delete from outside_contacts where clinic_id = ${clinicId} and patient_id = ${erased}`.execute(
    trx,
  );
  await sql`delete from treatments where clinic_id = ${clinicId} and patient_id = ${erased}`.execute(
    trx,
  );
  await sql`
    update visits set facts = '{}', warnings = '[]', payer_id = null, payer_name = null
    where clinic_id = ${clinicId} and patient_id = ${erased}`.execute(trx);
  await sql`
    update appointments set source_status = null, warnings = '[]', payer_id = null, payer_name = null
    where clinic_id = ${clinicId} and patient_id = ${erased}`.execute(trx);
}
