import { type RawBuilder, sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import { addPeriod, dueAt, parsePeriod } from '../../local-time.ts';
import type { Guard } from '../../outbox/guard.ts';
import type { RuleDefinition } from '../rule.ts';
import { type Slot, slotsAfter } from './due-slots.ts';
import { checkPeriod, isDayPeriod, required } from './field-checks.ts';
import {
  type Anchor,
  anchorSpan,
  type Dues,
  dueAtOf,
  dueDaysOf,
  isListed,
  isOneOf,
  overlaps,
  ownDues,
  patientZones,
  type Question,
  type RecallAnchor,
  type RecallRow,
  type Selection,
  slotsTable,
  type TriggerRow,
} from './trigger.ts';

const noWait = 'P0D';
const visitOccurrence = sql<string>`a.occurrence`;

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
  recall: visitRecall(),
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
export async function selectVisits(
  trx: Trx,
  question: Question,
  occurrence = visitOccurrence,
): Promise<Selection | null> {
  const { clinicZone, definition, window } = question;
  const { trigger, sendAt } = definition;
  const zones = sendAt === null ? [] : await patientZones(trx, question);
  const after = trigger.after ?? noWait;
  const slots = slotsAfter({ after, sendAt, clinicZone, zones, window });
  if (slots.length === 0) return null;
  return visitSelection(question, occurrence, slotDues(slots, clinicZone));
}

function slotDues(slots: readonly Slot[], clinicZone: string): Dues {
  const span = anchorSpan(slots);
  return {
    join: sql`join ${slotsTable(slots)}
      on a.anchor_at >= s.anchor_from and a.anchor_at < s.anchor_until
      and (s.zone is null or s.zone = coalesce(p.time_zone, ${clinicZone}))`,
    where: sql`a.anchor_at >= ${span.from} and a.anchor_at < ${span.until}`,
    dueAt: dueAtOf(sql`a.anchor_at`),
    dueDay: sql`s.due_day`,
    dueDays: dueDaysOf(slots),
  };
}

/** A patient's own recall by visits, under the key that the trigger gives them. */
export function visitRecall(occurrence = visitOccurrence): RecallRow {
  return {
    anchors: async (trx, question) => {
      const { clinicId, patientIds, asKnown } = question;
      const { rows } = await sql<RecallAnchor & { at: Temporal.Instant }>`
        select a.patient_id as "patientId", ${occurrence} as occurrence, a.anchor_at as at, p.time_zone as "patientZone"
        from attendances a
        join patients p on p.clinic_id = ${clinicId} and p.id = a.patient_id
        where ${isCounted({ ...question, patientIds })}
          and ${asKnown ? sql`true` : isLast(question, null)}
        order by a.patient_id, a.anchor_at, a.occurrence`.execute(trx);
      return rows.map((row) => ({ ...row, at: row.at.toString() }));
    },
    dueAt: ({ at, patientZone }, after = noWait, { definition, clinicZone }) =>
      dueAt({
        anchor: Temporal.Instant.from(at),
        after,
        sendAt: definition.sendAt ?? undefined,
        patientZone,
        clinicZone,
      }),
    select: (question, dues) => visitSelection(question, occurrence, ownDues(dues, occurrence)),
  };
}

function visitSelection(
  question: Question,
  occurrence: RawBuilder<string>,
  { join, where, ...dues }: Dues,
): Selection {
  const { clinicId, definition, patientIds } = question;
  const scope = definition.trigger.scope ?? 'any';
  return {
    from: sql`
      attendances a
      join patients p on p.clinic_id = ${clinicId} and p.id = a.patient_id
      ${join}`,
    where: sql`
      ${isCounted(question)} and ${where} and ${isOneOf(sql`p.id`, patientIds)}
      and ${isLast(question, question.asKnown ? dues.dueAt : null)}`,
    occurrence,
    anchor: sql`jsonb_strip_nulls(jsonb_build_object(
      'kind', 'visit', 'source', a.source, 'id', a.external_id, 'at', a.anchor_at, 'scope', ${scope}::text,
      'practitionerId', a.practitioner_id, 'serviceIds', to_jsonb(${countedServices(definition)})))`,
    ...dues,
  };
}

function isCounted({
  clinicId,
  definition: { trigger },
  patientIds,
}: Pick<Question, 'clinicId' | 'definition' | 'patientIds'>): RawBuilder<unknown> {
  return sql`
    a.clinic_id = ${clinicId} and ${isOneOf(sql`a.patient_id`, patientIds)}
    and ${overlaps(sql`a.service_ids`, trigger.services)}
    and ${isListed(sql`a.practitioner_id`, trigger.practitioners)}
    and ${overlaps(sql`a.facts`, trigger.facts)}`;
}

/** That no later visit of its scope replaced it, or none by that instant. */
function isLast(
  { clinicId, definition }: Pick<Question, 'clinicId' | 'definition'>,
  until: RawBuilder<unknown> | null,
): RawBuilder<unknown> {
  const counted = countedServices(definition);
  const isSameScope = {
    any: sql`true`,
    'same-practitioner': sql`l.practitioner_id is not distinct from a.practitioner_id`,
    'same-service': sql`(l.service_ids && ${counted} or (l.service_ids = '{}' and ${counted} = '{}'))`,
  }[definition.trigger.scope ?? 'any'];
  return sql`
    not exists (
      select from attendances l
      where l.clinic_id = ${clinicId} and l.patient_id = a.patient_id and l.anchor_at >= a.anchor_at
        and (l.anchor_at > a.anchor_at or l.occurrence > a.occurrence) and ${isSameScope}
        and ${until === null ? sql`true` : sql`l.anchor_at <= ${until}`}
      -- Looked up for each visit that is due; without the offset it becomes a join with the whole history.
      offset 0)`;
}

/** Of a visit's services those that the rule is about. */
function countedServices({ trigger: { services = [] } }: RuleDefinition): RawBuilder<unknown> {
  return services.length
    ? sql`array(select unnest(a.service_ids) intersect select unnest(${services}::text[]) order by 1)`
    : sql`a.service_ids`;
}
