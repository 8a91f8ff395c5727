import { sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import { addPeriod } from '../../local-time.ts';
import { slotsAfter } from './due-slots.ts';
import { checkPeriod, isDayPeriod } from './field-checks.ts';
import {
  anchorSpan,
  dueAtOf,
  dueDaysOf,
  isOneOf,
  patientZones,
  type Question,
  type Selection,
  slotsTable,
  type TriggerRow,
} from './trigger.ts';

/** A new patient is welcomed once. */
export const patientTrigger: TriggerRow = {
  fields: ['after'],
  check: ({ trigger }) => checkPeriod(trigger.after, '/trigger/after'),
  isAhead: () => false,
  hasDay: ({ after }) => isDayPeriod(after),
  select: selectNewPatients,
  expiresAt: ({ dueAt }, { catchUp }, clinicZone) => addPeriod(dueAt, catchUp ?? 'P3D', clinicZone),
  guard: () => ({}),
  changed: 'patient-changed',
};

async function selectNewPatients(trx: Trx, question: Question): Promise<Selection | null> {
  const { clinicId, clinicZone, definition, patientIds, window } = question;
  const { sendAt, trigger } = definition;
  const zones = sendAt === null ? [] : await patientZones(trx, question);
  const slots = slotsAfter({ after: trigger.after ?? 'PT0S', sendAt, clinicZone, zones, window });
  if (slots.length === 0) return null;
  const span = anchorSpan(slots);
  return {
    from: sql`
      patients p
      join ${slotsTable(slots)}
        on p.created_at >= s.anchor_from and p.created_at < s.anchor_until
        and (s.zone is null or s.zone = coalesce(p.time_zone, ${clinicZone}))`,
    where: sql`
      p.clinic_id = ${clinicId} and p.created_at >= ${span.from} and p.created_at < ${span.until}
      and ${isOneOf(sql`p.id`, patientIds)}`,
    occurrence: sql`'patient'::text`,
    anchor: sql`jsonb_build_object('kind', 'patient', 'at', p.created_at)`,
    dueAt: dueAtOf(sql`p.created_at`),
    dueDay: sql`s.due_day`,
    dueDays: dueDaysOf(slots),
  };
}
