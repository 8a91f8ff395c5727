import { sql } from 'kysely';
import { addPeriod } from '../../local-time.ts';
import { checkPeriod, required } from './field-checks.ts';
import type { TriggerRow } from './trigger.ts';
import { selectVisits, visitGuard } from './visit.ts';

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
  select: async (trx, question) => {
    const selection = await selectVisits(trx, question);
    return selection && { ...selection, occurrence: sql<string>`'inactive:' || a.occurrence` };
  },
  expiresAt: ({ dueAt }, { catchUp }, clinicZone) =>
    addPeriod(dueAt, catchUp ?? 'P14D', clinicZone),
  guard: visitGuard,
  changed: 'visit-changed',
};
