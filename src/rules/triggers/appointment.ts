import { type RawBuilder, sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import { addPeriod, isCalendarPeriod } from '../../local-time.ts';
import type { Guard } from '../../outbox/guard.ts';
import { wasMoved } from '../../outbox/move-store.ts';
import type { RuleDefinition, Trigger } from '../rule.ts';
import { type Slot, slotsAfter, slotsBefore } from './due-slots.ts';
import { checkPeriod, isDayPeriod } from './field-checks.ts';
import { preferenceCharactersMax, type Wish, wishesFor } from './reminder-preference.ts';
import {
  type Anchor,
  anchorSpan,
  type DueOccasion,
  dueAtOf,
  dueDaysOf,
  hostIdText,
  isListed,
  isOneOf,
  overlaps,
  patientZones,
  type Question,
  type Selection,
  slotsTable,
  type TriggerRow,
  wasBooked,
} from './trigger.ts';

/** Before an appointment, or after it was booked, missed or called off. */
export const appointmentTrigger: TriggerRow = {
  fields: ['before', 'on', 'after', 'services', 'practitioners'],
  check: checkAppointment,
  isAhead: ({ before, on }) => before !== undefined || on === 'booked',
  hasDay: ({ before, after }) => isDayPeriod(before ?? after),
  select: selectAppointments,
  expiresAt,
  guard: (anchor, { trigger }): Guard => ({
    anchor: {
      kind: 'appointment',
      source: anchor.source ?? '',
      id: anchor.id ?? '',
      revision: anchor.revision ?? 1,
      status: trigger.on === 'noshow' || trigger.on === 'cancelled' ? trigger.on : 'upcoming',
    },
  }),
  changed: 'appointment-changed',
};

function checkAppointment({ trigger }: RuleDefinition) {
  const { before, on, after } = trigger;
  const faults = [
    ...checkPeriod(before, '/trigger/before'),
    ...checkPeriod(after, '/trigger/after'),
  ];
  if ((before === undefined) === (on === undefined)) {
    const detail = 'An appointment trigger has either `before` or `on`.';
    faults.push({ pointer: '/trigger', code: 'contradiction', detail });
  }
  if (before !== undefined && after !== undefined) {
    const detail = '`after` goes with `on`, not with `before`.';
    faults.push({ pointer: '/trigger/after', code: 'contradiction', detail });
  }
  return faults;
}

/** A reminder is worth nothing shortly before the start. */
const lastChance = Temporal.Duration.from('PT30M');
const reminderReach = Temporal.Duration.from('PT4H');

function expiresAt(
  { dueAt, anchor }: DueOccasion,
  { trigger, catchUp }: RuleDefinition,
  clinicZone: string,
): Temporal.Instant {
  if (trigger.before === undefined) return addPeriod(dueAt, catchUp ?? 'P3D', clinicZone);
  const start = Temporal.Instant.from(anchor.at);
  const late = catchUp === null ? dueAt.add(reminderReach) : addPeriod(dueAt, catchUp, clinicZone);
  const before = start.subtract(lastChance);
  const latest = Temporal.Instant.compare(dueAt, before) < 0 ? before : start;
  return Temporal.Instant.compare(late, latest) < 0 ? late : latest;
}

interface Kind {
  anchorAt: RawBuilder<Temporal.Instant>;
  statuses: string[];
  /** The end of the occurrence's key. */
  suffix: string;
}

function kindOf({ before, on }: Trigger): Kind {
  if (before !== undefined) {
    return { anchorAt: sql`a.start_at`, statuses: ['pending', 'booked'], suffix: before };
  }
  if (on === 'booked') {
    return { anchorAt: sql`a.booked_at`, statuses: ['pending', 'booked'], suffix: 'booked' };
  }
  if (on === 'noshow') return { anchorAt: sql`a.start_at`, statuses: ['noshow'], suffix: 'noshow' };
  return { anchorAt: sql`a.occurred_at`, statuses: ['cancelled'], suffix: 'cancelled' };
}

async function selectAppointments(trx: Trx, question: Question): Promise<Selection | null> {
  const { clinicId, clinicZone, definition, patientIds, asKnown } = question;
  const { trigger } = definition;
  const wishes = trigger.before === undefined ? [] : await wishesFor(trx, question);
  const slots = await slotsOf(trx, question, wishes);
  if (slots.length === 0) return null;
  const span = anchorSpan(slots);
  const { anchorAt, statuses, suffix } = kindOf(trigger);
  // The zone is the appointment's own before it, and the patient's for what follows.
  const zone = trigger.before === undefined ? sql`p.time_zone` : sql`a.time_zone`;
  return {
    from: sql`
      appointments a
      join patients p on p.clinic_id = ${clinicId} and p.id = a.patient_id
      join ${slotsTable(slots)}
        on ${anchorAt} >= s.anchor_from and ${anchorAt} < s.anchor_until
        and (s.zone is null or s.zone = coalesce(${zone}, ${clinicZone}))
        ${wishes.length === 0 ? sql`` : sql`and ${isAsWished(wishes)}`}`,
    where: sql`
      a.clinic_id = ${clinicId} and a.deleted_at is null
      and ${anchorAt} >= ${span.from} and ${anchorAt} < ${span.until}
      and ${asKnown && trigger.on === undefined ? wasBooked('a', dueAtOf(anchorAt)) : sql`a.status = any(${statuses}::text[])`}
      and a.start_at is not null
      ${trigger.on === 'cancelled' ? sql`and not ${wasMoved(clinicId, 'a')}` : sql``}
      and ${isOneOf(sql`a.patient_id`, patientIds)} and ${isOneOf(sql`p.id`, patientIds)}
      and ${overlaps(sql`a.service_ids`, trigger.services)}
      and ${isListed(sql`a.practitioner_id`, trigger.practitioners)}`,
    occurrence: sql`'appointment:' || ${hostIdText('a')} || ':r' || a.start_revision || ':' || coalesce(s.period, ${suffix}::text)`,
    anchor: sql<Anchor>`jsonb_build_object(
      'kind', 'appointment', 'source', a.source, 'id', a.external_id, 'at', a.start_at,
      'revision', a.start_revision, 'zone', a.time_zone, 'bookedAt', a.booked_at
      ${trigger.on === 'cancelled' ? sql`, 'cancelledAt', a.occurred_at` : sql``})`,
    dueAt: dueAtOf(anchorAt),
    dueDay: sql`s.due_day`,
    dueDays: dueDaysOf(slots),
  };
}

/** A wish that is understood beats the rule's own period. */
function isAsWished(wishes: readonly Wish[]): RawBuilder<unknown> {
  const preference = sql`left(p.reminder_preference::text, ${sql.lit(preferenceCharactersMax)})`;
  const known = wishes.map((wish) => wish.preference);
  return sql`case when s.preference is null then not coalesce(${preference} = any(${known}::text[]), false)
    else ${preference} = s.preference end`;
}

async function slotsOf(trx: Trx, question: Question, wishes: readonly Wish[]): Promise<Slot[]> {
  const { clinicZone, definition, window } = question;
  const { sendAt, trigger } = definition;
  if (trigger.before === undefined) {
    const zones = sendAt === null ? [] : await patientZones(trx, question);
    return slotsAfter({ after: trigger.after ?? 'PT0S', sendAt, clinicZone, zones, window });
  }
  const slots = await slotsAhead(trx, question, trigger.before);
  for (const period of new Set(wishes.flatMap(({ periods }) => periods))) {
    const wished = await slotsAhead(trx, question, period);
    const wishing = wishes.filter(({ periods }) => periods.includes(period));
    for (const { preference } of wishing)
      slots.push(...wished.map((slot) => ({ ...slot, wish: { preference, period } })));
  }
  return slots;
}

async function slotsAhead(trx: Trx, question: Question, before: string): Promise<Slot[]> {
  const { clinicZone, definition, window } = question;
  const zones = isCalendarPeriod(before) ? await appointmentZones(trx, question, before) : [];
  return slotsBefore({ before, sendAt: definition.sendAt, clinicZone, zones, window });
}

/** The zones of the appointments that can be due. */
async function appointmentZones(trx: Trx, question: Question, before: string): Promise<string[]> {
  const { clinicId, clinicZone, patientIds, window } = question;
  const { rows } = await sql<{ time_zone: string }>`
    select distinct time_zone from appointments
    where clinic_id = ${clinicId} and deleted_at is null and time_zone is not null
      and start_at >= ${addPeriod(window.after, before, clinicZone).subtract(zoneReach)}
      and start_at < ${addPeriod(window.upTo, before, clinicZone).add(zoneReach)}
      and ${isOneOf(sql`patient_id`, patientIds)}`.execute(trx);
  return [...new Set([clinicZone, ...rows.map((row) => row.time_zone)])];
}

/** The date line and month ends can move a day; a few days more cost nothing. */
const zoneReach = Temporal.Duration.from({ hours: 6 * 24 });
