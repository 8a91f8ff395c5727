import type { ChannelName, Purpose } from '../database/tables.ts';
import { type Clinic, holidayPlaceOf } from '../history/clinic.ts';
import { clinicPolicy } from '../history/clinic-policy.ts';
import type { SendTerms } from '../history/send-window.ts';
import type { Guard } from './guard.ts';

/** Which hours and days hold for a message: the same where it is judged, foretold and explained. */

/** Staff and the host's portal may be given something to do at any hour. */
const channelsAtAnyHour: readonly ChannelName[] = ['inbox', 'task'];

export function hasHours(channel: ChannelName): boolean {
  return !channelsAtAnyHour.includes(channel);
}

export interface HoursQuestion {
  purpose: Purpose;
  /** Null for the clinic's. */
  patientZone: string | null;
  guard: Guard;
}

export function sendTermsOf(
  { purpose, patientZone, guard }: HoursQuestion,
  clinic: Clinic,
): SendTerms {
  const place = keepsHolidays(purpose, guard) ? holidayPlaceOf(clinic) : null;
  return {
    purpose,
    zone: patientZone ?? clinic.timeZone,
    sendWindow: clinic.settings.sendWindow,
    policy: clinicPolicy(clinic),
    ignoresSendWindow: guard.sendWindow === false,
    ...(place !== null && { holidays: place }),
    ...(guard.greetedDay !== undefined && { greetedDay: guard.greetedDay }),
  };
}

/** Terms of the same key allow the same hours. */
export function hoursKey({ zone, ...terms }: SendTerms): string {
  const { purpose, ignoresSendWindow, holidays, greetedDay } = terms;
  return [purpose, zone, ignoresSendWindow, holidays !== undefined, greetedDay ?? ''].join(' ');
}

/** What is about an appointment that is ahead would come too late after the holiday. */
function keepsHolidays(purpose: Purpose, { anchor }: Guard): boolean {
  if (purpose === 'transactional') return false;
  return anchor?.kind !== 'appointment' || (anchor.status ?? 'upcoming') !== 'upcoming';
}
