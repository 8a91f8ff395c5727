import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import type { Clinic } from '../history/clinic.ts';
import { addToDay, localDay } from '../local-time.ts';
import type { EffectiveChannel } from './channel-store.ts';
import type { Verdict } from './guard.ts';
import type { GuardFacts } from './guard-store.ts';
import { holdAnomalies, type Look } from './hold-anomalies.ts';
import { holdOverCapacity } from './hold-over-capacity.ts';
import { heldForTurn, heldUntilTomorrow } from './judge-message.ts';
import { priceTexts } from './price-texts.ts';
import { openPurse, type Purse } from './purse.ts';
import type { RenderDeps } from './render-message.ts';
import {
  addToRuleDays,
  type DaySpending,
  findBegunJourneys,
  findLimits,
  findMostOverdue,
  findWaitingOfRule,
  lockRuleDays,
  readSpent,
  type Spent,
  type StoredLimits,
  type Waiting,
} from './rule-days-store.ts';
import { findTemplates } from './template-store.ts';
import { byTurn, type Turn } from './turns.ts';

/**
 * The hard stops of rules: a day that is not usual, the clinic's free slots, so many first contacts a day, so
 * much money or so many messages a period. They are counted in the transaction that commits the intent to
 * send, by one sender at a time, so that none goes beyond them.
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
  deps: RenderDeps;
  /** All that are set up. */
  channels: ReadonlyMap<ChannelName, EffectiveChannel>;
  /** Journeys of which it is known already that nothing goes now: they take nobody's place. */
  stayers: ReadonlySet<string>;
}

export interface WithinLimits {
  /** What those that may go count, of all rules. */
  counted: Counted[];
  /** At the days of rules. */
  looks: Look[];
}

/** Holds what would go beyond its rule's limits, or the clinic's free slots. */
export async function holdOverLimits(
  goers: readonly Priced[],
  terms: LimitTerms,
): Promise<WithinLimits> {
  const { trx, clinic, verdicts } = terms;
  // A further attempt was counted with the first.
  const fresh = goers.filter(({ facts }) => facts.attemptNo === 0 && facts.ruleId !== null);
  if (fresh.length === 0) return { counted: [], looks: [] };
  const going = () => fresh.filter(({ facts }) => verdicts.get(facts.id)?.state === 'go');
  const begun = await findBegunJourneys(
    trx,
    clinic.id,
    fresh.flatMap(({ facts }) => facts.journeyId ?? []),
  );
  const isFirst = ({ facts }: Priced) => facts.journeyId !== null && !begun.has(facts.journeyId);
  const firsts = () =>
    going()
      .filter(isFirst)
      .map(({ facts }) => facts);

  const looks = await holdAnomalies(firsts(), terms);
  const rules = await openRules(fresh, terms);
  const left = leftOfRules(rules, going());
  const unseated = await holdOverCapacity(firsts(), left, withStayers(fresh, terms));
  const inner = withStayers(fresh, terms);
  const byRule = Map.groupBy(going(), ({ facts }) => facts.ruleId ?? '');
  const counted: Counted[] = [];
  for (const [ruleId, wanted] of byRule) {
    const rule = rules.get(ruleId) ?? { id: ruleId, limits: {}, spent: nothingSpent };
    counted.push(...(await holdOfRule(rule, wanted.toSorted(byDue), isFirst, inner)));
  }
  for (const { facts } of going()) {
    if (!unseated.has(facts.id)) continue;
    verdicts.set(facts.id, heldForTurn('capacity', facts, clinic, terms.now));
  }
  return { counted, looks };
}

interface LimitedRule {
  id: string;
  limits: StoredLimits;
  spent: Spent;
}

/** The rules with limits, which nobody else counts from now on. */
async function openRules(
  fresh: readonly Priced[],
  { trx, clinic, now }: LimitTerms,
): Promise<Map<string, LimitedRule>> {
  const ruleIds = [...new Set(fresh.flatMap(({ facts }) => facts.ruleId ?? []))];
  const limited = await findLimits(trx, clinic.id, ruleIds);
  await lockRuleDays(
    trx,
    clinic.id,
    limited.map(({ ruleId }) => ruleId),
  );
  const rules = new Map<string, LimitedRule>();
  for (const { ruleId: id, limits } of limited) {
    rules.set(id, { id, limits, spent: await spentOfRule(trx, clinic, id, limits, now) });
  }
  return rules;
}

/** How many more each rule may begin by its own limits, if their messages cost what these do. */
function leftOfRules(
  rules: ReadonlyMap<string, LimitedRule>,
  fresh: readonly Priced[],
): Map<string, number> {
  const byRule = Map.groupBy(fresh, ({ facts }) => facts.ruleId ?? '');
  return new Map(
    [...rules.values()].map(({ id, limits, spent }) => {
      const prices = (byRule.get(id) ?? []).map(({ costMicros }) => costMicros);
      const priced = prices.filter((costMicros) => costMicros > 0);
      const left = openPurse(limits, spent).leftAt(priced.length === 0 ? 0 : Math.min(...priced));
      const { perDay } = limits;
      return [id, perDay === undefined ? left : Math.min(perDay - spent.contactsToday, left)];
    }),
  );
}

/** Who has been held meanwhile takes nobody's place either. */
function withStayers(fresh: readonly Priced[], terms: LimitTerms): LimitTerms {
  const held = fresh.flatMap(({ facts }) =>
    terms.verdicts.get(facts.id)?.state === 'go' ? [] : (facts.journeyId ?? []),
  );
  return { ...terms, stayers: new Set([...terms.stayers, ...held]) };
}

/** Counts what goes in the end, and keeps what was seen of the day. */
export async function countGoers(
  { counted, looks }: WithinLimits,
  { trx, clinic, now, verdicts }: LimitTerms,
): Promise<void> {
  const sums = new Map<string, DaySpending>(
    looks.map(({ ruleId, isHeld, foreseen, usual, waiting }) => [
      ruleId,
      { ...nothingOf(ruleId), anomaly: isHeld ? 'held' : null, foreseen, usual, waiting },
    ]),
  );
  for (const { id, ruleId, contacts, costMicros } of counted) {
    if (verdicts.get(id)?.state !== 'go') continue;
    const sum = sums.get(ruleId) ?? nothingOf(ruleId);
    sums.set(ruleId, {
      ...sum,
      contacts: sum.contacts + contacts,
      costMicros: sum.costMicros + costMicros,
      messages: sum.messages + 1,
    });
  }
  await addToRuleDays(trx, clinic.id, localDay(now, clinic.timeZone), [...sums.values()]);
}

function nothingOf(ruleId: string): DaySpending {
  return { ruleId, contacts: 0, costMicros: 0, messages: 0 };
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
function byDue(one: Priced, other: Priced): number {
  return byTurn(turnOf(one), turnOf(other));
}

function turnOf({ facts: { id, journeyId, patientId, guard } }: Priced): Turn {
  return {
    ...{ id, journeyId, patientId },
    dueAt: guard.since === undefined ? null : Temporal.Instant.from(guard.since),
  };
}

const nothingSpent: Spent = Object.freeze({ contactsToday: 0, costMicros: 0, messages: 0 });

async function holdOfRule(
  { id: ruleId, limits, spent }: LimitedRule,
  wanted: readonly Priced[],
  isFirst: (message: Priced) => boolean,
  given: LimitTerms,
): Promise<Counted[]> {
  const { clinic, now, verdicts } = given;
  const { perDay } = limits;
  if (perDay !== undefined) {
    await keepToDay(ruleId, wanted.filter(isFirst), perDay - spent.contactsToday, given);
  }
  const terms = withStayers(wanted, given);
  const going = wanted.filter(({ facts }) => verdicts.get(facts.id)?.state === 'go');
  const mine = new Map(going.map((each) => [each.facts.id, each]));
  const purse = openPurse(limits, spent);
  const found = await findLine(ruleId, going, purse, terms);
  // Where only messages are counted nobody asks what they cost.
  const reserves =
    limits.budget === undefined ? new Map<string, number>() : await priceLine(found, mine, terms);
  const known = new Set(found.map(({ id }) => id));
  const missing = going.filter(({ facts }) => !known.has(facts.id));
  const counted: Counted[] = [];
  let keepsForOthers = false;
  for (const turn of [...missing.map(turnOf), ...found].toSorted(byTurn)) {
    const { id } = turn;
    const own = mine.get(id);
    if (own === undefined) {
      keepsForOthers = purse.take(reserves.get(id) ?? 0) || keepsForOthers;
      continue;
    }
    const { facts, costMicros } = own;
    if (purse.take(costMicros)) {
      counted.push({ id, ruleId, contacts: isFirst(own) ? 1 : 0, costMicros });
      continue;
    }
    const held = keepsForOthers ? heldForTurn : heldUntilTomorrow;
    verdicts.set(id, held('budget', facts, clinic, now));
  }
  return counted;
}

/** Of all that wait, how many are looked at who may come before those of a batch. */
const queueMax = 1_000;

/** Who may come before these, on whatever channel and in whosever hands; nobody is asked where there is plenty for all. */
async function findLine(
  ruleId: string,
  going: readonly Priced[],
  purse: Purse,
  terms: LimitTerms,
): Promise<Waiting[]> {
  const prices = going.map(({ costMicros }) => costMicros).filter((costMicros) => costMicros > 0);
  const left = purse.leftAt(prices.length === 0 ? 0 : Math.min(...prices));
  if (going.length === 0 || left === 0 || left > going.length + queueMax) return [];
  return findWaitingOfRule(terms.trx, terms.clinic.id, {
    ...{ ruleId, now: terms.now, limit: left + going.length, except: terms.stayers },
    going: new Set(going.flatMap(({ facts }) => facts.journeyId ?? [])),
  });
}

/** What is kept for those in others' hands, whom it is not known yet that their messages may name. */
async function priceLine(
  found: readonly Waiting[],
  mine: ReadonlyMap<string, Priced>,
  { deps, trx, clinic, channels, now }: LimitTerms,
): Promise<Map<string, number>> {
  const others = found.filter(({ id }) => !mine.has(id));
  const names = new Set(others.flatMap(({ template }) => template ?? []));
  const templates = new Map(
    (await findTemplates(trx, clinic.id, [...names])).map((each) => [each.name, each]),
  );
  const asks = others.flatMap(({ anchor, ...other }) => {
    const template = templates.get(other.template ?? '');
    if (template === undefined) return [];
    return { ...other, template, at: now, ...(anchor !== null && { anchor }) };
  });
  const prices = await priceTexts({ deps, clinic, channels }, trx, asks);
  return new Map(asks.map(({ id }, at) => [id, prices[at] ?? 0]));
}

async function keepToDay(
  ruleId: string,
  first: readonly Priced[],
  left: number,
  { trx, clinic, now, verdicts, stayers }: LimitTerms,
): Promise<void> {
  if (first.length === 0) return;
  const mine = new Set(first.flatMap(({ facts }) => facts.journeyId ?? []));
  const chosen =
    left <= 0
      ? new Set<string>()
      : await findMostOverdue(trx, clinic.id, {
          ruleId,
          now,
          limit: left,
          going: mine,
          except: stayers,
        });
  const keepsForOthers = [...chosen].some((id) => !mine.has(id));
  const held = keepsForOthers ? heldForTurn : heldUntilTomorrow;
  for (const { facts } of first) {
    if (facts.journeyId !== null && chosen.has(facts.journeyId)) continue;
    verdicts.set(facts.id, held('daily-limit', facts, clinic, now));
  }
}
