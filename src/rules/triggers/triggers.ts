import type { TriggerType } from '../rule.ts';
import { appointmentTrigger } from './appointment.ts';
import { birthdayTrigger } from './birthday.ts';
import { patientTrigger } from './patient.ts';
import type { TriggerRow } from './trigger.ts';
import { visitTrigger } from './visit.ts';

/** Every trigger that is built; a rule with another type is refused. */
export const triggers: Readonly<Partial<Record<TriggerType, TriggerRow>>> = {
  visit: visitTrigger,
  appointment: appointmentTrigger,
  birthday: birthdayTrigger,
  patient: patientTrigger,
};

/** For rules that were checked when they were saved. */
export function triggerOf(type: TriggerType): TriggerRow {
  const row = triggers[type];
  if (row === undefined) throw new Error(`A stored rule has the trigger ${type}`);
  return row;
}
