import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { StaffTopic } from '../database/tables.ts';

/** Who works at the clinic's desk, and of what they want to hear. */

export const staffTopics = ['task', 'thread', 'callback', 'digest'] as const;

export interface StaffIn {
  email: string | null;
  phone: string | null;
  notify: readonly StaffTopic[];
  language: string;
}

export interface StaffMember extends Omit<StaffIn, 'notify'> {
  name: string;
  notify: StaffTopic[];
  digestAt: Temporal.Instant | null;
  createdAt: Temporal.Instant;
  updatedAt: Temporal.Instant;
}

/** A desk has so many people at most. */
export const staffMax = 200;

const columns = sql`name, email, phone, notify, language, digest_at as "digestAt", created_at as "createdAt", updated_at as "updatedAt"`;

/** Puts a person whole; their digest comes next at `digestAt`, unless one was to come already. */
export async function putStaffMember(
  trx: Trx,
  clinicId: string,
  name: string,
  { email, phone, notify, language }: StaffIn,
  digestAt: Temporal.Instant | null,
  now: Temporal.Instant,
): Promise<StaffMember & { isNew: boolean }> {
  const { rows } = await sql<StaffMember & { isNew: boolean }>`
    insert into staff as s (clinic_id, name, email, phone, notify, language, digest_at, created_at, updated_at)
    values (${clinicId}, ${name}, ${email}, ${phone}, ${[...notify]}::text[], ${language}, ${digestAt}, ${now}, ${now})
    on conflict (clinic_id, name) do update set email = excluded.email, phone = excluded.phone, notify = excluded.notify,
      language = excluded.language, digest_at = excluded.digest_at, updated_at = excluded.updated_at
    returning ${columns}, xmax = 0 as "isNew"`.execute(trx);
  const [member] = rows;
  if (member === undefined) throw new Error('A member of staff was not stored.');
  return member;
}

export async function listStaff(trx: Trx, clinicId: string): Promise<StaffMember[]> {
  const { rows } = await sql<StaffMember>`
    select ${columns} from staff where clinic_id = ${clinicId} order by name limit ${staffMax}`.execute(
    trx,
  );
  return rows;
}

export async function findStaffMember(
  trx: Trx,
  clinicId: string,
  name: string,
): Promise<StaffMember | null> {
  const { rows } = await sql<StaffMember>`
    select ${columns} from staff where clinic_id = ${clinicId} and name = ${name}`.execute(trx);
  return rows[0] ?? null;
}

export async function deleteStaffMember(
  trx: Trx,
  clinicId: string,
  name: string,
): Promise<boolean> {
  const { numDeletedRows } = await trx
    .deleteFrom('staff')
    .where('clinic_id', '=', clinicId)
    .where('name', '=', name)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

/** Lets everybody who wants to hear of it know at `dueAt`; what comes before they heard goes with it. Of tasks the database tells by itself. */
export async function notifyStaff(
  trx: Trx,
  clinicId: string,
  topic: 'thread',
  dueAt: Temporal.Instant,
  now: Temporal.Instant,
): Promise<void> {
  await sql`select notify_staff(${clinicId}::uuid, ${topic}::text, null, ${now}::timestamptz, ${dueAt}::timestamptz)`.execute(
    trx,
  );
}
