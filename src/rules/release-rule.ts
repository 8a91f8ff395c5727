import type { Trx } from '../database/connect.ts';
import { recordAudit } from '../history/audit-store.ts';
import type { Clinic } from '../history/clinic.ts';
import { localDay } from '../local-time.ts';
import {
  type Anomaly,
  findAnomalies,
  lockRelease,
  releaseRuleDay,
} from '../outbox/anomaly-store.ts';
import { recheckHeld } from '../outbox/message-store.ts';
import type { Rule } from './rule.ts';
import { lockRule } from './rule-store.ts';

/** What people do about a rule that is held because it would send so much more than usual. */

export interface Release {
  actor: string;
  by?: string | undefined;
  now: Temporal.Instant;
}

/** Lets what the rule has for today go. @returns null where there is no such rule. */
export async function releaseRule(
  trx: Trx,
  clinic: Clinic,
  id: string,
  { actor, by, now }: Release,
): Promise<Rule | null> {
  const rule = await lockRule(trx, clinic.id, id);
  if (rule === null) return null;
  const today = localDay(now, clinic.timeZone);
  await lockRelease(trx, clinic.id, id);
  // Senders take their messages before they count the day.
  await recheckHeld(trx, clinic.id, { reasons: ['anomaly'] }, now);
  await releaseRuleDay(trx, clinic.id, id, today);
  const detail = { day: today, ...(by && { by }) };
  await recordAudit(trx, clinic.id, { actor, action: 'rule.released', subject: id, detail }, now);
  return rule;
}

/** Which rules are held today, by id. */
export function anomaliesOf(
  trx: Trx,
  clinic: Clinic,
  now: Temporal.Instant,
): Promise<Map<string, Anomaly>> {
  return findAnomalies(trx, clinic.id, localDay(now, clinic.timeZone));
}
