import { localDay } from '../local-time.ts';
import {
  findInvitingRules,
  findOpenInvitations,
  findPools,
  type InvitingRule,
  lockCapacity,
} from './capacity-store.ts';
import type { GuardFacts } from './guard-store.ts';
import { byDue, type LimitTerms } from './hold-over-limits.ts';
import { heldUntilTomorrow } from './judge-message.ts';
import { openPlaces, type Wish } from './places.ts';
import { findBegunJourneys } from './rule-days-store.ts';

/**
 * Where the host tells how many slots are free, no more patients are invited than can come. A slot is kept for
 * an invited patient for some days, or until they book; then the host tells of fewer slots itself.
 */

/** How long an invitation keeps its slot. */
export const invitationKept = Temporal.Duration.from({ hours: 7 * 24 });

/** Holds the invitations for which no slot is left, the most overdue last. */
export async function holdOverCapacity(
  goers: readonly GuardFacts[],
  { trx, clinic, now, verdicts }: LimitTerms,
): Promise<void> {
  const fresh = goers.filter(({ attemptNo, ruleId }) => attemptNo === 0 && ruleId !== null);
  if (fresh.length === 0) return;
  const pools = await findPools(trx, clinic.id, localDay(now, clinic.timeZone));
  if (pools.length === 0) return;
  await lockCapacity(trx, clinic.id);
  const open = await findOpenInvitations(trx, clinic.id, now.subtract(invitationKept));
  const ruleIds = [...fresh, ...open].flatMap(({ ruleId }) => ruleId ?? []);
  const rules = await findInvitingRules(trx, clinic.id, [...new Set(ruleIds)]);
  const begun = await findBegunJourneys(
    trx,
    clinic.id,
    fresh.flatMap(({ journeyId }) => journeyId ?? []),
  );
  const places = openPlaces(pools);
  for (const { ruleId, count, ...anchor } of open) {
    const rule = rules.get(ruleId);
    if (!rule) continue;
    for (let one = 0; one < count; one += 1) places.take(wishOf(rule, anchor));
  }
  for (const facts of fresh.toSorted(byDue)) {
    const rule = rules.get(facts.ruleId ?? '');
    const isFirst = facts.journeyId !== null && !begun.has(facts.journeyId);
    if (!rule?.isInviting || !isFirst || verdicts.get(facts.id)?.state !== 'go') continue;
    const { anchor } = facts.guard;
    const wish = wishOf(rule, anchor?.kind === 'visit' ? anchor : {});
    if (places.take(wish)) continue;
    verdicts.set(facts.id, heldUntilTomorrow('capacity', facts, clinic, now));
  }
}

interface VisitTerms {
  scope?: string | null;
  practitionerId?: string | null | undefined;
  serviceIds?: readonly string[] | null | undefined;
}

/** What the rule names, else the practitioner or the service of the visit that it follows. */
function wishOf(
  { services, practitioners }: Pick<InvitingRule, 'services' | 'practitioners'>,
  { scope, practitionerId, serviceIds }: VisitTerms,
): Wish {
  const own = scope === 'same-practitioner' && practitionerId ? [practitionerId] : practitioners;
  return {
    services: scope === 'same-service' && serviceIds?.length ? serviceIds : services,
    practitioners: own,
  };
}
