import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { HostId } from '../history/host-id.ts';

/** What a digest counts, with as many host ids as a page shows. */

/** Of each kind. */
export const digestIdsMax = 200;

export interface Span {
  from: Temporal.Instant;
  until: Temporal.Instant;
}

export interface AwaitedVisit {
  appointment: HostId;
  patient: HostId;
  start: Temporal.Instant;
  isConfirmed: boolean;
}

export interface AwaitedVisits {
  count: number;
  unconfirmed: number;
  visits: AwaitedVisit[];
}

/** The appointments of a span that are to come; those that nobody confirmed stand first. */
export async function findAwaited(
  trx: Trx,
  clinicId: string,
  { from, until }: Span,
): Promise<AwaitedVisits> {
  const { rows } = await sql<Omit<AwaitedVisits, 'visits'> & { visits: Shown[] }>`
    with awaited as (
      select a.source, a.external_id, a.start_at, coalesce(a.confirmation = 'accepted', false) as confirmed,
        p.source as patient_source, p.external_id as patient_id
      from appointments a join patients p on p.clinic_id = ${clinicId} and p.id = a.patient_id
        and p.deleted_at is null and not p.deceased
      where a.clinic_id = ${clinicId} and a.start_at >= ${from} and a.start_at < ${until} and a.deleted_at is null
        and a.status in ('proposed', 'pending', 'booked') and a.confirmation is distinct from 'declined'
    )
    select count(*)::int as count, count(*) filter (where not confirmed)::int as unconfirmed,
      (select coalesce(jsonb_agg(to_jsonb(s) order by s.confirmed, s.start_at, s.external_id), '[]') from (
        select * from awaited order by confirmed, start_at, external_id limit ${digestIdsMax}) s) as visits
    from awaited`.execute(trx);
  const [found] = rows;
  if (found === undefined) return { count: 0, unconfirmed: 0, visits: [] };
  return { ...found, visits: found.visits.map(toVisit) };
}

interface Shown {
  source: string;
  external_id: string;
  start_at: string;
  confirmed: boolean;
  patient_source: string;
  patient_id: string;
}

function toVisit(row: Shown): AwaitedVisit {
  return {
    appointment: { source: row.source, externalId: row.external_id },
    patient: { source: row.patient_source, externalId: row.patient_id },
    start: Temporal.Instant.from(row.start_at),
    isConfirmed: row.confirmed,
  };
}

export interface BirthdaysFound {
  count: number;
  patients: HostId[];
}

export async function findBirthdays(
  trx: Trx,
  clinicId: string,
  days: readonly { on: string; birthDay: number }[],
): Promise<BirthdaysFound> {
  const { rows } = await sql<BirthdaysFound>`
    with kept as (
      select d.kept_on, p.id, p.source, p.external_id
      from unnest(${days.map((day) => day.on)}::date[], ${days.map((day) => day.birthDay)}::int[]) as d (kept_on, birth_day)
      join patients p on p.clinic_id = ${clinicId} and p.birth_day = d.birth_day
        and p.is_known and p.deleted_at is null and p.replaced_by is null and p.active and not p.deceased
      where extract(year from p.birth_date) <= extract(year from d.kept_on)
    )
    select count(*)::int as count,
      (select coalesce(jsonb_agg(jsonb_build_object('source', s.source, 'externalId', s.external_id)
        order by s.kept_on, s.id), '[]') from (
        select * from kept order by kept_on, id limit ${digestIdsMax}) s) as patients
    from kept`.execute(trx);
  return rows[0] ?? { count: 0, patients: [] };
}

export interface OpenTasks {
  open: number;
  overdue: number;
  taskIds: string[];
}

/** All that is open; overdue is what was due before that instant. */
export async function findOpenTasks(
  trx: Trx,
  clinicId: string,
  overdueBefore: Temporal.Instant,
): Promise<OpenTasks> {
  const { rows } = await sql<OpenTasks>`
    select count(*)::int as open, count(*) filter (where due_at < ${overdueBefore})::int as overdue,
      coalesce((select jsonb_agg(s.id order by s.due_at, s.id) from (
        select id, due_at from tasks where clinic_id = ${clinicId} and state = 'open'
        order by due_at, id limit ${digestIdsMax}) s), '[]') as "taskIds"
    from tasks where clinic_id = ${clinicId} and state = 'open'`.execute(trx);
  return rows[0] ?? { open: 0, overdue: 0, taskIds: [] };
}

export interface Feedback {
  count: number;
  /** Null where there is no mark. */
  lowest: number | null;
}

/** Marks that patients gave by a link, and reviews that the host told of. */
export async function findFeedback(
  trx: Trx,
  clinicId: string,
  { from, until }: Span,
): Promise<Feedback> {
  const { rows } = await sql<Feedback>`
    select count(*)::int as count, min(score)::float8 as lowest from (
      select score::numeric from replies
      where clinic_id = ${clinicId} and score is not null and received_at >= ${from} and received_at < ${until}
      union all
      select case when jsonb_typeof(body::jsonb -> 'score') = 'number' then (body::jsonb ->> 'score')::numeric end
      from intake_events
      where clinic_id = ${clinicId} and type = 'review.received' and type not like '%.upserted'
        and occurred_at >= ${from} and occurred_at < ${until}
    ) marks`.execute(trx);
  return rows[0] ?? { count: 0, lowest: null };
}

export async function countWaitingThreads(trx: Trx, clinicId: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from threads where clinic_id = ${clinicId} and waiting_since is not null`.execute(
    trx,
  );
  return rows[0]?.count ?? 0;
}
