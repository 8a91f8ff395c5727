import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { type ColumnTypes, rowSet } from '../database/row-set.ts';

/** Whom a rule would have written to, and until when a visit would have counted as brought by it. */
export interface Recipient {
  patientId: string;
  dueMs: number;
  untilMs: number;
}

const recipientTypes: ColumnTypes<Recipient> = {
  patientId: 'uuid',
  dueMs: 'epoch_ms',
  untilMs: 'epoch_ms',
};

export interface Returned {
  returned: number;
  /** Nothing of care or marketing had left for them between the due instant and the visit. */
  returnedAnyway: number;
}

/** How many of them came in that time, by what is stored. */
export async function countReturned(
  trx: Trx,
  clinicId: string,
  recipients: readonly Recipient[],
): Promise<Returned> {
  if (recipients.length === 0) return { returned: 0, returnedAnyway: 0 };
  const { rows } = await sql<Returned>`
    select count(*)::int as returned,
      count(*) filter (where not exists (
        select from messages m
        where m.clinic_id = ${clinicId} and m.patient_id = r."patientId" and m.purpose in ('care', 'marketing')
          and m.sent_at >= r."dueMs" and m.sent_at < came.at))::int as "returnedAnyway"
    from ${rowSet<Recipient>(recipients, recipientTypes, 'r')}
    cross join lateral (
      select min(coalesce(a.started_at, a.anchor_at)) as at from attendances a
      where a.clinic_id = ${clinicId} and a.patient_id = r."patientId" and a.anchor_at >= r."dueMs"
        and coalesce(a.started_at, a.anchor_at) >= r."dueMs" and coalesce(a.started_at, a.anchor_at) < r."untilMs") came
    where came.at is not null`.execute(trx);
  return rows[0] ?? { returned: 0, returnedAnyway: 0 };
}
