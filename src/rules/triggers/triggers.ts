import type { TriggerType } from '../rule.ts';
import { appointmentTrigger } from './appointment.ts';
import { birthdayTrigger } from './birthday.ts';
import { calendarTrigger } from './calendar.ts';
import { dataCheckTrigger } from './data-check.ts';
import { eventTrigger } from './event.ts';
import { inactiveTrigger } from './inactive.ts';
import { patientTrigger } from './patient.ts';
import { treatmentTrigger } from './treatment.ts';
import type { TriggerRow } from './trigger.ts';
import { visitTrigger } from './visit.ts';

export const triggers: Readonly<Record<TriggerType, TriggerRow>> = {
  visit: visitTrigger,
  appointment: appointmentTrigger,
  birthday: birthdayTrigger,
  calendar: calendarTrigger,
  event: eventTrigger,
  patient: patientTrigger,
  inactive: inactiveTrigger,
  treatment: treatmentTrigger,
  'data-check': dataCheckTrigger,
};

export function triggerOf(type: TriggerType): TriggerRow {
  return triggers[type];
}
