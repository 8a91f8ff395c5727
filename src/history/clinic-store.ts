import { type Selectable, sql } from 'kysely';
import type { Db, Trx } from '../database/connect.ts';
import type { ClinicsTable } from '../database/tables.ts';
import { type Clinic, type ClinicSettings, defaultSettings } from './clinic.ts';

export interface NewClinic {
  id: string;
  name: string;
  timeZone: string;
  country: string;
  language: string;
  currency: string;
  mode: Clinic['mode'];
  /** Where a test clinic's clock starts; null for a live one. */
  testNow: Temporal.Instant | null;
  settings?: Partial<ClinicSettings>;
}

export type ClinicPatch = Partial<
  Pick<Clinic, 'name' | 'timeZone' | 'country' | 'language' | 'currency'>
> & { settings?: ClinicSettings };

const columns = [
  'id',
  'number',
  'name',
  'time_zone',
  'country',
  'language',
  'currency',
  'mode',
  'test_now',
  'settings',
  'created_at',
] as const;

/** Inside `withClinic` it finds that clinic alone; outside, any. */
export async function findClinic(db: Db | Trx, id: string): Promise<Clinic | null> {
  const row = await db
    .selectFrom('clinics')
    .select(columns)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ? toClinic(row) : null;
}

/** The clinic that a link names; outside `withClinic`, since nothing else of it is known yet. */
export async function findClinicByNumber(db: Db, number: number): Promise<Clinic | null> {
  const row = await db
    .selectFrom('clinics')
    .select(columns)
    .where('number', '=', number)
    .executeTakeFirst();
  return row ? toClinic(row) : null;
}

/** A page of all clinics by id, so by age; for the operator. */
export async function listClinics(
  db: Db,
  page: { afterId: string | null; limit: number },
): Promise<Clinic[]> {
  const rows = await db
    .selectFrom('clinics')
    .select(columns)
    .$if(page.afterId !== null, (query) => query.where('id', '>', page.afterId ?? ''))
    .orderBy('id')
    .limit(page.limit)
    .execute();
  return rows.map(toClinic);
}

export async function createClinic(
  trx: Trx,
  clinic: NewClinic,
  now: Temporal.Instant,
): Promise<Clinic> {
  const row = await trx
    .insertInto('clinics')
    .values({
      id: clinic.id,
      name: clinic.name,
      time_zone: clinic.timeZone,
      country: clinic.country,
      language: clinic.language,
      currency: clinic.currency,
      mode: clinic.mode,
      test_now: clinic.testNow,
      settings: JSON.stringify(clinic.settings ?? {}),
      created_at: now,
    })
    .returning(columns)
    .executeTakeFirstOrThrow();
  return toClinic(row);
}

/** Locks the row, so that two changes of settings do not undo each other. */
export async function lockClinic(trx: Trx, clinicId: string): Promise<Clinic | null> {
  const row = await trx
    .selectFrom('clinics')
    .select(columns)
    .where('id', '=', clinicId)
    .forNoKeyUpdate()
    .executeTakeFirst();
  return row ? toClinic(row) : null;
}

export async function updateClinic(
  trx: Trx,
  clinicId: string,
  patch: ClinicPatch,
): Promise<Clinic | null> {
  const row = await trx
    .updateTable('clinics')
    .set({
      id: clinicId,
      ...(patch.name !== undefined && { name: patch.name }),
      ...(patch.timeZone !== undefined && { time_zone: patch.timeZone }),
      ...(patch.country !== undefined && { country: patch.country }),
      ...(patch.language !== undefined && { language: patch.language }),
      ...(patch.currency !== undefined && { currency: patch.currency }),
      ...(patch.settings !== undefined && { settings: JSON.stringify(patch.settings) }),
    })
    .where('id', '=', clinicId)
    .returning(columns)
    .executeTakeFirst();
  return row ? toClinic(row) : null;
}

/** Removes a clinic with all that is in it. @returns whether there was one. */
export async function deleteClinic(db: Db, clinicId: string): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('clinics')
    .where('id', '=', clinicId)
    .executeTakeFirstOrThrow();
  return numDeletedRows > 0n;
}

/** Where a test clinic's clock stands, and where a move that has not ended is heading. */
export interface TestClock {
  now: Temporal.Instant;
  target: Temporal.Instant | null;
}

/**
 * Takes a test clinic's clock for `mover` until its lease ends: only one moves it at a time, in however many
 * transactions.
 * @returns `held` while another mover has it, null when there is no such test clinic.
 */
export async function holdTestClock(
  trx: Trx,
  clinicId: string,
  mover: string,
  leaseMs: number,
): Promise<TestClock | 'held' | null> {
  const { rows } = await sql<TestClock & { is_mine: boolean }>`
    update clinics set
      test_mover = case when free.is_mine then ${mover}::uuid else test_mover end,
      test_mover_until = case when free.is_mine
        then clock_timestamp() + ${leaseMs} * interval '1 millisecond' else test_mover_until end
    from (
      select id, test_mover is null or test_mover = ${mover}::uuid
                 or test_mover_until < clock_timestamp() as is_mine
      from clinics where id = ${clinicId} and mode = 'test' for no key update
    ) free
    where clinics.id = free.id
    returning test_now as now, test_target as target, free.is_mine`.execute(trx);
  const [row] = rows;
  if (row === undefined) return null;
  return row.is_mine ? { now: row.now, target: row.target } : 'held';
}

/** Lengthens the lease of whoever still has the clock. */
export async function renewTestClock(
  trx: Trx,
  clinicId: string,
  mover: string,
  leaseMs: number,
): Promise<void> {
  await sql`
    update clinics set test_mover_until = clock_timestamp() + ${leaseMs} * interval '1 millisecond'
    where id = ${clinicId} and test_mover = ${mover}::uuid`.execute(trx);
}

/** Gives up a move that has not ended, so that the next one need not wait for the lease. */
export async function releaseTestClock(trx: Trx, clinicId: string, mover: string): Promise<void> {
  await sql`
    update clinics set test_mover = null
    where id = ${clinicId} and test_mover = ${mover}::uuid`.execute(trx);
}

/**
 * Sets the clock; without a target the move is done, and the next one may begin.
 * @returns false when another mover has taken the clock meanwhile; then nothing is set.
 */
export async function setTestNow(
  trx: Trx,
  clinicId: string,
  mover: string,
  { now, target }: TestClock,
): Promise<boolean> {
  const { numAffectedRows = 0n } = await sql`
    update clinics set
      test_now = ${now}, test_target = ${target},
      test_mover = ${target === null ? null : mover}::uuid
    where id = ${clinicId} and test_mover = ${mover}::uuid`.execute(trx);
  return numAffectedRows > 0n;
}

function toClinic(row: Pick<Selectable<ClinicsTable>, (typeof columns)[number]>): Clinic {
  return {
    id: row.id,
    number: row.number,
    name: row.name,
    timeZone: row.time_zone,
    country: row.country,
    language: row.language,
    currency: row.currency,
    mode: row.mode,
    testNow: row.test_now,
    // Every writer is `createClinic` or `updateClinic`, so what is stored has this shape.
    settings: { ...defaultSettings, ...(row.settings as Partial<ClinicSettings>) },
    createdAt: row.created_at,
  };
}
