import type { Trx } from '../database/connect.ts';
import type { CheckTerms } from './checks.ts';
import { askConsent } from './plan-context.ts';
import { findStillNamed } from './simulate-store.ts';

/**
 * Whom the earlier messages of these journeys named beside their patients and will name again, by journey: who lives
 * there, has not answered, and may still be written to.
 */
export async function namedBefore(
  trx: Trx,
  { clinic, now }: CheckTerms,
  journeyIds: readonly string[],
): Promise<Map<string, string[]>> {
  if (!clinic.settings.householdMerging) return new Map();
  const carried = await findStillNamed(trx, clinic.id, journeyIds, now);
  const asks = carried.map(({ patientId, purpose, channel, address }) => ({
    patientId,
    purpose,
    contacts: address === null ? [] : [{ channel, address }],
  }));
  const blocks = await askConsent(trx, clinic, asks);
  const named = carried.filter((_each, at) => blocks[at]?.[0] === undefined);
  return new Map(
    [...Map.groupBy(named, ({ journeyId }) => journeyId)].map(([journeyId, each]) => [
      journeyId,
      [...new Set(each.map(({ patientId }) => patientId))],
    ]),
  );
}
