import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

/** Rows of practitioners, locations and organizations; an older one changes nothing. */
export interface DirectoryRow {
  kind: string;
  source: string;
  external_id: string;
  name: string | null;
  time_zone: string | null;
  phone: string | null;
  address: string | null;
  occurred_ms: number;
  version: string | null;
  hash: string;
}

export async function upsertDirectory(
  trx: Trx,
  clinicId: string,
  rows: readonly DirectoryRow[],
  now: Temporal.Instant,
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into directory_entries as d (clinic_id, kind, source, external_id, name, time_zone, phone, address,
      occurred_at, version, content_hash, updated_at)
    select ${clinicId}::uuid, kind, source, external_id, name, time_zone, phone, address,
      to_timestamp(occurred_ms / 1000.0), version, decode(hash, 'hex'), ${now}::timestamptz
    from json_to_recordset(${JSON.stringify(rows)}::json) as r (
      kind text, source text, external_id text, name text, time_zone text, phone text, address text,
      occurred_ms double precision, version text, hash text)
    on conflict (clinic_id, kind, source, external_id) do update set
      name = excluded.name, time_zone = excluded.time_zone, phone = excluded.phone, address = excluded.address,
      occurred_at = excluded.occurred_at, version = excluded.version, content_hash = excluded.content_hash,
      updated_at = excluded.updated_at, deleted_at = null
    where d.occurred_at is null or excluded.occurred_at >= d.occurred_at`.execute(trx);
}

/** The names that are known, by what the host calls their bearers. */
export async function directoryNames(
  trx: Trx,
  clinicId: string,
  kind: 'practitioner' | 'location' | 'organization',
  source: string,
  externalIds: readonly string[],
): Promise<Map<string, string>> {
  if (externalIds.length === 0) return new Map();
  const { rows } = await sql<{ external_id: string; name: string }>`
    select external_id, name from directory_entries
    where clinic_id = ${clinicId} and kind = ${kind} and source = ${source} and name is not null
      and external_id = any(${[...externalIds]}::text[])`.execute(trx);
  return new Map(rows.map((row) => [row.external_id, row.name]));
}
