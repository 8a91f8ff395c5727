import type { Clinic } from '../history/clinic.ts';
import { earlier, localDay } from '../local-time.ts';
import { type HouseholdMessage, isMinorOn, mergeHousehold } from './arbitrate.ts';
import type { Verdict } from './guard.ts';
import type { GuardFacts } from './guard-store.ts';
import type { Outranked } from './hold-outranked.ts';
import { heldFor, heldUntilTomorrow, little, othersTurn } from './judge-message.ts';
import type { Batch } from './lock-batch.ts';

/**
 * One message for all of a household who are due that day: who carries it, whom it names, and what becomes of
 * their own messages. Only those are named against whom nothing speaks but the hour. Pure.
 */

export interface Merging {
  /** By the message that goes: whom it names beside its own patient. */
  named: Map<string, GuardFacts[]>;
  /** What ends as `household`, once its carrier goes. */
  absorbed: { facts: GuardFacts; carrierId: string; isDue: boolean }[];
  /** Further messages of the same people, which wait for the carrier. */
  outranked: Outranked[];
  /** Carriers that are due later today, or on another channel: these go first, and now. */
  called: string[];
}

/** Whose contact has no place of its own today; another of the household may still have one. */
const placeReasons: readonly string[] = ['frequency-cap', 'lower-priority'];

/** Who waits for more than their turn does not speak for anybody until that is over. */
export function isResting(reason: string | null): boolean {
  return reason !== null && (reason === 'channel-paused' || placeReasons.includes(reason));
}

export interface MergeTerms {
  verdicts: Map<string, Verdict>;
  /** Whether there are words for it. */
  isWorded: (facts: GuardFacts) => boolean;
  clinic: Clinic;
  now: Temporal.Instant;
}

/** Decides, and gives the verdicts that follow; a carrier may still be held after it. */
export function mergeHouseholds(batch: Batch, terms: MergeTerms): Merging {
  const merging: Merging = { named: new Map(), absorbed: [], outranked: [], called: [] };
  if (!terms.clinic.settings.householdMerging) return merging;
  const { verdicts } = terms;
  const dueIds = new Set(batch.due.map(({ id }) => id));
  const goers = batch.due.filter(({ id }) => verdicts.get(id)?.state === 'go');
  const stepsOfGoers = new Set(goers.map(stepOf));
  // The same step on another channel is the same contact, and follows by itself.
  const others = batch.companions.filter((facts) => !stepsOfGoers.has(stepOf(facts)));
  const candidates = [...batch.due, ...others].filter((facts) => mayMerge(facts, terms));
  const groups = Map.groupBy(candidates, ({ household, purpose }) => `${purpose} ${household}`);
  for (const group of groups.values()) {
    const due = group.filter(
      ({ id }) => dueIds.has(id) && !batch.namedOnly.has(id) && verdicts.get(id)?.state === 'go',
    );
    if (due.length > 0) mergeGroup(group, dueIds, batch, merging, terms);
  }
  holdUnnamed(batch, merging, terms);
  for (const facts of batch.due) {
    const carried = merging.named.has(facts.id) ? [] : carriedBy(facts, batch, terms);
    if (carried.length > 0) merging.named.set(facts.id, carried);
  }
  return merging;
}

function stepOf({ journeyId, step, id }: GuardFacts): string {
  return journeyId === null ? id : `${journeyId}/${step}`;
}

/** What is said of a contact point, or of the hour, when nothing else speaks against a message. */
const contactReasons: readonly string[] = ['go', 'send-window', 'no-consent', 'opted-out'];

function reasonOf(verdict: Verdict): string {
  return verdict.state === 'go' ? 'go' : verdict.reason;
}

/** Whom nobody names has no contact point, as before. */
function holdUnnamed(
  { due, namedOnly }: Batch,
  { absorbed }: Merging,
  { verdicts, now }: MergeTerms,
): void {
  const named = new Set(absorbed.map(({ facts }) => facts.id));
  for (const facts of due) {
    const verdict = verdicts.get(facts.id);
    const isOfContact = verdict !== undefined && contactReasons.includes(reasonOf(verdict));
    if (!namedOnly.has(facts.id) || named.has(facts.id) || !isOfContact) continue;
    verdicts.set(facts.id, heldFor('no-contact-point', facts, now));
  }
}

type Candidate = HouseholdMessage & { facts: GuardFacts };

function mergeGroup(
  group: readonly GuardFacts[],
  dueIds: ReadonlySet<string>,
  { carried, namedOnly }: Batch,
  merging: Merging,
  terms: MergeTerms,
): void {
  const { verdicts, clinic, now } = terms;
  const merged = mergeHousehold(
    group.map((facts) => toCandidate(facts, { dueIds, namedOnly }, terms)),
  );
  if (merged === null) return;
  const { carrier } = merged;
  const others = group.filter(({ id }) => id !== carrier.id && dueIds.has(id));
  if (!dueIds.has(carrier.id)) {
    merging.called.push(carrier.id);
    for (const facts of others) {
      if (verdicts.get(facts.id)?.state === 'go') verdicts.set(facts.id, heldBriefly(facts, now));
    }
    return;
  }
  const companions = merged.companions.map(({ facts }) => facts);
  for (const facts of companions) {
    verdicts.set(facts.id, { state: 'suppressed', reason: 'household' });
    merging.absorbed.push({ facts, carrierId: carrier.id, isDue: dueIds.has(facts.id) });
  }
  const earlier = [carrier.facts, ...companions].flatMap((facts) =>
    carriedBy(facts, { carried }, terms),
  );
  merging.named.set(carrier.id, distinctPeople([...companions, ...earlier], carrier.patientId));
  const taken = new Set(companions.map(({ id }) => id));
  const best = Math.max(carrier.priority, ...companions.map(({ priority }) => priority));
  for (const facts of others) {
    const isGoing = verdicts.get(facts.id)?.state === 'go' && !namedOnly.has(facts.id);
    if (taken.has(facts.id) || !isGoing) continue;
    const reason = facts.priority < best ? 'lower-priority' : 'frequency-cap';
    verdicts.set(facts.id, heldUntilTomorrow(reason, facts, clinic, now));
    merging.outranked.push({ facts, by: [carrier.id] });
  }
}

/** Nothing speaks against it but that its hour is later. */
function mayMerge(facts: GuardFacts, { verdicts, isWorded }: MergeTerms): boolean {
  return facts.mayMerge && facts.attemptNo === 0 && isOnlyEarly(facts, verdicts) && isWorded(facts);
}

function isOnlyEarly({ id }: GuardFacts, verdicts: ReadonlyMap<string, Verdict>): boolean {
  const verdict = verdicts.get(id);
  return verdict?.state === 'go' || (verdict?.state === 'held' && verdict.reason === 'send-window');
}

function toCandidate(
  facts: GuardFacts,
  { dueIds, namedOnly }: { dueIds: ReadonlySet<string>; namedOnly: ReadonlySet<string> },
  { verdicts, clinic, now }: MergeTerms,
): Candidate {
  const { id, priority, patientId, birthDate, guard, scheduledAt, lastReason } = facts;
  const isGoing = verdicts.get(id)?.state === 'go' && !namedOnly.has(id);
  return {
    ...{ id, priority, patientId, birthDate, facts },
    dueAt: guard.since === undefined ? scheduledAt : Temporal.Instant.from(guard.since),
    isMinor: isMinorOn(localDay(now, clinic.timeZone), facts),
    mayCarry: isGoing && (dueIds.has(id) || !isResting(lastReason)),
  };
}

/** Whom the earlier messages of the same journey named, and who has not answered since. */
function carriedBy(
  { journeyId, patientId }: GuardFacts,
  { carried }: Pick<Batch, 'carried'>,
  { verdicts }: MergeTerms,
): GuardFacts[] {
  const all = (journeyId !== null && carried.get(journeyId)) || [];
  return distinctPeople(
    all.filter((facts) => isOnlyEarly(facts, verdicts)),
    patientId,
  );
}

function distinctPeople(all: readonly GuardFacts[], exceptId: string): GuardFacts[] {
  const byPatient = new Map<string, GuardFacts>();
  for (const facts of all) {
    if (facts.patientId !== exceptId && !byPatient.has(facts.patientId))
      byPatient.set(facts.patientId, facts);
  }
  return [...byPatient.values()];
}

function heldBriefly(facts: GuardFacts, now: Temporal.Instant): Verdict {
  const until = earlier(now.add(little), facts.expiresAt);
  return { state: 'held', reason: 'lower-priority', until };
}

/** Those whose own messages end because one of these names them. */
export function namedIn({ absorbed }: Merging, goers: readonly GuardFacts[]): GuardFacts[] {
  const carriers = new Set(goers.map(({ id }) => id));
  return absorbed.filter(({ carrierId }) => carriers.has(carrierId)).map(({ facts }) => facts);
}

/** Where a carrier does not go after all, those it was to name wait as it does. @returns what ends with a carrier that goes. */
export function settleHouseholds(
  merging: Merging,
  verdicts: Map<string, Verdict>,
  now: Temporal.Instant,
): Merging['absorbed'] {
  for (const { facts, carrierId, isDue } of merging.absorbed) {
    const verdict = verdicts.get(carrierId);
    if (verdict?.state === 'go') continue;
    if (isDue) verdicts.set(facts.id, heldWith(verdict, facts, now));
    else verdicts.delete(facts.id);
  }
  return merging.absorbed.filter(({ carrierId }) => verdicts.get(carrierId)?.state === 'go');
}

function heldWith(verdict: Verdict | undefined, facts: GuardFacts, now: Temporal.Instant): Verdict {
  if (verdict?.state !== 'held') return heldBriefly(facts, now);
  return { ...verdict, until: earlier(untilHeldWith(verdict, now), facts.expiresAt) };
}

/** Until when those wait whom a message was to name that stays. */
export function untilHeldWith(
  { reason, until }: { reason: string; until: Temporal.Instant },
  now: Temporal.Instant,
): Temporal.Instant {
  if (reason === 'channel-paused') return until;
  // Who carries it instead is decided as soon as the first one rests.
  const wait = placeReasons.includes(reason) ? little : othersTurn;
  return earlier(now.add(wait), until);
}
