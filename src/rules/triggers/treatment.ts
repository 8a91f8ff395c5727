import { sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import { addPeriod, anchorDaysFor } from '../../local-time.ts';
import type { Guard } from '../../outbox/guard.ts';
import { daySlots } from './day-slots.ts';
import { checkPeriod } from './field-checks.ts';
import {
  type Anchor,
  hostIdText,
  isListed,
  isOneOf,
  patientZones,
  type Question,
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
};

const overdue = 'P1D';

async function selectTreatments(trx: Trx, question: Question): Promise<Selection | null> {
  const { clinicId, clinicZone, definition, patientIds } = question;
  const { after = overdue, services } = definition.trigger;
  const zones = await patientZones(trx, question);
  const slots = daySlots(zones, question).flatMap((slot) =>
    anchorDaysFor(slot.day, after).map((dueOn) => ({ ...slot, dueOn })),
  );
  if (slots.length === 0) return null;
  const days = slots.map(({ dueOn }) => dueOn).sort();
  return {
    from: sql`
      treatments t
      join patients p on p.clinic_id = ${clinicId} and p.id = t.patient_id
      join unnest(
        ${slots.map((slot) => slot.zone)}::text[], ${slots.map((slot) => slot.dueOn)}::text[]::date[],
        ${slots.map((slot) => slot.at.toString())}::text[]::timestamptz[], ${slots.map((slot) => slot.dueDay)}::text[]::date[]
      ) as s (zone, due_on, due_at, due_day)
        on t.next_due_on = s.due_on and coalesce(p.time_zone, ${clinicZone}) = s.zone`,
    where: sql`
      t.clinic_id = ${clinicId} and t.next_due_on >= ${days[0]}::date and t.next_due_on <= ${days.at(-1)}::date
      and ${isOneOf(sql`t.patient_id`, patientIds)} and ${isOneOf(sql`p.id`, patientIds)}
      and ${isListed(sql`t.next_service`, services)}`,
    occurrence: sql`'treatment:' || ${hostIdText('t')} || ':' || t.next_step`,
    anchor: sql<Anchor>`jsonb_build_object('kind', 'treatment', 'source', t.source, 'id', t.external_id,
      'step', t.next_step, 'at', t.next_due_on)`,
    dueAt: sql`s.due_at`,
    dueDay: sql`s.due_day`,
    dueDays: [...new Set(slots.map((slot) => slot.dueDay))],
  };
}
