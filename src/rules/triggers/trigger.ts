import { type RawBuilder, sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import { type ColumnTypes, rowSet } from '../../database/row-set.ts';
import type { Fault } from '../../errors.ts';
import type { Guard } from '../../outbox/guard.ts';
import type { RuleDefinition, Trigger } from '../rule.ts';
import type { DueWindow, Slot } from './due-slots.ts';

/** What makes a patient due. A trigger is one file with one of these, and one line in `triggers.ts`. */
export interface TriggerRow {
  /** The fields of a rule's `trigger` that mean something to it. */
  fields: readonly (keyof Trigger)[];
  /** What is wrong with them, beyond the schema. */
  check(definition: RuleDefinition): Fault[];
  /** Whether a rule of its kind is about an appointment that is still ahead. */
  isAhead(trigger: Trigger): boolean;
  /** Whether `sendAt` is 10:00 unless told. */
  hasDay(trigger: Trigger): boolean;
  /** Whether it is, also where the rule is transactional: a day has no instant of its own. */
  needsTime?: true;
  /** Whether it is about its very day: said weeks later it would be wrong. */
  isGreeting?: true;
  /** Whether being booked makes nobody due, whatever the rule's purpose. */
  excludesBooked?: true;
  /** Who is due in the window, as SQL; null when nobody can be. */
  select(trx: Trx, question: Question): Promise<Selection | null>;
  /** When it is too late for the first step. */
  expiresAt(due: DueOccasion, definition: RuleDefinition, clinicZone: string): Temporal.Instant;
  guard(anchor: Anchor, definition: RuleDefinition, clinicZone: string): Guard;
  /** The reason with which a journey ends whose anchor is no longer what it was. */
  changed: string;
  /** Where the clinic may settle another day for one patient. */
  recall?: RecallRow;
}

/** How a patient's own recall is found, whenever it is due. */
export interface RecallRow {
  /** What these patients would be due by: the last of each scope, unless asked as it was known. */
  anchors(trx: Trx, question: RecallQuestion): Promise<RecallAnchor[]>;
  /** A period after an anchor, as the trigger counts it. */
  dueAt(anchor: RecallAnchor, after: string | undefined, terms: RecallTerms): Temporal.Instant;
  /** Who is due at instants of their own. */
  select(question: Question, dues: readonly OwnDue[]): Selection;
}

export type RecallQuestion = Omit<Question, 'window' | 'patientIds'> & {
  patientIds: readonly string[];
};

export interface RecallTerms {
  definition: RuleDefinition;
  clinicZone: string;
}

export interface RecallAnchor {
  patientId: string;
  occurrence: string;
  /** The instant, or the day. */
  at: string;
  patientZone: string | null;
}

export interface OwnDue {
  patientId: string;
  occurrence: string;
  dueMs: number;
  /** The clinic's local day of it. */
  dueDay: string;
}

/** Where the due instants of a selection come from: the relation `s` and what is read of it. */
export interface Dues {
  join: RawBuilder<unknown>;
  where: RawBuilder<unknown>;
  dueAt: RawBuilder<Temporal.Instant>;
  dueDay: RawBuilder<string>;
  dueDays: string[];
}

const ownDueTypes: ColumnTypes<OwnDue> = {
  patientId: 'uuid',
  occurrence: 'text',
  dueMs: 'epoch_ms',
  dueDay: 'date',
};

/** For patients `p` whose occurrences are due at instants of their own. */
export function ownDues(dues: readonly OwnDue[], occurrence: RawBuilder<string>): Dues {
  return {
    join: sql`join ${rowSet<OwnDue>(dues, ownDueTypes, 's')}
      on s."patientId" = p.id and s.occurrence = ${occurrence}`,
    where: sql`true`,
    dueAt: sql`s."dueMs"`,
    dueDay: sql`s."dueDay"`,
    dueDays: [...new Set(dues.map(({ dueDay }) => dueDay))],
  };
}

export interface Question {
  clinicId: string;
  clinicZone: string;
  definition: RuleDefinition;
  window: DueWindow;
  /** Null for everybody, by index; else these patients. */
  patientIds: readonly string[] | null;
  /** Only what had happened by the due instant: for days that are past. */
  asKnown?: boolean;
}

/**
 * The pieces of one query over the patient `p`: `from` joins what the trigger needs, and the others are
 * expressions in its terms.
 */
export interface Selection {
  from: RawBuilder<unknown>;
  where: RawBuilder<unknown>;
  occurrence: RawBuilder<string>;
  anchor: RawBuilder<Anchor>;
  dueAt: RawBuilder<Temporal.Instant>;
  dueDay: RawBuilder<string>;
  /** Every local day that `dueDay` can be. */
  dueDays: string[];
}

/** What a journey counts from, as it is stored with it. */
export interface Anchor {
  kind:
    | 'visit'
    | 'appointment'
    | 'birthday'
    | 'calendar'
    | 'event'
    | 'patient'
    | 'treatment'
    | 'data-check';
  /** The instant, or the day. */
  at: string;
  source?: string;
  id?: string;
  scope?: 'any' | 'same-practitioner' | 'same-service';
  practitionerId?: string | null;
  serviceIds?: string[];
  revision?: number;
  zone?: string | null;
  /** When the appointment was called off. */
  cancelledAt?: string;
  /** When the appointment was made. */
  bookedAt?: string;
  /** The step of a treatment. */
  step?: string;
  /** The field whose value is asked about. */
  field?: string;
  /** When the last appointment is that stands, or stood, in the way. */
  bookedUntil?: string;
  /** Since when none does, after one did. */
  freedAt?: string;
  /** What it still waited for when it ended. */
  waitedFor?: string;
  /** What a delay is about, and when the patient is expected now. */
  delayed?: {
    source: string;
    id: string;
    revision: number;
    startAt: string;
    expectedAt: string;
    zone: string | null;
  };
}

export interface DueOccasion {
  dueAt: Temporal.Instant;
  anchor: Anchor;
  patientZone: string | null;
}

/** `s (anchor_from, anchor_until, zone, due_at, shift_ms, due_day, preference, period)`; arrays go as text on both engines. */
export function slotsTable(slots: readonly Slot[]): RawBuilder<unknown> {
  return sql`unnest(
    ${slots.map((slot) => slot.from.toString())}::text[]::timestamptz[],
    ${slots.map((slot) => slot.until.toString())}::text[]::timestamptz[],
    ${slots.map((slot) => slot.zone)}::text[],
    ${slots.map(({ due }) => ('at' in due ? due.at.toString() : null))}::text[]::timestamptz[],
    ${slots.map(({ due }) => ('shiftMs' in due ? String(due.shiftMs) : null))}::text[]::bigint[],
    ${slots.map((slot) => slot.dueDay)}::text[]::date[],
    ${slots.map((slot) => slot.wish?.preference ?? null)}::text[],
    ${slots.map((slot) => slot.wish?.period ?? null)}::text[]
  ) as s (anchor_from, anchor_until, zone, due_at, shift_ms, due_day, preference, period)`;
}

/** The span of all anchors, for the index. */
export function anchorSpan(slots: readonly Slot[]): {
  from: Temporal.Instant;
  until: Temporal.Instant;
} {
  const instants = slots.flatMap((slot) => [slot.from, slot.until]).sort(Temporal.Instant.compare);
  const [from, until] = [instants[0], instants.at(-1)];
  if (from === undefined || until === undefined) throw new Error('There are no slots');
  return { from, until };
}

export function dueAtOf(anchor: RawBuilder<unknown>): RawBuilder<Temporal.Instant> {
  return sql`coalesce(s.due_at, ${anchor} + s.shift_ms * interval '1 millisecond')`;
}

/** Whether an appointment, whatever became of it, was on the books at that instant. */
export function wasBooked(alias: string, at: RawBuilder<unknown>): RawBuilder<boolean> {
  const of = (column: string) => sql.ref(`${alias}.${column}`);
  return sql<boolean>`(
    (${of('booked_at')} is null or ${of('booked_at')} <= ${at})
    and (${of('status')} in ('proposed', 'pending', 'booked', 'arrived', 'checked-in', 'fulfilled', 'noshow')
      or (${of('status')} = 'cancelled' and ${of('occurred_at')} > ${at})))`;
}

export function dueDaysOf(slots: readonly Slot[]): string[] {
  return [...new Set(slots.map((slot) => slot.dueDay))];
}

/** True for all when nobody is asked for by name. */
export function isOneOf(
  column: RawBuilder<unknown>,
  ids: readonly string[] | null,
): RawBuilder<unknown> {
  return ids === null ? sql`true` : sql`${column} = any(${[...ids]}::uuid[])`;
}

/** True for all when the list is absent or empty. */
export function isListed(
  column: RawBuilder<unknown>,
  ids: readonly string[] | undefined,
): RawBuilder<unknown> {
  return ids?.length ? sql`${column} = any(${[...ids]}::text[])` : sql`true`;
}

export function overlaps(
  column: RawBuilder<unknown>,
  ids: readonly string[] | undefined,
): RawBuilder<unknown> {
  return ids?.length ? sql`${column} && ${[...ids]}::text[]` : sql`true`;
}

/** An id as occurrences spell it: bare in the default source. */
export function hostIdText(alias: string): RawBuilder<string> {
  const [source, id] = [sql.ref(`${alias}.source`), sql.ref(`${alias}.external_id`)];
  return sql`case when ${source} = 'mis' then '' else ${source} || '~' end || ${id}`;
}

/** The zones patients live in, the clinic's first; steps from zone to zone through the index. */
export async function patientZones(trx: Trx, question: Question): Promise<string[]> {
  const { clinicId, clinicZone, patientIds } = question;
  const { rows } = await (patientIds === null
    ? sql<{ time_zone: string }>`
        with recursive zones as (
          (select time_zone from patients where clinic_id = ${clinicId} and time_zone is not null
           order by time_zone limit 1)
          union all
          select (select time_zone from patients
                  where clinic_id = ${clinicId} and time_zone is not null and time_zone > zones.time_zone
                  order by time_zone limit 1)
          from zones where zones.time_zone is not null
        )
        select time_zone from zones where time_zone is not null`
    : sql<{ time_zone: string }>`
        select distinct time_zone from patients
        where clinic_id = ${clinicId} and id = any(${[...patientIds]}::uuid[]) and time_zone is not null`
  ).execute(trx);
  return [...new Set([clinicZone, ...rows.map((row) => row.time_zone)])];
}
