import type { Trx } from '../database/connect.ts';
import { lockCapacity } from '../history/capacity-lock-store.ts';
import { localDay } from '../local-time.ts';
import {
  findOpenInvitations,
  findPools,
  findRuleWishes,
  findWaitingInvitations,
  type RuleWish,
  tellsCapacity,
} from './capacity-store.ts';
import type { Guard } from './guard.ts';
import type { GuardFacts } from './guard-store.ts';
import type { LimitTerms } from './hold-over-limits.ts';
import { heldForTurn, heldUntilTomorrow } from './judge-message.ts';
import { openPlaces, type Places, type Wish } from './places.ts';

/**
 * Where the host tells how many slots are free, no more patients are invited than can come. A slot is kept for
 * an invited patient for some days, or until they book; then the host tells of fewer slots itself.
 */

/** How long an invitation keeps its slot. */
export const invitationKept = Temporal.Duration.from({ hours: 7 * 24 });

/** Of all that wait, how many are looked at who may come before those of a batch. */
const queueMax = 1_000;

/** An invitation in the line for slots: one of these messages, or one that another sender will judge. */
interface Queued {
  ruleId: string;
  journeyId: string;
  patientId: string;
  dueAt: Temporal.Instant;
  anchor: Guard['anchor'] | null | undefined;
}

/**
 * Holds the invitations for which no slot is left: the most overdue come first, whoever judges them.
 * @param firsts first contacts
 * @param left how many more rules may begin by limits of their own: who has no place in that takes no slot.
 * @returns those of them, who may not go without one either.
 */
export async function holdOverCapacity(
  firsts: readonly GuardFacts[],
  left: ReadonlyMap<string, number>,
  terms: LimitTerms,
): Promise<Set<string>> {
  const { trx, clinic, now, stayers } = terms;
  const invitations = firsts.filter(isInvitation);
  const today = localDay(now, clinic.timeZone);
  if (invitations.length === 0 || !(await tellsCapacity(trx, clinic.id, today))) return new Set();
  await lockCapacity(trx, clinic.id);
  const pools = await findPools(trx, clinic.id, today);
  const open = await findOpenInvitations(trx, clinic.id, now.subtract(invitationKept));
  const waiting = await findWaitingInvitations(trx, clinic.id, {
    ...{ now, limit: queueMax, except: stayers },
    going: new Set(invitations.flatMap(({ journeyId }) => journeyId ?? [])),
  });
  const line = lineUp(waiting, invitations);
  const ruleIds = [...open, ...line].map(({ ruleId }) => ruleId);
  const rules = await findRuleWishes(trx, clinic.id, [...new Set(ruleIds)]);
  const places = openPlaces(pools);
  for (const { ruleId, anchor, count } of open) {
    const wish = wishOf(rules.get(ruleId), anchor);
    for (let one = 0; one < count; one += 1) places.take(wish);
  }
  return giveSlots({ line, invitations, places, rules, left }, terms);
}

/** What the host tells, and how many invitations are open; null where it tells nothing. */
export async function slotsOf(
  trx: Trx,
  clinic: { id: string; timeZone: string },
  now: Temporal.Instant,
): Promise<{ free: number; invited: number } | null> {
  const pools = await findPools(trx, clinic.id, localDay(now, clinic.timeZone));
  if (pools.length === 0) return null;
  const open = await findOpenInvitations(trx, clinic.id, now.subtract(invitationKept));
  const sum = (counts: number[]) => counts.reduce((all, one) => all + one, 0);
  return { free: sum(pools.map(({ free }) => free)), invited: sum(open.map(({ count }) => count)) };
}

/** The first word of care or marketing to somebody who is not booked asks them to come. */
export function isInvitation({ purpose, guard }: Pick<GuardFacts, 'purpose' | 'guard'>): boolean {
  return purpose !== 'transactional' && guard.unlessBooked === true;
}

function lineUp(waiting: readonly Queued[], invitations: readonly GuardFacts[]): Queued[] {
  const line = new Map(waiting.map((each) => [each.journeyId, each]));
  for (const { journeyId, ruleId, patientId, guard, scheduledAt } of invitations) {
    if (journeyId === null || ruleId === null || line.has(journeyId)) continue;
    const dueAt = guard.since === undefined ? scheduledAt : Temporal.Instant.from(guard.since);
    line.set(journeyId, { journeyId, ruleId, patientId, dueAt, anchor: guard.anchor });
  }
  return [...line.values()].toSorted(
    (one, other) =>
      Temporal.Instant.compare(one.dueAt, other.dueAt) || (keyOf(one) < keyOf(other) ? -1 : 1),
  );
}

/** Of equals the smaller id of the patient goes first, as with every other limit. */
function keyOf({ patientId, journeyId }: Queued): string {
  return `${patientId} ${journeyId}`;
}

interface Giving {
  line: readonly Queued[];
  invitations: readonly GuardFacts[];
  places: Places;
  rules: ReadonlyMap<string, RuleWish>;
  left: ReadonlyMap<string, number>;
}

function giveSlots(giving: Giving, { clinic, now, verdicts }: LimitTerms): Set<string> {
  const { line, invitations, places, rules } = giving;
  const mine = Map.groupBy(invitations, ({ journeyId }) => journeyId ?? '');
  const left = new Map(giving.left);
  const unseated = new Set<string>();
  let keepsForOthers = false;
  for (const { ruleId, journeyId, anchor } of line) {
    const own = mine.get(journeyId) ?? [];
    const leftOfRule = left.get(ruleId) ?? Number.POSITIVE_INFINITY;
    if (leftOfRule <= 0) {
      for (const { id } of own) unseated.add(id);
      continue;
    }
    if (places.take(wishOf(rules.get(ruleId), anchor))) {
      left.set(ruleId, leftOfRule - 1);
      keepsForOthers ||= own.length === 0;
      continue;
    }
    const held = keepsForOthers ? heldForTurn : heldUntilTomorrow;
    for (const facts of own) verdicts.set(facts.id, held('capacity', facts, clinic, now));
  }
  return unseated;
}

const nothing: RuleWish = Object.freeze({ services: [], practitioners: [] });

/** The practitioner or the service of the visit that it follows, else what the rule names. */
export function wishOf(
  { services, practitioners }: RuleWish = nothing,
  anchor: Guard['anchor'] | null | undefined,
): Wish {
  if (anchor?.kind !== 'visit') return { services, practitioners };
  const { scope, practitionerId, serviceIds } = anchor;
  return {
    services: scope === 'same-service' && serviceIds?.length ? serviceIds : services,
    practitioners:
      scope === 'same-practitioner' && practitionerId ? [practitionerId] : practitioners,
  };
}
