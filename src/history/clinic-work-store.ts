import { sql } from 'kysely';
import type { Db, Trx } from '../database/connect.ts';

/** What a background role does for a clinic. */
export type WorkKind = 'plan' | 'dispatch' | 'reconcile' | 'webhook' | 'desk';

/**
 * Lowers the instant at which a clinic wants serving, in the transaction that makes the work: it is
 * either committed with it or not at all. Whoever wakes several kinds does so in the order dispatch, plan,
 * reconcile, so that no two wait for each other. Webhooks and the desk are woken by the database, at the commit.
 */
export async function wakeClinic(
  trx: Trx,
  clinicId: string,
  kind: WorkKind,
  at: Temporal.Instant,
): Promise<void> {
  await sql`
    insert into clinic_work (clinic_id, kind, next_at) values (${clinicId}, ${kind}, ${at})
    on conflict (clinic_id, kind) do update set next_at = least(clinic_work.next_at, excluded.next_at)
    where clinic_work.next_at is null or clinic_work.next_at > excluded.next_at`.execute(trx);
}

/**
 * Sets the instant anew after a round; `earliest` answers when the clinic's remaining work of that kind
 * is due, null when there is none. The row is locked before `earliest` looks, so that work committed
 * meanwhile is either seen by it or lowers the instant afterwards.
 */
export async function rescheduleClinic(
  trx: Trx,
  clinicId: string,
  kind: WorkKind,
  earliest: () => Promise<Temporal.Instant | null>,
): Promise<void> {
  await sql`
    insert into clinic_work (clinic_id, kind) values (${clinicId}, ${kind})
    on conflict (clinic_id, kind) do update set kind = excluded.kind`.execute(trx);
  const at = await earliest();
  await sql`update clinic_work set next_at = ${at} where clinic_id = ${clinicId} and kind = ${kind}`.execute(
    trx,
  );
}

/**
 * Picks the live clinics whose work of that kind is due, longest unserved first, and notes that they
 * are served now. Two replicas that ask at once get different clinics.
 */
export async function claimClinics(
  db: Db,
  kind: WorkKind,
  now: Temporal.Instant,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ clinic_id: string }>`
    with due as (
      select w.clinic_id from clinic_work w join clinics c on c.id = w.clinic_id and c.mode = 'live'
      where w.kind = ${kind} and w.next_at <= ${now}
      order by w.served_at, w.clinic_id
      limit ${limit}
      for update of w skip locked
    )
    update clinic_work w set served_at = clock_timestamp()
    from due where w.clinic_id = due.clinic_id and w.kind = ${kind}
    returning w.clinic_id`.execute(db);
  return rows.map((row) => row.clinic_id);
}

/** How many clinics wait to be served, by kind of work: how far the background roles are behind. */
export async function countWaitingClinics(
  db: Db,
  now: Temporal.Instant,
): Promise<Record<WorkKind, number>> {
  const { rows } = await sql<{ kind: WorkKind; count: number }>`
    select w.kind, count(*)::int as count
    from clinic_work w join clinics c on c.id = w.clinic_id and c.mode = 'live'
    where w.next_at <= ${now} group by w.kind`.execute(db);
  return {
    plan: 0,
    dispatch: 0,
    reconcile: 0,
    webhook: 0,
    desk: 0,
    ...Object.fromEntries(rows.map((row) => [row.kind, row.count])),
  };
}
