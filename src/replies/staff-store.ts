import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { StaffTopic } from '../database/tables.ts';
import { uuidv7 } from '../uuid.ts';

/** Who works at the clinic's desk, and of what they want to hear. */

export const staffTopics = ['task', 'thread', 'callback', 'digest'] as const;

export interface StaffIn {
  email: string | null;
  phone: string | null;
  notify: readonly StaffTopic[];
  language: string;
  /** Where they work with what they hear. */
  url: string | null;
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

const columns = sql`name, email, phone, notify, language, url, digest_at as "digestAt", created_at as "createdAt", updated_at as "updatedAt"`;

/** Puts a person whole. */
export async function putStaffMember(
  trx: Trx,
  clinicId: string,
  name: string,
  { email, phone, notify, language, url }: StaffIn,
  digestAt: Temporal.Instant | null,
  now: Temporal.Instant,
): Promise<StaffMember & { isNew: boolean }> {
  const { rows } = await sql<StaffMember & { isNew: boolean }>`
    insert into staff as s (clinic_id, name, email, phone, notify, language, url, digest_at, created_at, updated_at)
    values (${clinicId}, ${name}, ${email}, ${phone}, ${[...notify]}::text[], ${language}, ${url}, ${digestAt}, ${now}, ${now})
    on conflict (clinic_id, name) do update set email = excluded.email, phone = excluded.phone, notify = excluded.notify,
      language = excluded.language, url = excluded.url, digest_at = excluded.digest_at, updated_at = excluded.updated_at
    returning ${columns}, xmax = 0 as "isNew"`.execute(trx);
  const [member] = rows;
  if (member === undefined) throw new Error('A member of staff was not stored.');
  // What they asked to hear no more, or where they are no more, is not said.
  await sql`
    delete from staff_notices where clinic_id = ${clinicId} and staff = ${name} and state = 'waiting'
      and (not topic = any(${[...notify]}::text[]) or case channel when 'sms' then ${phone}::text else ${email}::text end is null)`.execute(
    trx,
  );
  return member;
}

/** Whose digest is due. */
export async function findDigestReaders(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select name from staff where clinic_id = ${clinicId} and digest_at <= ${now}
    order by digest_at, name limit ${limit}`.execute(trx);
  return rows.map((row) => row.name);
}

/** Puts a digest for one of them, by e-mail where they have one. @returns false where somebody else did. */
export async function putDigest(
  trx: Trx,
  clinicId: string,
  name: string,
  nextAt: Temporal.Instant,
  now: Temporal.Instant,
): Promise<boolean> {
  const { rows } = await sql<{ channel: string }>`
    update staff set digest_at = ${nextAt} where clinic_id = ${clinicId} and name = ${name} and digest_at <= ${now}
    returning case when email is null then 'sms' else 'email' end as channel`.execute(trx);
  const [reader] = rows;
  if (reader === undefined) return false;
  await sql`
    insert into staff_notices (clinic_id, id, staff, channel, topic, due_at, next_at, created_at, updated_at)
    values (${clinicId}, ${uuidv7(now)}, ${name}, ${reader.channel}, 'digest', ${now}, ${now}, ${now}, ${now})
    on conflict (clinic_id, staff, channel, topic) where state = 'waiting' do nothing`.execute(trx);
  return true;
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
