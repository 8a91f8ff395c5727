import { sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import { birthdaysDueOn } from '../../local-time.ts';
import { type DaySlot, daySlots, expiresWithDay } from './day-slots.ts';
import { checkPeriod } from './field-checks.ts';
import {
  isOneOf,
  patientZones,
  type Question,
  type Selection,
  type TriggerRow,
} from './trigger.ts';

/** The birthday, or so many days before or after it. */
export const birthdayTrigger: TriggerRow = {
  fields: ['offset'],
  check: ({ trigger }) =>
    checkPeriod(trigger.offset, '/trigger/offset', { negative: 'allowed', days: true }),
  isAhead: () => false,
  hasDay: () => true,
  needsTime: true,
  isGreeting: true,
  select: selectBirthdays,
  expiresAt: expiresWithDay,
  guard: () => ({}),
  changed: 'birthday-changed',
};

interface BirthdaySlot extends DaySlot {
  /** Month times 100 plus day, as the index has it. */
  birthDay: number;
  year: number;
}

async function selectBirthdays(trx: Trx, question: Question): Promise<Selection | null> {
  const { clinicId, clinicZone, patientIds } = question;
  const zones = await patientZones(trx, question);
  const slots = birthdaySlots(zones, question);
  if (slots.length === 0) return null;
  return {
    from: sql`
      patients p
      join unnest(
        ${slots.map((slot) => slot.zone)}::text[], ${slots.map((slot) => String(slot.birthDay))}::text[]::smallint[],
        ${slots.map((slot) => String(slot.year))}::text[]::int[], ${slots.map((slot) => slot.at.toString())}::text[]::timestamptz[],
        ${slots.map((slot) => slot.dueDay)}::text[]::date[]
      ) as s (zone, birth_day, year, due_at, due_day)
        on p.birth_day = s.birth_day and coalesce(p.time_zone, ${clinicZone}) = s.zone
        and extract(year from p.birth_date) < s.year`,
    where: sql`p.clinic_id = ${clinicId} and ${isOneOf(sql`p.id`, patientIds)}`,
    occurrence: sql`'birthday:' || s.year`,
    anchor: sql`jsonb_build_object('kind', 'birthday', 'at', p.birth_date)`,
    dueAt: sql`s.due_at`,
    dueDay: sql`s.due_day`,
    dueDays: [...new Set(slots.map((slot) => slot.dueDay))],
  };
}

function birthdaySlots(zones: readonly string[], question: Question): BirthdaySlot[] {
  const offset = question.definition.trigger.offset ?? 'P0D';
  return daySlots(zones, question).flatMap((slot) =>
    birthdaysDueOn(slot.day, offset).flatMap(({ year, monthDays }) =>
      monthDays.map((text) => ({ ...slot, birthDay: Number(text.replace('-', '')), year })),
    ),
  );
}
