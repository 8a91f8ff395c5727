import { addPeriod, localDay, toInstant } from '../../local-time.ts';
import type { RuleDefinition } from '../rule.ts';
import { daysAround, isIn } from './due-slots.ts';
import type { DueOccasion, Question } from './trigger.ts';

/** Days that are due at a local time of theirs: a birthday, a date, the day after a step was to be done. */

export interface DaySlot {
  zone: string;
  /** The local day in that zone. */
  day: string;
  at: Temporal.Instant;
  /** The clinic's local day of `at`. */
  dueDay: string;
}

/** What `sendAt` is for them where the rule names none: a day has no instant of its own. */
export const morning = '10:00';

/** Every day of the window, in each zone. */
export function daySlots(
  zones: readonly string[],
  { clinicZone, definition, window }: Question,
): DaySlot[] {
  return zones.flatMap((zone) =>
    daysAround(window, zone).flatMap((day) => {
      const at = toInstant(day, definition.sendAt ?? morning, zone);
      return isIn(at, window) ? [{ zone, day, at, dueDay: localDay(at, clinicZone) }] : [];
    }),
  );
}

/** A greeting is of its day: until the evening, or for some hours where it is due after that. */
export function expiresWithDay(
  { dueAt, patientZone }: DueOccasion,
  { catchUp }: RuleDefinition,
  clinicZone: string,
): Temporal.Instant {
  if (catchUp !== null) return addPeriod(dueAt, catchUp, clinicZone);
  const zone = patientZone ?? clinicZone;
  const evening = toInstant(localDay(dueAt, zone), '21:00', zone);
  return Temporal.Instant.compare(dueAt, evening) < 0 ? evening : dueAt.add('PT3H');
}
