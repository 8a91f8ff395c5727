import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { StaffNoticesTable, StaffTopic } from '../database/tables.ts';
import type { NoticeText } from './notice-texts.ts';

/** Notices to staff, from the row that asks for one to what became of it. */

export const noticeStates = ['waiting', 'sending', 'sent', 'failed', 'unknown', 'expired'] as const;
export type NoticeState = (typeof noticeStates)[number];

export interface DueNotice {
  id: string;
  staff: string;
  channel: StaffNoticesTable['channel'];
  topic: StaffTopic;
  attemptNo: number;
  dueAt: Temporal.Instant;
  address: string;
  language: string;
  url: string | null;
}

export async function findDueNotices(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from staff_notices where clinic_id = ${clinicId} and next_at <= ${now}
    order by next_at, id limit ${limit}`.execute(trx);
  return rows.map((row) => row.id);
}

/** Holds one that is still due until the transaction ends; null where somebody else has it. */
export async function lockNotice(
  trx: Trx,
  clinicId: string,
  id: string,
  now: Temporal.Instant,
): Promise<DueNotice | null> {
  const { rows } = await sql<DueNotice>`
    select n.id, n.staff, n.channel, n.topic, n.attempt_no as "attemptNo", n.due_at as "dueAt",
      case n.channel when 'sms' then s.phone else s.email end as address, s.language, s.url
    from staff_notices n join staff s on s.clinic_id = ${clinicId} and s.name = n.staff
    where n.clinic_id = ${clinicId} and n.id = ${id} and n.next_at <= ${now}
      and case n.channel when 'sms' then s.phone else s.email end is not null
    for no key update of n skip locked`.execute(trx);
  return rows[0] ?? null;
}

/** Longer than a call may take. */
const leaseMs = 30_000;

/** Commits the intent to send: after this nobody sends it again unless the provider said that it took nothing. */
export async function beginNotice(
  trx: Trx,
  clinicId: string,
  id: string,
  { provider, subject, text }: NoticeText & { provider: string },
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    update staff_notices set state = 'sending', next_at = null, attempt_no = attempt_no + 1, provider = ${provider},
      subject = ${subject}, text = ${text}, lease_until = clock_timestamp() + ${`${leaseMs} ms`}::interval,
      updated_at = ${now}
    where clinic_id = ${clinicId} and id = ${id}`.execute(trx);
}

export type NoticeEnd =
  | { state: 'sent'; providerMessageId: string }
  | { state: 'failed' | 'unknown' | 'expired'; reason: string }
  | { state: 'waiting'; nextAt: Temporal.Instant };

/** One that waits again gives way to a newer one that says the same. */
export async function endNotice(
  trx: Trx,
  clinicId: string,
  id: string,
  end: NoticeEnd,
  now: Temporal.Instant,
): Promise<void> {
  const reason = 'reason' in end ? end.reason : null;
  const nextAt = end.state === 'waiting' ? end.nextAt : null;
  const providerMessageId = end.state === 'sent' ? end.providerMessageId : null;
  await sql`
    update staff_notices n set lease_until = null, updated_at = ${now},
      provider_message_id = ${providerMessageId}, sent_at = ${end.state === 'sent' ? now : null},
      state = case when r.replaced then 'expired' else ${end.state} end,
      reason = case when r.replaced then 'replaced' else ${reason} end,
      next_at = case when r.replaced then null else ${nextAt}::timestamptz end
    from (select ${end.state} = 'waiting' and exists (select from staff_notices this join staff_notices other
        on other.clinic_id = ${clinicId} and other.staff = this.staff and other.channel = this.channel
          and other.topic = this.topic and other.state = 'waiting' and other.id <> this.id
      where this.clinic_id = ${clinicId} and this.id = ${id}) as replaced) r
    where n.clinic_id = ${clinicId} and n.id = ${id} and n.state in ('waiting', 'sending')`.execute(
    trx,
  );
}

/** What a process left behind that was killed while it sent: nobody knows whether it left. */
export async function recoverNotices(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    update staff_notices set state = 'unknown', reason = 'interrupted', lease_until = null, updated_at = ${now}
    where clinic_id = ${clinicId} and lease_until <= clock_timestamp()`.execute(trx);
}

const keptDays = 90;
const pruneMax = 1_000;

export async function pruneNotices(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    delete from staff_notices where clinic_id = ${clinicId} and id in (
      select id from staff_notices where clinic_id = ${clinicId} and state not in ('waiting', 'sending')
        and created_at < ${now.subtract({ hours: keptDays * 24 })} limit ${pruneMax})`.execute(trx);
}

export interface Notice {
  id: string;
  channel: StaffNoticesTable['channel'];
  topic: StaffTopic;
  state: NoticeState;
  reason: string | null;
  provider: string | null;
  subject: string | null;
  text: string | null;
  dueAt: Temporal.Instant;
  createdAt: Temporal.Instant;
  sentAt: Temporal.Instant | null;
}

/** The newest first. */
export async function listNotices(
  trx: Trx,
  clinicId: string,
  staff: string,
  page: { after: readonly string[] | null; limit: number },
): Promise<Notice[]> {
  const [dueAt, id] = page.after ?? [];
  const { rows } = await sql<Notice>`
    select id, channel, topic, state, reason, provider, subject, text, due_at as "dueAt", created_at as "createdAt", sent_at as "sentAt"
    from staff_notices where clinic_id = ${clinicId} and staff = ${staff}
      ${dueAt === undefined || id === undefined ? sql`` : sql`and (due_at, id) < (${dueAt}::timestamptz, ${id}::uuid)`}
    order by due_at desc, id desc limit ${page.limit}`.execute(trx);
  return rows;
}

export interface DeskCounts {
  tasks: number;
  callbacks: number;
  threads: number;
}

/** What there is to do now: of tasks, those that anybody may take and a person's own. */
export async function countDesk(trx: Trx, clinicId: string, staff: string): Promise<DeskCounts> {
  const { rows } = await sql<DeskCounts>`
    select count(*)::int as tasks, count(*) filter (where asks = 'callback')::int as callbacks,
      (select count(*)::int from threads where clinic_id = ${clinicId} and waiting_since is not null) as threads
    from tasks where clinic_id = ${clinicId} and state = 'open' and coalesce(assignee, ${staff}) = ${staff}`.execute(
    trx,
  );
  return rows[0] ?? { tasks: 0, callbacks: 0, threads: 0 };
}
