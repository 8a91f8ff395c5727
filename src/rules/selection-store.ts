import { type RawBuilder, sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { compileAudience } from './audience/audience.ts';
import { bookedStatuses } from './audience/predicate.ts';
import { duesOfRecalls, type RecallOverride } from './recall.ts';
import type { RuleDefinition } from './rule.ts';
import type { Segments } from './segment.ts';
import { segmentsFor } from './segment-store.ts';
import type { DueWindow } from './triggers/due-slots.ts';
import { type Anchor, type Selection, wasBooked } from './triggers/trigger.ts';
import { triggerOf } from './triggers/triggers.ts';

/**
 * Who is due: the one query behind planning, preview and the recall list. It joins a trigger's selection
 * with the audience, and brings what the checks look at.
 */

/** Somebody who is due, with what speaks for and against writing to them. */
export interface Occasion {
  patientId: string;
  occurrence: string;
  anchor: Anchor;
  dueAt: Temporal.Instant;
  /** The clinic's local day of `dueAt`. */
  dueDay: string;
  isDeceased: boolean;
  isActive: boolean;
  language: string | null;
  patientZone: string | null;
  preferredChannel: string | null;
  household: string | null;
  hasGuardian: boolean;
  /** The person whose contact points these are, where that is not the patient. */
  throughId?: string | null;
  sms: string | null;
  email: string | null;
  whatsapp: string | null;
  telegram: string | null;
  /** Where the backlog let it in: its `dueAt` is then of the day on which it entered. */
  entered?: { at: Temporal.Instant; wasDueAt: Temporal.Instant };
  /** The last appointment after the due instant, until which the way is not free; null where there is none or the rule does not ask. */
  appointmentAt: Temporal.Instant | null;
  /** When the first of those appointments was made. */
  bookedAt: Temporal.Instant | null;
}

export interface SelectionTerms {
  clinic: { id: string; timeZone: string; currency: string };
  definition: RuleDefinition;
  window: DueWindow;
  /** Null for everybody. */
  patientIds: readonly string[] | null;
  now: Temporal.Instant;
  /** For days that are past: what happened after the due instant is left out. */
  asKnown?: boolean;
  /** Also who is not in the audience. */
  everybody?: boolean;
  /** What the clinic has settled about single patients of this rule. */
  recalls?: readonly RecallOverride[];
  /** For those patients, where it is another one. */
  recallWindow?: DueWindow;
}

/** All at once, for given patients. */
export async function selectOccasions(trx: Trx, terms: SelectionTerms): Promise<Occasion[]> {
  const query = await occasionsQuery(trx, terms);
  if (query === null) return [];
  const { rows } = await query.execute(trx);
  return rows;
}

const batchSize = 2_000;

/** The same in batches, so that a morning with a million due patients fits into memory. */
export async function* streamOccasions(
  trx: Trx,
  terms: SelectionTerms,
): AsyncGenerator<Occasion[]> {
  const query = await occasionsQuery(trx, terms);
  if (query !== null) yield* streamRows(trx, query);
}

/** One stream at a time in a transaction. */
export async function* streamRows<Row>(trx: Trx, query: RawBuilder<Row>): AsyncGenerator<Row[]> {
  // All rows will be read, so the plan for all rows is wanted.
  await sql`set local cursor_tuple_fraction = 1`.execute(trx);
  await sql`declare due_occasions no scroll cursor for ${query}`.execute(trx);
  let isUsable = true;
  try {
    for (;;) {
      const { rows } = await fetchRows<Row>(trx);
      if (rows.length > 0) yield rows;
      if (rows.length < batchSize) break;
    }
  } catch (error) {
    isUsable = false;
    throw error;
  } finally {
    // Also where the reader has enough.
    if (isUsable) await sql`close due_occasions`.execute(trx);
  }
}

function fetchRows<Row>(trx: Trx) {
  return sql<Row>`fetch ${sql.lit(batchSize)} from due_occasions`.execute(trx);
}

/** The statement itself; null when the window can hold nobody. */
export async function occasionsQuery(
  trx: Trx,
  terms: SelectionTerms,
): Promise<RawBuilder<Occasion> | null> {
  const { clinic, definition, window, patientIds, asKnown = false, recalls = [] } = terms;
  const question = {
    clinicId: clinic.id,
    clinicZone: clinic.timeZone,
    definition,
    window,
    patientIds,
    asKnown,
  };
  const row = triggerOf(definition.trigger.type);
  const segments = await segmentsFor(trx, clinic.id, definition.audience);
  const plain = await row.select(trx, question);
  const settled = row.recall === undefined ? [] : recallsOf(recalls, patientIds);
  if (row.recall === undefined || settled.length === 0)
    return plain && compose(terms, window, plain, segments);
  const ownWindow = terms.recallWindow ?? window;
  const dues = await duesOfRecalls(trx, row.recall, question, settled, ownWindow);
  const parts = [
    plain && compose(terms, window, withoutPatients(plain, settled), segments),
    dues.length === 0
      ? null
      : compose(terms, ownWindow, row.recall.select(question, dues), segments),
  ].filter((part) => part !== null);
  return parts.length === 0 ? null : sql<Occasion>`${sql.join(parts, sql` union all `)}`;
}

function recallsOf(
  recalls: readonly RecallOverride[],
  patientIds: readonly string[] | null,
): readonly RecallOverride[] {
  if (patientIds === null || recalls.length === 0) return recalls;
  const asked = new Set(patientIds);
  return recalls.filter(({ patientId }) => asked.has(patientId));
}

function withoutPatients(selection: Selection, settled: readonly RecallOverride[]): Selection {
  const ids = settled.map(({ patientId }) => patientId);
  return { ...selection, where: sql`${selection.where} and p.id <> all(${ids}::uuid[])` };
}

function compose(
  terms: SelectionTerms,
  window: DueWindow,
  selection: Selection,
  segments: Segments,
): RawBuilder<Occasion> {
  const { clinic, definition } = terms;
  const audience = compileAudience(terms.everybody ? null : definition.audience, {
    clinicId: clinic.id,
    zone: clinic.timeZone,
    currency: clinic.currency,
    dueDays: selection.dueDays,
    segments,
  });
  return sql<Occasion>`
    select p.id as "patientId", ${selection.occurrence} as occurrence, ${selection.anchor} as anchor,
      c.due_at as "dueAt", c.due_day as "dueDay", p.deceased as "isDeceased",
      p.active and p.deleted_at is null as "isActive", p.language, p.time_zone as "patientZone",
      p.preferred_channel as "preferredChannel", p.household, p.guardian_id is not null as "hasGuardian", p.sms_address as sms, p.email_address as email,
      p.whatsapp_address as whatsapp, p.telegram_address as telegram,
      b.start_at as "appointmentAt", b.booked_at as "bookedAt"
    from ${selection.from}
    cross join lateral (select ${selection.dueAt} as due_at, ${selection.dueDay} as due_day) c
    cross join lateral (${definition.unlessBooked ? appointmentsAhead(terms) : noAppointment}) b
    where ${selection.where} and c.due_at > ${window.after} and c.due_at <= ${window.upTo}
      and p.is_known and p.replaced_by is null and ${audience}`;
}

const noAppointment = sql`select null::timestamptz as start_at, null::timestamptz as booked_at`;

function appointmentsAhead({ clinic, now, asKnown }: SelectionTerms): RawBuilder<unknown> {
  const isAhead = asKnown
    ? sql`f.start_at > c.due_at and ${wasBooked('f', sql`c.due_at`)}`
    : sql`f.start_at > greatest(c.due_at, ${now}::timestamptz) and f.status = any(${[...bookedStatuses]}::text[])`;
  return sql`
    select max(f.start_at) as start_at, min(f.booked_at) as booked_at from appointments f
    where f.clinic_id = ${clinic.id} and f.patient_id = p.id and f.deleted_at is null and ${isAhead}`;
}
