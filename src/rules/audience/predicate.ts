import { type RawBuilder, sql } from 'kysely';
import type { TSchema } from 'typebox';
import { addToDay, startOfDay } from '../../local-time.ts';

/**
 * One question about a patient. Its SQL speaks of the patient `p` and of the candidate `c`, whose `due_at`
 * and `due_day` (the clinic's local day) are the moment that the question is about: an age on that day, an
 * appointment after that instant. So the answer depends on what is known, never on when it is asked.
 */
export interface Predicate {
  schema: TSchema;
  /** What is wrong with a value that fits the schema; null when nothing is. */
  check?(value: never): string | null;
  where(value: never, asOf: AsOf): RawBuilder<boolean>;
  /** What is seen, as SQL for one JSON value; for explain. */
  seen(asOf: AsOf, value: never): RawBuilder<unknown>;
}

export interface AsOf {
  clinicId: string;
  zone: string;
  currency: string;
  /** The local days that `c.due_day` may be. */
  dueDays: readonly string[];
  /** What the segments ask that the audience names. */
  segments?: ReadonlyMap<string, unknown>;
  /** Whether the patient belongs to one; the compiler adds it. */
  ofSegment?(name: string): RawBuilder<boolean>;
}

/** Gives a predicate's functions their own value type; the compiler calls them with checked values. */
export function predicate<V>(row: {
  schema: TSchema;
  check?(value: V): string | null;
  where(value: V, asOf: AsOf): RawBuilder<boolean>;
  seen(asOf: AsOf, value: V): RawBuilder<unknown>;
}): Predicate {
  return row as unknown as Predicate;
}

/** The start of the local day that lies a calendar period before the due day, computed by Temporal. */
export function startBefore(asOf: AsOf, period: string): RawBuilder<Temporal.Instant> {
  const back = Temporal.Duration.from(period).negated();
  const starts = asOf.dueDays.map((day) => startOfDay(addToDay(day, back), asOf.zone).toString());
  return sql<Temporal.Instant>`(
    select s.at from unnest(${[...asOf.dueDays]}::text[], ${starts}::text[]::timestamptz[]) as s (day, at)
    where s.day = c.due_day::text)`;
}

/** One value of the patient's last attendance up to the due instant. */
export function ofLastAttendance(asOf: AsOf, column: string): RawBuilder<unknown> {
  return sql`(
    select a.${sql.ref(column)} from attendances a
    where a.clinic_id = ${asOf.clinicId} and a.patient_id = p.id and a.anchor_at <= c.due_at
    order by a.anchor_at desc, a.occurrence desc limit 1)`;
}

/** Booked and not yet come about. */
export const bookedStatuses = ['proposed', 'pending', 'booked', 'arrived', 'checked-in'] as const;
