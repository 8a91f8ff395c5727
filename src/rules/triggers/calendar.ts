import { sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import type { Fault } from '../../errors.ts';
import { isDay } from '../../local-time.ts';
import type { RuleDefinition } from '../rule.ts';
import { type DaySlot, daySlots, expiresWithDay } from './day-slots.ts';
import { required } from './field-checks.ts';
import {
  isOneOf,
  patientZones,
  type Question,
  type Selection,
  type TriggerRow,
} from './trigger.ts';

/** A day of the calendar, every year or once: everybody in the audience is due. */
export const calendarTrigger: TriggerRow = {
  fields: ['date'],
  check: checkCalendar,
  isAhead: () => false,
  hasDay: () => true,
  needsTime: true,
  isGreeting: true,
  select: selectCalendar,
  expiresAt: expiresWithDay,
  guard: ({ at }) => ({ greetedDay: at }),
  changed: 'date-changed',
};

/** A year in which every date exists. */
const leapYear = '2000';

function checkCalendar({ trigger }: RuleDefinition): Fault[] {
  const { date } = trigger;
  if (date === undefined) return required(trigger, 'date');
  if (isDay(isYearly(date) ? `${leapYear}-${date}` : date)) return [];
  return [{ pointer: '/trigger/date', code: 'not-a-day', detail: 'The calendar has no such day.' }];
}

function isYearly(date: string): boolean {
  return date.length === 'MM-DD'.length;
}

async function selectCalendar(trx: Trx, question: Question): Promise<Selection | null> {
  const { clinicId, clinicZone, definition, patientIds } = question;
  const date = definition.trigger.date ?? '';
  const zones = await patientZones(trx, question);
  const slots = daySlots(zones, question).filter((slot) => isThatDay(slot, date));
  if (slots.length === 0) return null;
  return {
    from: sql`
      patients p
      join unnest(
        ${slots.map((slot) => slot.zone)}::text[], ${slots.map((slot) => slot.day)}::text[],
        ${slots.map((slot) => slot.at.toString())}::text[]::timestamptz[], ${slots.map((slot) => slot.dueDay)}::text[]::date[]
      ) as s (zone, day, due_at, due_day) on coalesce(p.time_zone, ${clinicZone}) = s.zone`,
    where: sql`p.clinic_id = ${clinicId} and ${isOneOf(sql`p.id`, patientIds)}`,
    occurrence: sql`'calendar:' || s.day`,
    anchor: sql`jsonb_build_object('kind', 'calendar', 'at', s.day)`,
    dueAt: sql`s.due_at`,
    dueDay: sql`s.due_day`,
    dueDays: [...new Set(slots.map((slot) => slot.dueDay))],
  };
}

/** 29 February is kept on the 28th in other years, as birthdays are. */
function isThatDay({ day }: DaySlot, date: string): boolean {
  if (!isYearly(date)) return day === date;
  const year = Temporal.PlainDate.from(day).year;
  const kept = Temporal.PlainMonthDay.from(date).toPlainDate({ year });
  return kept.toString() === day;
}
