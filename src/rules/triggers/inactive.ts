import { sql } from 'kysely';
import { addPeriod } from '../../local-time.ts';
import { checkPeriod, required } from './field-checks.ts';
import type { TriggerRow } from './trigger.ts';
import { selectVisits, visitGuard, visitRecall } from './visit.ts';

const occurrence = sql<string>`'inactive:' || a.occurrence`;

/** So long without any visit, and none booked: the patient is about to be lost. */
export const inactiveTrigger: TriggerRow = {
  fields: ['after'],
  check: ({ trigger }) => [
    ...required(trigger, 'after'),
    ...checkPeriod(trigger.after, '/trigger/after', { days: true }),
  ],
  isAhead: () => false,
  hasDay: () => true,
  excludesBooked: true,
  select: (trx, question) => selectVisits(trx, question, occurrence),
  expiresAt: ({ dueAt }, { catchUp }, clinicZone) =>
    addPeriod(dueAt, catchUp ?? 'P14D', clinicZone),
  guard: visitGuard,
  changed: 'visit-changed',
  recall: visitRecall(occurrence),
};
