import { type RawBuilder, sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import type { Fault } from '../../errors.ts';
import { findEventType } from '../../intake/event-types.ts';
import { addPeriod, localDay } from '../../local-time.ts';
import type { Guard } from '../../outbox/guard.ts';
import type { RuleDefinition, Trigger } from '../rule.ts';
import { slotsAfter } from './due-slots.ts';
import { checkPeriod, isDayPeriod, required } from './field-checks.ts';
import {
  type Anchor,
  anchorSpan,
  type DueOccasion,
  dueAtOf,
  dueDaysOf,
  isOneOf,
  patientZones,
  type Question,
  type Selection,
  slotsTable,
  type TriggerRow,
} from './trigger.ts';

/** After something the host told: a result is ready, a friend was sent, the doctor is late. */
export const eventTrigger: TriggerRow = {
  fields: ['event', 'after', 'where'],
  check: checkEvent,
  isAhead: ({ event }) => event === delayed,
  hasDay: ({ after }) => isDayPeriod(after),
  select: selectEvents,
  expiresAt,
  guard,
  changed: 'appointment-changed',
};

/** Its patient is the appointment's, and it is worth nothing once they have been seen. */
const delayed = 'appointment.delayed';

const eventForm = /^(x-[a-z0-9][a-z0-9._-]{0,62}|[a-z]+\.[a-z]+)$/;
const conditionsMax = 20;

const comparisons = { gt: sql`>`, gte: sql`>=`, lt: sql`<`, lte: sql`<=` } as const;
type Comparison = keyof typeof comparisons;

function checkEvent({ trigger }: RuleDefinition): Fault[] {
  const { event, after, where = {} } = trigger;
  return [
    ...required(trigger, 'event'),
    ...checkPeriod(after, '/trigger/after'),
    ...(event === undefined ? [] : checkType(event)),
    ...(Object.keys(where).length > conditionsMax
      ? [fault('/trigger/where', 'too-large', `At most ${conditionsMax} conditions.`)]
      : Object.entries(where).flatMap(([name, wanted]) => checkCondition(name, wanted))),
  ];
}

function checkType(event: string): Fault[] {
  if (!eventForm.test(event)) {
    return [fault('/trigger/event', 'unknown-event', 'There is no event of this type.')];
  }
  if (findEventType(event) === null) {
    const detail = 'The host tells of no such event; its own begin with x-.';
    return [fault('/trigger/event', 'unknown-event', detail)];
  }
  if (event === 'contact.recorded') {
    const detail =
      'A host may tell of our own messages so: a follow-up of a follow-up would never end.';
    return [fault('/trigger/event', 'loop', detail)];
  }
  if (!event.endsWith('.upserted')) return [];
  const detail =
    'What an object tells has triggers of its own: patient, appointment, visit, treatment.';
  return [fault('/trigger/event', 'object-event', detail)];
}

function checkCondition(name: string, wanted: unknown): Fault[] {
  const pointer = `/trigger/where/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  const known = comparisonsIn(wanted);
  if (known === null || known.every(([, bound]) => typeof bound === 'number')) return [];
  return [fault(pointer, 'type', 'It is compared with a number.')];
}

/** `{ gt: 15 }` compares numbers; anything else must be equal. */
function comparisonsIn(wanted: unknown): [Comparison, unknown][] | null {
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)) return null;
  const entries = Object.entries(wanted);
  const isComparison = entries.length > 0 && entries.every(([name]) => name in comparisons);
  return isComparison ? (entries as [Comparison, unknown][]) : null;
}

async function selectEvents(trx: Trx, question: Question): Promise<Selection | null> {
  const { clinicId, clinicZone, definition, patientIds, window } = question;
  const { sendAt, trigger } = definition;
  const zones = sendAt === null ? [] : await patientZones(trx, question);
  const slots = slotsAfter({ after: trigger.after ?? 'PT0S', sendAt, clinicZone, zones, window });
  if (slots.length === 0) return null;
  const span = anchorSpan(slots);
  const isDelay = trigger.event === delayed;
  return {
    // An event keeps the id of its time: who was merged away is followed.
    from: sql`
      intake_events e
      join patients n on n.clinic_id = ${clinicId} and n.id = e.patient_id
      join patients p on p.clinic_id = ${clinicId} and p.id = coalesce(n.replaced_by, n.id)
      ${isDelay ? appointmentOf(clinicId) : sql``}
      join ${slotsTable(slots)}
        on e.occurred_at >= s.anchor_from and e.occurred_at < s.anchor_until
        and (s.zone is null or s.zone = coalesce(p.time_zone, ${clinicZone}))`,
    // The index leaves the upserts out; the condition is repeated so that it is used.
    where: sql`
      e.clinic_id = ${clinicId} and e.type = ${trigger.event} and e.type not like '%.upserted'
      and e.occurred_at >= ${span.from} and e.occurred_at < ${span.until} and e.outcome = 'applied'
      and ${isNamed(clinicId, patientIds)} and ${isOneOf(sql`p.id`, patientIds)}
      and ${conditionsOf(trigger)}
      ${isDelay ? sql`and a.status in ('proposed', 'pending', 'booked') and e.occurred_at < a.start_at + ${minutesLate}` : sql``}`,
    occurrence: sql`'event:' || case when e.source = 'mis' then '' else e.source || '~' end || e.event_id`,
    anchor: anchorOf(isDelay),
    dueAt: dueAtOf(sql`e.occurred_at`),
    dueDay: sql`s.due_day`,
    dueDays: dueDaysOf(slots),
  };
}

/** By the event's patient index: these, and who was merged into them. */
function isNamed(clinicId: string, patientIds: readonly string[] | null): RawBuilder<unknown> {
  if (patientIds === null) return sql`e.patient_id is not null`;
  const ids = sql`any(${[...patientIds]}::uuid[])`;
  return sql`e.patient_id = any(array(
    select o.id from patients o where o.clinic_id = ${clinicId} and o.id = ${ids}
    union all
    select o.id from patients o where o.clinic_id = ${clinicId} and o.replaced_by = ${ids}))`;
}

function conditionsOf({ where = {} }: Trigger): RawBuilder<unknown> {
  const conditions = Object.entries(where).map(([name, wanted]) => {
    const seen = sql`(e.body::jsonb -> ${name}::text)`;
    const known = comparisonsIn(wanted);
    if (known === null) return sql`${seen} = ${JSON.stringify(wanted)}::jsonb`;
    // What is no number is neither more nor less.
    return sql`case when jsonb_typeof(${seen}) = 'number' then ${sql.join(
      known.map(([name, bound]) => sql`${seen}::numeric ${comparisons[name]} ${bound}::numeric`),
      sql` and `,
    )} else false end`;
  });
  return conditions.length === 0 ? sql`true` : sql`(${sql.join(conditions, sql` and `)})`;
}

const minutesLate = sql`(e.body ->> 'minutes')::int * interval '1 minute'`;

/** The appointment that a delay is about, in the words of the event's source. */
function appointmentOf(clinicId: string): RawBuilder<unknown> {
  return sql`
    join appointments a on a.clinic_id = ${clinicId} and a.deleted_at is null and a.patient_id = p.id
      and a.source = case when strpos(e.body ->> 'id', '~') > 0 then split_part(e.body ->> 'id', '~', 1) else e.source end
      and a.external_id = case when strpos(e.body ->> 'id', '~') > 0 then split_part(e.body ->> 'id', '~', 2) else e.body ->> 'id' end`;
}

function anchorOf(isDelay: boolean): RawBuilder<Anchor> {
  const event = sql`'kind', 'event', 'source', e.source, 'id', e.event_id, 'at', e.occurred_at`;
  if (!isDelay) return sql`jsonb_build_object(${event})`;
  return sql`jsonb_build_object(${event}, 'delayed', jsonb_build_object(
    'source', a.source, 'id', a.external_id, 'revision', a.start_revision, 'startAt', a.start_at,
    'expectedAt', a.start_at + ${minutesLate}, 'zone', a.time_zone))`;
}

function expiresAt(
  { dueAt, anchor }: DueOccasion,
  { catchUp }: RuleDefinition,
  clinicZone: string,
): Temporal.Instant {
  const late = addPeriod(dueAt, catchUp ?? 'P3D', clinicZone);
  if (anchor.delayed === undefined) return late;
  const expected = Temporal.Instant.from(anchor.delayed.expectedAt);
  return Temporal.Instant.compare(late, expected) < 0 ? late : expected;
}

/** Who is on the way is told at once, at any hour of that day; on the day before, when it is polite. */
function guard({ at, delayed: late }: Anchor, _definition: RuleDefinition, zone: string): Guard {
  if (late === undefined) return {};
  const ownZone = late.zone ?? zone;
  const isOfTheDay =
    localDay(Temporal.Instant.from(at), ownZone) ===
    localDay(Temporal.Instant.from(late.startAt), ownZone);
  const { source, id, revision } = late;
  return {
    anchor: { kind: 'appointment', source, id, revision },
    ...(isOfTheDay && { sendWindow: false }),
  };
}

function fault(pointer: string, code: string, detail: string): Fault {
  return { pointer, code, detail };
}
