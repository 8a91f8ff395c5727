import { sql } from 'kysely';
import type { Trx } from '../../database/connect.ts';
import { addPeriod, birthdaysDueOn, localDay, toInstant } from '../../local-time.ts';
import { daysAround, isIn } from './due-slots.ts';
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
  select: selectBirthdays,
  // A greeting is of its day.
  expiresAt: ({ dueAt, patientZone }, { catchUp }, clinicZone) => {
    if (catchUp !== null) return addPeriod(dueAt, catchUp, clinicZone);
    const zone = patientZone ?? clinicZone;
    const evening = toInstant(localDay(dueAt, zone), '21:00', zone);
    return Temporal.Instant.compare(dueAt, evening) < 0 ? evening : dueAt.add('PT3H');
  },
  guard: () => ({}),
  changed: 'birthday-changed',
};

interface BirthdaySlot {
  zone: string;
  /** Month times 100 plus day, as the index has it. */
  birthDay: number;
  year: number;
  at: Temporal.Instant;
  dueDay: string;
}

async function selectBirthdays(trx: Trx, question: Question): Promise<Selection | null> {
  const { clinicId, clinicZone, patientIds } = question;
  const zones = await patientZones(trx, question);
  const slots = zones.flatMap((zone) => slotsIn(zone, question));
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

function slotsIn(zone: string, { clinicZone, definition, window }: Question): BirthdaySlot[] {
  const offset = definition.trigger.offset ?? 'P0D';
  return daysAround(window, zone).flatMap((day) => {
    const at = toInstant(day, definition.sendAt ?? '10:00', zone);
    if (!isIn(at, window)) return [];
    const dueDay = localDay(at, clinicZone);
    return birthdaysDueOn(day, offset).flatMap(({ year, monthDays }) =>
      monthDays.map((text) => ({
        zone,
        birthDay: Number(text.replace('-', '')),
        year,
        at,
        dueDay,
      })),
    );
  });
}
