import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName, MessageState, Purpose } from '../database/tables.ts';
import type { HostId } from '../history/host-id.ts';
import { formatMicros } from '../money.ts';

/** Messages as the API shows them. */

export interface MessageView {
  id: string;
  ruleId: string | null;
  ruleVersion: number | null;
  journeyId: string | null;
  step: number | null;
  occurrence: string | null;
  patient: HostId;
  channel: ChannelName;
  provider: string | null;
  to: string | null;
  language: string | null;
  purpose: Purpose;
  state: MessageState;
  reason: string | null;
  scheduledAt: Temporal.Instant;
  sentAt: Temporal.Instant | null;
  deliveredAt: Temporal.Instant | null;
  readAt: Temporal.Instant | null;
  segments: number | null;
  cost: { amount: string; currency: string } | null;
  subject: string | null;
  /** Null where nothing was rendered. */
  text: string | null;
}

interface Row extends Omit<MessageView, 'patient' | 'cost'> {
  source: string;
  externalId: string;
  costMicros: number | null;
  costCurrency: string | null;
}

const columns = sql`
  m.id, m.rule_id as "ruleId", m.rule_version as "ruleVersion", m.journey_id as "journeyId", m.step, m.occurrence, p.source,
  p.external_id as "externalId", m.channel, m.provider, m.address as "to", m.language, m.purpose, m.state, m.reason,
  m.scheduled_at as "scheduledAt", m.sent_at as "sentAt", m.delivered_at as "deliveredAt", m.read_at as "readAt",
  m.segments, m.cost_micros as "costMicros", m.cost_currency as "costCurrency", m.subject, m.text`;

function toView({ source, externalId, costMicros, costCurrency, ...rest }: Row): MessageView {
  const cost =
    costMicros === null || costCurrency === null
      ? null
      : { amount: formatMicros(costMicros, costCurrency), currency: costCurrency };
  return { ...rest, patient: { source, externalId }, cost };
}

export interface MessageFilter {
  patientId?: string;
  ruleId?: string;
  state?: MessageState;
  channel?: ChannelName;
  /** Half-open, by `scheduledAt`. */
  from?: Temporal.Instant;
  until?: Temporal.Instant;
}

export interface MessagePage {
  /** The last id of the page before. */
  afterId: string | null;
  limit: number;
}

/** The newest first. */
export async function listMessages(
  trx: Trx,
  clinicId: string,
  filter: MessageFilter,
  page: MessagePage,
): Promise<MessageView[]> {
  const conditions = [sql`m.clinic_id = ${clinicId}`];
  if (filter.patientId !== undefined) conditions.push(sql`m.patient_id = ${filter.patientId}`);
  if (filter.ruleId !== undefined) conditions.push(sql`m.rule_id = ${filter.ruleId}`);
  if (filter.state !== undefined) conditions.push(sql`m.state = ${filter.state}`);
  if (filter.channel !== undefined) conditions.push(sql`m.channel = ${filter.channel}`);
  if (filter.from !== undefined) conditions.push(sql`m.scheduled_at >= ${filter.from}`);
  if (filter.until !== undefined) conditions.push(sql`m.scheduled_at < ${filter.until}`);
  if (page.afterId !== null) conditions.push(sql`m.id < ${page.afterId}`);
  const { rows } = await sql<Row>`
    select ${columns}
    from messages m join patients p on p.clinic_id = ${clinicId} and p.id = m.patient_id
    where ${sql.join(conditions, sql` and `)}
    order by m.id desc limit ${page.limit}`.execute(trx);
  return rows.map(toView);
}

export interface AttemptView {
  attemptNo: number;
  provider: string;
  startedAt: Temporal.Instant;
  finishedAt: Temporal.Instant | null;
  outcome: 'accepted' | 'rejected' | 'unknown' | null;
  errorClass: string | null;
  providerCode: string | null;
  httpStatus: number | null;
}

export interface ReceiptView {
  status: string;
  errorClass: string | null;
  providerCode: string | null;
  occurredAt: Temporal.Instant;
  receivedAt: Temporal.Instant;
}

export interface MessageWithHistory extends MessageView {
  attempts: AttemptView[];
  receipts: ReceiptView[];
}

/** One message with every call that was made for it, and all that its provider told. */
export async function findMessage(
  trx: Trx,
  clinicId: string,
  messageId: string,
): Promise<MessageWithHistory | null> {
  const { rows } = await sql<Row>`
    select ${columns}
    from messages m join patients p on p.clinic_id = ${clinicId} and p.id = m.patient_id
    where m.clinic_id = ${clinicId} and m.id = ${messageId}`.execute(trx);
  const [row] = rows;
  if (row === undefined) return null;
  const { rows: attempts } = await sql<AttemptView>`
    select a.attempt_no as "attemptNo", a.provider, a.started_at as "startedAt",
      coalesce(a.finished_at, m.sent_at) as "finishedAt",
      coalesce(a.outcome, case when m.sent_at is not null then 'accepted' end) as outcome,
      a.error_class as "errorClass", a.provider_code as "providerCode", a.http_status as "httpStatus"
    from attempts a
    left join messages m on m.clinic_id = a.clinic_id and m.id = a.message_id and m.attempt_no = a.attempt_no
    where a.clinic_id = ${clinicId} and a.message_id = ${messageId} order by a.attempt_no`.execute(
    trx,
  );
  const { rows: receipts } = await sql<ReceiptView>`
    select status, error_class as "errorClass", provider_code as "providerCode", occurred_at as "occurredAt",
      received_at as "receivedAt"
    from receipts where clinic_id = ${clinicId} and message_id = ${messageId}
    order by received_at, dedupe_key`.execute(trx);
  return { ...toView(row), attempts, receipts };
}

/** What lies in a patient's inbox: what is unread first to last, pinned until it is read. */
export async function listInbox(
  trx: Trx,
  clinicId: string,
  patientId: string,
  page: MessagePage,
): Promise<MessageView[]> {
  const after = page.afterId === null ? sql`` : sql`and m.id < ${page.afterId}`;
  const { rows } = await sql<Row>`
    select ${columns}
    from messages m join patients p on p.clinic_id = ${clinicId} and p.id = m.patient_id
    where m.clinic_id = ${clinicId} and m.patient_id = ${patientId} and m.channel = 'inbox'
      and m.state in ('delivered', 'read') ${after}
    order by m.id desc limit ${page.limit}`.execute(trx);
  return rows.map(toView);
}

/** @returns whether the patient has such a message; one that was read stays read since then. */
export async function markInboxRead(
  trx: Trx,
  clinicId: string,
  patientId: string,
  messageId: string,
  now: Temporal.Instant,
): Promise<boolean> {
  const { rows } = await sql`
    update messages set state = 'read', read_at = coalesce(read_at, ${now}), updated_at = ${now}
    where clinic_id = ${clinicId} and id = ${messageId} and patient_id = ${patientId} and channel = 'inbox'
      and state in ('delivered', 'read')
    returning id`.execute(trx);
  return rows.length > 0;
}
