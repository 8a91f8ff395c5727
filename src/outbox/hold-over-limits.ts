import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { addToDay, localDay } from '../local-time.ts';
import { amountToMicros } from '../money.ts';
import type { Verdict } from './guard.ts';
import type { GuardFacts } from './guard-store.ts';
import { heldUntilTomorrow } from './judge-message.ts';
import {
  addToRuleDays,
  type DaySpending,
  findBegunJourneys,
  findLimits,
  findMostOverdue,
  lockRuleDays,
  readSpent,
  type Spent,
  type StoredLimits,
} from './rule-days-store.ts';

/**
 * The hard stops of rules: so many first contacts a day, so much money a period. They are counted in the
 * transaction that commits the intent to send, by one sender at a time, so that none goes beyond them.
 */

export interface Priced {
  facts: GuardFacts;
  costMicros: number;
}

/** What a rule's messages will have counted, if they go. */
export interface Counted {
  id: string;
  ruleId: string;
  contacts: 0 | 1;
  costMicros: number;
}

/** The messages of one transaction, under one clinic and instant. */
export interface LimitTerms {
  trx: Trx;
  clinic: Clinic;
  now: Temporal.Instant;
  verdicts: Map<string, Verdict>;
  /** Journeys of which it is known already that nothing goes now: they take nobody's place. */
  stayers: ReadonlySet<string>;
}

/** Holds what would go beyond its rule's limits. @returns what those that may go count, of all rules. */
export async function holdOverLimits(
  goers: readonly Priced[],
  terms: LimitTerms,
): Promise<Counted[]> {
  const { trx, clinic } = terms;
  // A further attempt was counted with the first.
  const fresh = goers.filter(({ facts }) => facts.attemptNo === 0 && facts.ruleId !== null);
  const byRule = Map.groupBy(fresh, ({ facts }) => facts.ruleId ?? '');
  const begun = await findBegunJourneys(
    trx,
    clinic.id,
    fresh.flatMap(({ facts }) => facts.journeyId ?? []),
  );
  const limited = await findLimits(trx, clinic.id, [...byRule.keys()]);
  await lockRuleDays(
    trx,
    clinic.id,
    limited.map(({ ruleId }) => ruleId),
  );
  const limits = new Map(limited.map((each) => [each.ruleId, each.limits]));
  const counted: Counted[] = [];
  for (const [ruleId, wanted] of byRule) {
    const rule = { id: ruleId, limits: limits.get(ruleId) ?? {} };
    counted.push(...(await holdOfRule(rule, wanted.toSorted(byDueOfPriced), begun, terms)));
  }
  return counted;
}

/** Counts what goes in the end. */
export async function countGoers(
  counted: readonly Counted[],
  { trx, clinic, now, verdicts }: LimitTerms,
): Promise<void> {
  const going = counted.filter(({ id }) => verdicts.get(id)?.state === 'go');
  const sums = [...Map.groupBy(going, ({ ruleId }) => ruleId)].map(([ruleId, each]) =>
    each.reduce<DaySpending>(
      (sum, { contacts, costMicros }) => ({
        ruleId,
        contacts: sum.contacts + contacts,
        costMicros: sum.costMicros + costMicros,
        messages: sum.messages + 1,
      }),
      { ruleId, contacts: 0, costMicros: 0, messages: 0 },
    ),
  );
  await addToRuleDays(trx, clinic.id, localDay(now, clinic.timeZone), sums);
}

/** What a rule has sent today, and spent in the days of its budget. */
export async function spentOfRule(
  trx: Trx,
  clinic: { id: string; timeZone: string },
  ruleId: string,
  limits: StoredLimits,
  now: Temporal.Instant,
): Promise<Spent> {
  const today = localDay(now, clinic.timeZone);
  const dayBefore = (per: string | undefined) =>
    per === undefined ? today : addToDay(today, `-${per}`);
  const after = dayBefore(limits.budget?.per);
  const messagesAfter = dayBefore(limits.messages?.per);
  return readSpent(trx, clinic.id, { ruleId, today, after, messagesAfter });
}

/** The longest due first. */
export function byDue(one: GuardFacts, other: GuardFacts): number {
  const [first, second] = [one.guard.since ?? '', other.guard.since ?? ''];
  if (first === second) return one.id < other.id ? -1 : 1;
  return first === '' || second === ''
    ? first.length - second.length
    : Temporal.Instant.compare(first, second);
}

function byDueOfPriced(one: Priced, other: Priced): number {
  return byDue(one.facts, other.facts);
}

const nothingSpent: Spent = Object.freeze({ contactsToday: 0, costMicros: 0, messages: 0 });

async function holdOfRule(
  rule: { id: string; limits: StoredLimits },
  wanted: readonly Priced[],
  begun: ReadonlySet<string>,
  terms: LimitTerms,
): Promise<Counted[]> {
  const { trx, clinic, now, verdicts } = terms;
  const { perDay, budget, messages } = rule.limits;
  const isLimited = Object.keys(rule.limits).length > 0;
  const spent = isLimited
    ? await spentOfRule(trx, clinic, rule.id, rule.limits, now)
    : nothingSpent;
  const isFirst = ({ facts }: Priced) => facts.journeyId !== null && !begun.has(facts.journeyId);
  if (perDay !== undefined) {
    const first = wanted.filter(isFirst);
    const left = perDay - spent.contactsToday;
    await keepToDay(rule.id, first, left, terms);
  }
  const most = budget === undefined ? Number.POSITIVE_INFINITY : amountToMicros(budget.amount);
  const mostMessages = messages?.count ?? Number.POSITIVE_INFINITY;
  const counted: Counted[] = [];
  let { costMicros: soFar } = spent;
  for (const each of wanted) {
    const { facts, costMicros } = each;
    if (verdicts.get(facts.id)?.state !== 'go') continue;
    const isOver =
      (costMicros > 0 && soFar + costMicros > most) ||
      spent.messages + counted.length >= mostMessages;
    if (isOver) {
      verdicts.set(facts.id, heldUntilTomorrow('budget', facts, clinic, now));
      continue;
    }
    soFar += costMicros;
    counted.push({ id: facts.id, ruleId: rule.id, contacts: isFirst(each) ? 1 : 0, costMicros });
  }
  return counted;
}

/** The places of others who are longer overdue are kept for them until they are judged. */
const othersTurn = Temporal.Duration.from('PT15M');

async function keepToDay(
  ruleId: string,
  first: readonly Priced[],
  left: number,
  { trx, clinic, now, verdicts, stayers }: LimitTerms,
): Promise<void> {
  if (first.length === 0) return;
  const chosen =
    left <= 0
      ? new Set<string>()
      : await findMostOverdue(trx, clinic.id, { ruleId, now, limit: left, except: stayers });
  const mine = new Set(first.map(({ facts }) => facts.journeyId));
  const keepsForOthers = [...chosen].some((id) => !mine.has(id));
  for (const { facts } of first) {
    if (facts.journeyId !== null && chosen.has(facts.journeyId)) continue;
    const verdict = heldUntilTomorrow('daily-limit', facts, clinic, now);
    if (verdict.state !== 'held') continue;
    const soon = now.add(othersTurn);
    const isSoon = keepsForOthers && Temporal.Instant.compare(soon, verdict.until) < 0;
    verdicts.set(facts.id, isSoon ? { ...verdict, until: soon } : verdict);
  }
}
