import { isDeepStrictEqual } from 'node:util';
import { type RawBuilder, sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { AppError, type Fault, inputErrorCode } from '../errors.ts';
import type { Clinic } from '../history/clinic.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import type { HostId } from '../history/host-id.ts';
import { localDay } from '../local-time.ts';
import { compileAudience, segmentLeaves } from './audience/audience.ts';
import { replanUnsentOfRule } from './journey-store.ts';
import {
  checkNamed,
  checkSegment,
  reaches,
  type Segment,
  type Segments,
  segmentsPerClinicMax,
} from './segment.ts';

const columns = sql`name, description, audience, created_at as "createdAt", updated_at as "updatedAt"`;

/** By name; a clinic has few. */
export async function listSegments(trx: Trx, clinicId: string): Promise<Segment[]> {
  const { rows } = await sql<Segment>`
    select ${columns} from segments where clinic_id = ${clinicId} order by name`.execute(trx);
  return rows;
}

export async function findSegment(
  trx: Trx,
  clinicId: string,
  name: string,
): Promise<Segment | null> {
  const { rows } = await sql<Segment>`
    select ${columns} from segments where clinic_id = ${clinicId} and name = ${name}`.execute(trx);
  return rows[0] ?? null;
}

/** What an audience's segments ask; empty where it names none. */
export async function segmentsFor(
  trx: Trx,
  clinicId: string,
  audience: unknown,
): Promise<Segments> {
  if (segmentLeaves(audience).length === 0) return new Map();
  return toMap(await listSegments(trx, clinicId));
}

/** Faults of a rule's audience against the segments there are, which stay until the transaction ends. */
export async function segmentFaults(
  trx: Trx,
  clinicId: string,
  audience: unknown,
): Promise<Fault[]> {
  if (segmentLeaves(audience).length === 0) return [];
  return checkNamed(audience, await lockSegments(trx, clinicId, sql`share`));
}

/**
 * Stores a segment whole. Whoever was planned because of the one before is planned anew.
 * @throws AppError for one that is part of itself, too large, or one too many.
 */
export async function putSegment(
  trx: Trx,
  clinicId: string,
  name: string,
  { audience, description }: { audience: unknown; description?: string | undefined },
  now: Temporal.Instant,
): Promise<{ segment: Segment; isNew: boolean }> {
  const segments = await lockSegments(trx, clinicId, sql`update`);
  const faults = checkSegment(name, audience, segments);
  if (faults.length > 0)
    throw new AppError(inputErrorCode(faults), 'The segment cannot be taken.', { faults });
  const isNew = !segments.has(name);
  if (isNew && segments.size >= segmentsPerClinicMax) {
    throw new AppError('unprocessable', `A clinic has at most ${segmentsPerClinicMax} segments.`);
  }
  const { rows } = await sql<Segment>`
    insert into segments (clinic_id, name, description, audience, created_at, updated_at)
    values (${clinicId}, ${name}, ${description ?? null}, ${JSON.stringify(audience)}::jsonb, ${now}, ${now})
    on conflict (clinic_id, name) do update set description = excluded.description, audience = excluded.audience,
      updated_at = excluded.updated_at
    returning ${columns}`.execute(trx);
  if (!isNew && !isDeepStrictEqual(segments.get(name), audience)) {
    for (const { id } of await rulesWith(trx, clinicId, name, segments)) {
      await replanUnsentOfRule(trx, clinicId, id);
    }
    await wakeClinic(trx, clinicId, 'plan', now);
  }
  const [segment] = rows;
  if (segment === undefined) throw new Error('A segment was not stored');
  return { segment, isNew };
}

/**
 * @returns whether there was one.
 * @throws AppError `conflict` where a rule or another segment names it.
 */
export async function deleteSegment(trx: Trx, clinicId: string, name: string): Promise<boolean> {
  const segments = await lockSegments(trx, clinicId, sql`update`);
  if (!segments.has(name)) return false;
  const isNamed = [...segments].some(([, audience]) => names(audience, name));
  if (isNamed || (await rulesWith(trx, clinicId, name, segments)).length > 0) {
    throw new AppError('conflict', 'A rule or another segment names it.');
  }
  await sql`delete from segments where clinic_id = ${clinicId} and name = ${name}`.execute(trx);
  return true;
}

function names(audience: unknown, name: string): boolean {
  return segmentLeaves(audience).some((leaf) => leaf.name === name);
}

async function lockSegments(
  trx: Trx,
  clinicId: string,
  mode: RawBuilder<unknown>,
): Promise<Segments> {
  const { rows } = await sql<Segment>`
    select ${columns} from segments where clinic_id = ${clinicId} order by name for ${mode}`.execute(
    trx,
  );
  return toMap(rows);
}

function toMap(segments: readonly Segment[]): Segments {
  return new Map(segments.map(({ name, audience }) => [name, audience]));
}

/** The rules whose audience leads to that segment. */
async function rulesWith(
  trx: Trx,
  clinicId: string,
  name: string,
  segments: Segments,
): Promise<{ id: string }[]> {
  const { rows } = await sql<{ id: string; audience: unknown }>`
    select id, definition -> 'audience' as audience from rules
    where clinic_id = ${clinicId} and deleted_at is null`.execute(trx);
  return rows.filter(({ audience }) =>
    segmentLeaves(audience).some((leaf) => reaches(leaf.name, name, segments)),
  );
}

export interface Members {
  size: number;
  members: (HostId & { id: string })[];
}

/** Who belongs to it at that instant: how many, and a page of them by our id, so by age. */
export async function listMembers(
  trx: Trx,
  clinic: Clinic,
  { audience }: Segment,
  page: { afterId: string | null; limit: number },
  now: Temporal.Instant,
): Promise<Members> {
  const today = localDay(now, clinic.timeZone);
  const belongs = compileAudience(audience, {
    clinicId: clinic.id,
    zone: clinic.timeZone,
    currency: clinic.currency,
    dueDays: [today],
    segments: await segmentsFor(trx, clinic.id, audience),
  });
  const { rows } = await sql<HostId & { id: string; size: number }>`
    with members as (
      select p.id, p.source, p.external_id from patients p
      cross join (select ${now}::timestamptz as due_at, ${today}::date as due_day) c
      where p.clinic_id = ${clinic.id} and p.is_known and p.replaced_by is null and p.deleted_at is null and ${belongs}
    ), page as (
      select id, source, external_id from members
      where ${page.afterId === null ? sql`true` : sql`id > ${page.afterId}::uuid`}
      order by id limit ${page.limit}
    )
    select counted.size, page.id, page.source, page.external_id as "externalId"
    from (select count(*)::int as size from members) counted left join page on true order by page.id`.execute(
    trx,
  );
  return { size: rows[0]?.size ?? 0, members: rows.filter(({ id }) => id !== null) };
}
