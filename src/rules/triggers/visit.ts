import { sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import { addPeriod, parsePeriod } from '../../local-time.ts';
import type { Guard } from '../../outbox/guard.ts';
import { slotsAfter } from './due-slots.ts';
import { checkPeriod, isDayPeriod, required } from './field-checks.ts';
import {
  type Anchor,
  anchorSpan,
  dueAtOf,
  dueDaysOf,
  isListed,
  isOneOf,
  overlaps,
  patientZones,
  type Question,
  type Selection,
  slotsTable,
  type TriggerRow,
} from './trigger.ts';

/** After the last visit of its scope: a recall half a year later, a follow-up in the evening. */
export const visitTrigger: TriggerRow = {
  fields: ['after', 'services', 'practitioners', 'facts', 'scope'],
  check: ({ trigger, sendAt }) => [
    ...(sendAt === null ? required(trigger, 'after') : []),
    ...checkPeriod(trigger.after, '/trigger/after'),
  ],
  isAhead: () => false,
  hasDay: ({ after }) => isDayPeriod(after),
  select: selectVisits,
  expiresAt: ({ dueAt }, { trigger, catchUp }, clinicZone) =>
    addPeriod(dueAt, catchUp ?? (isFollowUp(trigger.after) ? 'P3D' : 'P14D'), clinicZone),
  guard: visitGuard,
  changed: 'visit-changed',
};

const longestFollowUp = Temporal.Duration.from('P7D');
const anyDay = Temporal.PlainDate.from('2000-01-01');

/** What follows a visit within the week is about that visit, and stale sooner than a recall. */
function isFollowUp(after: string | undefined): boolean {
  const period = parsePeriod(after ?? 'P0D');
  if (typeof period === 'string') return false;
  return Temporal.Duration.compare(period, longestFollowUp, { relativeTo: anyDay }) < 0;
}

/** A later visit of the scope answers it. */
export function visitGuard(anchor: Anchor): Guard {
  return {
    anchor: {
      kind: 'visit',
      source: anchor.source ?? '',
      id: anchor.id ?? '',
      at: anchor.at,
      scope: anchor.scope ?? 'any',
      ...(anchor.practitionerId && { practitionerId: anchor.practitionerId }),
      ...(anchor.serviceIds && { serviceIds: anchor.serviceIds }),
    },
  };
}

/** The visits that no later one of their scope replaced. */
export async function selectVisits(trx: Trx, question: Question): Promise<Selection | null> {
  const { clinicId, clinicZone, definition, patientIds, window, asKnown } = question;
  const { trigger, sendAt } = definition;
  const after = trigger.after ?? 'P0D';
  const zones = sendAt === null ? [] : await patientZones(trx, question);
  const slots = slotsAfter({ after, sendAt, clinicZone, zones, window });
  if (slots.length === 0) return null;
  const span = anchorSpan(slots);
  const services = trigger.services ?? [];
  const counted = services.length
    ? sql`array(select unnest(a.service_ids) intersect select unnest(${services}::text[]) order by 1)`
    : sql`a.service_ids`;
  const scope = trigger.scope ?? 'any';
  const isSameScope = {
    any: sql`true`,
    'same-practitioner': sql`l.practitioner_id is not distinct from a.practitioner_id`,
    'same-service': sql`(l.service_ids && ${counted} or (l.service_ids = '{}' and ${counted} = '{}'))`,
  }[scope];
  return {
    from: sql`
      attendances a
      join patients p on p.clinic_id = ${clinicId} and p.id = a.patient_id
      join ${slotsTable(slots)}
        on a.anchor_at >= s.anchor_from and a.anchor_at < s.anchor_until
        and (s.zone is null or s.zone = coalesce(p.time_zone, ${clinicZone}))`,
    where: sql`
      a.clinic_id = ${clinicId} and a.anchor_at >= ${span.from} and a.anchor_at < ${span.until}
      and ${isOneOf(sql`a.patient_id`, patientIds)} and ${isOneOf(sql`p.id`, patientIds)}
      and ${overlaps(sql`a.service_ids`, services)}
      and ${isListed(sql`a.practitioner_id`, trigger.practitioners)}
      and ${overlaps(sql`a.facts`, trigger.facts)}
      and not exists (
        select from attendances l
        where l.clinic_id = ${clinicId} and l.patient_id = a.patient_id and l.anchor_at >= a.anchor_at
          and (l.anchor_at > a.anchor_at or l.occurrence > a.occurrence) and ${isSameScope}
          and ${asKnown ? sql`l.anchor_at <= ${dueAtOf(sql`a.anchor_at`)}` : sql`true`}
        -- Looked up for each visit that is due; without the offset it becomes a join with the whole history.
        offset 0)`,
    occurrence: sql`a.occurrence`,
    anchor: sql`jsonb_strip_nulls(jsonb_build_object(
      'kind', 'visit', 'source', a.source, 'id', a.external_id, 'at', a.anchor_at, 'scope', ${scope}::text,
      'practitionerId', a.practitioner_id, 'serviceIds', to_jsonb(${counted})))`,
    dueAt: dueAtOf(sql`a.anchor_at`),
    dueDay: sql`s.due_day`,
    dueDays: dueDaysOf(slots),
  };
}
