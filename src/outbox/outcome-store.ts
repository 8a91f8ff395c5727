import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';
import type { MessageState } from '../database/tables.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import { earlier } from '../local-time.ts';
import { callPlanner } from './call-planner.ts';
import { releaseContactDays } from './message-store.ts';
import type { Settlement } from './outcome.ts';

interface Recorded {
  id: string;
  state: MessageState;
  patientId: string;
  journeyContinues: boolean;
  nextAt: Temporal.Instant | null;
}

const settlementColumns: ColumnTypes<Settlement> = {
  id: 'uuid',
  leaseEpoch: 'int',
  attemptNo: 'int',
  state: 'text',
  reason: 'text',
  nextAt: 'text',
  isSettled: 'boolean',
  providerMessageId: 'text',
  segments: 'int',
  costMicros: 'bigint',
  costCurrency: 'text',
  outcome: 'text',
  errorClass: 'text',
  providerCode: 'text',
  httpStatus: 'int',
};

/**
 * S3: records what providers answered, fenced by lease and attempt. That a provider took a message is
 * also learnt when the lease was lost meanwhile; a receipt that came first is not undone.
 */
export async function recordOutcomes(
  trx: Trx,
  clinicId: string,
  settlements: readonly Settlement[],
  now: Temporal.Instant,
): Promise<Recorded[]> {
  if (settlements.length === 0) return [];
  const ids = settlements.map((settlement) => settlement.id);
  // What was accepted stands in the message itself: there is one such attempt, its last.
  const refused = settlements.filter(({ outcome }) => outcome !== 'accepted').map(({ id }) => id);
  const { rows } = await sql<Recorded>`
    with told as (
      select * from ${rowSet(settlements, settlementColumns, 't')}
    ), held as materialized (
      select id, state, lease_epoch, attempt_no from messages
      where clinic_id = ${clinicId} and id = any(${ids}::uuid[]) order by id for no key update
    ), fenced as materialized (
      select t.* from told t join held h on h.id = t.id
      where h.lease_epoch = t."leaseEpoch" and h.attempt_no = t."attemptNo"
        and (h.state = 'sending'
          or (t.outcome = 'accepted' and h.state in ('unknown', 'sent', 'delivered', 'read', 'failed')))
    ), attempted as (
      update attempts a set finished_at = ${now}, outcome = t.outcome, provider_message_id = t."providerMessageId",
        error_class = t."errorClass", provider_code = t."providerCode", http_status = t."httpStatus"
      from told t
      where a.clinic_id = ${clinicId} and a.message_id = any(${refused}::uuid[]) and a.message_id = t.id
        and a.attempt_no = t."attemptNo"
    )
    update messages m set
      state = case when m.state in ('sending', 'unknown') then t.state else m.state end,
      reason = case when m.state in ('sending', 'unknown') then t.reason else m.reason end,
      next_at = case when m.state in ('sending', 'unknown') then t."nextAt"::timestamptz else m.next_at end,
      lease_until = null,
      provider_message_id = coalesce(t."providerMessageId", m.provider_message_id),
      segments = coalesce(t.segments, m.segments),
      cost_micros = case when t."costMicros" is null then m.cost_micros else t."costMicros" end,
      cost_currency = case when t."costMicros" is null then m.cost_currency else t."costCurrency" end,
      sent_at = case when t.state in ('sent', 'delivered', 'read') or t.outcome = 'accepted'
        then coalesce(m.sent_at, ${now}) else m.sent_at end,
      delivered_at = case when t.state in ('delivered', 'read') then coalesce(m.delivered_at, ${now}) else m.delivered_at end,
      read_at = case when t.state = 'read' then coalesce(m.read_at, ${now}) else m.read_at end,
      settled_at = case when m.state in ('sending', 'unknown') and t."isSettled" then ${now}::timestamptz else m.settled_at end,
      updated_at = ${now}
    from fenced t
    where m.clinic_id = ${clinicId} and m.id = t.id
    returning m.id, m.state, m.patient_id as "patientId", m.journey_continues as "journeyContinues",
      m.next_at as "nextAt"`.execute(trx);
  await followUp(trx, clinicId, rows, now);
  return rows;
}

const lookedAtByReconciler: readonly MessageState[] = ['sent', 'unknown'];
const left: readonly MessageState[] = ['sent', 'delivered', 'read', 'failed', 'unknown'];

async function followUp(
  trx: Trx,
  clinicId: string,
  rows: readonly Recorded[],
  now: Temporal.Instant,
): Promise<void> {
  const failed = rows.filter((row) => row.state === 'failed');
  await releaseContactDays(
    trx,
    clinicId,
    failed.map((row) => row.id),
  );
  const looks = rows.flatMap((row) =>
    row.nextAt !== null && lookedAtByReconciler.includes(row.state) ? [row.nextAt] : [],
  );
  const concerned = rows.filter((row) => row.journeyContinues && left.includes(row.state));
  // The clinic's work rows come last, in one order.
  await callPlanner(trx, clinicId, concerned, now);
  const [first, ...others] = looks;
  if (first) await wakeClinic(trx, clinicId, 'reconcile', others.reduce(earlier, first));
}
