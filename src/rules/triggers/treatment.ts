import { type RawBuilder, sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import { addPeriod, addToDay, anchorDaysFor, toInstant } from '../../local-time.ts';
import type { Guard } from '../../outbox/guard.ts';
import { daySlots, morning } from './day-slots.ts';
import { checkPeriod } from './field-checks.ts';
import {
  type Anchor,
  type Dues,
  hostIdText,
  isListed,
  isOneOf,
  ownDues,
  patientZones,
  type Question,
  type RecallAnchor,
  type RecallQuestion,
  type RecallTerms,
  type Selection,
  type TriggerRow,
} from './trigger.ts';

/** The next step of a treatment plan is overdue: the day after it was to be done, or as the rule says. */
export const treatmentTrigger: TriggerRow = {
  fields: ['after', 'services'],
  check: ({ trigger }) => checkPeriod(trigger.after, '/trigger/after', { days: true }),
  isAhead: () => false,
  hasDay: () => true,
  needsTime: true,
  select: selectTreatments,
  expiresAt: ({ dueAt }, { catchUp }, clinicZone) =>
    addPeriod(dueAt, catchUp ?? 'P14D', clinicZone),
  guard: ({ source, id, step }: Anchor): Guard => ({
    anchor: { kind: 'treatment', source: source ?? '', id: id ?? '', step: step ?? '' },
  }),
  changed: 'treatment-changed',
  recall: {
    anchors: findTreatmentAnchors,
    dueAt,
    select: (question, dues) => treatmentSelection(question, ownDues(dues, occurrence)),
  },
};

const overdue = 'P1D';

async function selectTreatments(trx: Trx, question: Question): Promise<Selection | null> {
  const { clinicZone, definition } = question;
  const { after = overdue } = definition.trigger;
  const zones = await patientZones(trx, question);
  const slots = daySlots(zones, question).flatMap((slot) =>
    anchorDaysFor(slot.day, after).map((dueOn) => ({ ...slot, dueOn })),
  );
  if (slots.length === 0) return null;
  const days = slots.map(({ dueOn }) => dueOn).sort();
  return treatmentSelection(question, {
    join: sql`
      join unnest(
        ${slots.map((slot) => slot.zone)}::text[], ${slots.map((slot) => slot.dueOn)}::text[]::date[],
        ${slots.map((slot) => slot.at.toString())}::text[]::timestamptz[], ${slots.map((slot) => slot.dueDay)}::text[]::date[]
      ) as s (zone, due_on, due_at, due_day)
        on t.next_due_on = s.due_on and coalesce(p.time_zone, ${clinicZone}) = s.zone`,
    where: sql`t.next_due_on >= ${days[0]}::date and t.next_due_on <= ${days.at(-1)}::date`,
    dueAt: sql`s.due_at`,
    dueDay: sql`s.due_day`,
    dueDays: [...new Set(slots.map((slot) => slot.dueDay))],
  });
}

const occurrence = sql<string>`'treatment:' || ${hostIdText('t')} || ':' || t.next_step`;

async function findTreatmentAnchors(trx: Trx, question: RecallQuestion): Promise<RecallAnchor[]> {
  const { clinicId } = question;
  const { rows } = await sql<RecallAnchor>`
    select t.patient_id as "patientId", ${occurrence} as occurrence, t.next_due_on as at, p.time_zone as "patientZone"
    from treatments t
    join patients p on p.clinic_id = ${clinicId} and p.id = t.patient_id
    where ${isCounted(question)} and t.next_due_on is not null
    order by t.patient_id, t.next_due_on, 2`.execute(trx);
  return rows;
}

function dueAt(
  { at, patientZone }: RecallAnchor,
  after: string | undefined,
  { definition, clinicZone }: RecallTerms,
): Temporal.Instant {
  const day = addToDay(at, after ?? overdue);
  return toInstant(day, definition.sendAt ?? morning, patientZone ?? clinicZone);
}

function treatmentSelection(question: Question, { join, where, ...dues }: Dues): Selection {
  const { clinicId, patientIds } = question;
  return {
    from: sql`
      treatments t
      join patients p on p.clinic_id = ${clinicId} and p.id = t.patient_id
      ${join}`,
    where: sql`${isCounted(question)} and ${where} and ${isOneOf(sql`p.id`, patientIds)}`,
    occurrence,
    anchor: sql<Anchor>`jsonb_build_object('kind', 'treatment', 'source', t.source, 'id', t.external_id,
      'step', t.next_step, 'at', t.next_due_on)`,
    ...dues,
  };
}

function isCounted({
  clinicId,
  definition: { trigger },
  patientIds,
}: Pick<Question, 'clinicId' | 'definition' | 'patientIds'>): RawBuilder<unknown> {
  return sql`
    t.clinic_id = ${clinicId} and ${isOneOf(sql`t.patient_id`, patientIds)}
    and ${isListed(sql`t.next_service`, trigger.services)}`;
}
