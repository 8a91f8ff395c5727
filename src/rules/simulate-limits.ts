import { addToDay, isBefore, startOfDay } from '../local-time.ts';
import { amountToMicros } from '../money.ts';
import { byRank } from '../outbox/arbitrate.ts';
import { invitationKept } from '../outbox/hold-over-capacity.ts';
import { openPlaces } from '../outbox/places.ts';
import { hasHours } from '../outbox/sending-hours.ts';
import type { Candidate } from './agenda.ts';
import { findAnomalies } from './simulate-anomaly.ts';
import { rankOf } from './simulate-contenders.ts';
import { contactsOf, type Day, goersOf, isBooked, keepBack, type Round } from './simulate-round.ts';
import { channelOf } from './simulate-world.ts';

/** Who stays because of what a rule, the clinic or its free slots allow in a day, as the dispatcher holds them. Pure. */

/** Whose rule would do many times what it usually does in a day waits until people have looked. */
export function holdUnusual(round: Round, { agenda, state, end }: Day): void {
  const first = goersOf(round).filter(({ item }) => item.isFirst);
  if (first.length === 0) return;
  const later = agenda.all().filter(({ item }) => !isBooked(item, round.now));
  const items = (candidates: readonly Candidate[]) => candidates.map(({ item }) => item);
  const held = findAnomalies(items(first), items(later), state);
  for (const candidate of first) {
    if (held.has(candidate.item.rule.id))
      round.stays.set(candidate, { reason: 'anomaly', until: end });
  }
}

/** First contacts beyond the day of their rule: the least overdue stay. */
export function holdOverRuleDays(round: Round, { state, end }: Day): void {
  const first = goersOf(round).filter(({ item }) => item.isFirst);
  for (const [ruleId, wanting] of Map.groupBy(first, ({ item }) => item.rule.id)) {
    const most = wanting[0]?.item.rule.definition.limits?.perDay;
    if (most === undefined) continue;
    const left = Math.max(0, most - (state.contactsOfDay.get(ruleId) ?? 0));
    for (const candidate of wanting.toSorted(byDue).slice(left))
      round.stays.set(candidate, { reason: 'daily-limit', until: end });
  }
}

/** The longest due first, as the dispatcher gives places away. */
function byDue({ item: one }: Candidate, { item: other }: Candidate): number {
  const order = Temporal.Instant.compare(one.since, other.since);
  if (order !== 0) return order;
  if (one.patientId === other.patientId) return byRank(rankOf(one), rankOf(other));
  return one.patientId < other.patientId ? -1 : 1;
}

export function holdOverCapacity(round: Round, { day, world, state, end }: Day): void {
  const pools = world.pools.filter((pool) => pool.day >= day);
  if (pools.length === 0) return;
  const places = openPlaces(pools);
  const since = startOfDay(day, world.clinic.timeZone).subtract(invitationKept);
  for (const { wish, leftAt } of state.open) if (!isBefore(leftAt, since)) places.take(wish);
  for (const candidate of goersOf(round).toSorted(byDue)) {
    const wish = candidate.item.isFirst ? world.wishOf(candidate.item) : null;
    if (wish === null) continue;
    if (!places.take(wish)) round.stays.set(candidate, { reason: 'capacity', until: end });
  }
}

/** Of what a rule may still spend the longest due take first, message by message. */
export function holdOverBudget(round: Round, { day, world, state, end }: Day): void {
  for (const [ruleId, wanting] of Map.groupBy(goersOf(round), ({ item }) => item.rule.id)) {
    const { budget, messages } = wanting[0]?.item.rule.definition.limits ?? {};
    if (budget === undefined && messages === undefined) continue;
    const spent = state.spentDays.get(ruleId) ?? [];
    const since = (per: string) => spent.filter((each) => each.day > addToDay(day, `-${per}`));
    let leftMicros = Number.POSITIVE_INFINITY;
    let leftMessages = Number.POSITIVE_INFINITY;
    if (budget !== undefined)
      leftMicros =
        amountToMicros(budget.amount) - sumOf(since(budget.per), ({ costMicros }) => costMicros);
    if (messages !== undefined)
      leftMessages = messages.count - sumOf(since(messages.per), (each) => each.messages);
    for (const candidate of wanting.toSorted(byDue)) {
      const { item } = candidate;
      const kept = contactsOf(candidate, round).filter((contact) => {
        const costMicros = world.priceOf({ ...item, contacts: [contact] });
        if ((costMicros > 0 && costMicros > leftMicros) || leftMessages < 1) return true;
        leftMicros -= costMicros;
        leftMessages -= 1;
        return false;
      });
      keepBack(candidate, kept, { reason: 'budget', until: end }, round);
    }
  }
}

function sumOf<Given>(all: readonly Given[], of: (each: Given) => number): number {
  return all.reduce((sum, each) => sum + of(each), 0);
}

/** So many messages a day, of all rules. */
export function holdOverDay(round: Round, { world, state, end }: Day): void {
  const counted = goersOf(round)
    .filter(({ item }) => hasHours(channelOf(item)))
    .toSorted(({ item: one }, { item: other }) => byRank(rankOf(one), rankOf(other)));
  for (const candidate of counted) {
    const room = Math.max(0, world.clinic.settings.messagesPerDay - state.sentOfDay);
    const going = contactsOf(candidate, round).filter(({ channel }) => hasHours(channel));
    keepBack(candidate, going.slice(room), { reason: 'daily-limit', until: end }, round);
    state.sentOfDay += Math.min(going.length, room);
  }
}
