import { addToDay, isBefore, localDay, startOfDay } from '../local-time.ts';
import { simulateDay } from './simulate-day.ts';
import type { Happening, State, World } from './simulate-world.ts';

/**
 * What leaves on coming days when nobody answers, books or changes: all rules of a clinic together, since they
 * compete for a patient's day. The dispatcher decides the same from what stands in the outbox. Pure.
 */
export function* simulate(world: World): Generator<Happening> {
  const { clinic, from, upTo } = world;
  const zone = clinic.timeZone;
  const state = openState(world);
  for (let day = localDay(from, zone); ; day = addToDay(day, 'P1D')) {
    const begin = startOfDay(day, zone);
    if (isBefore(upTo, begin)) break;
    yield* simulateDay(day, isBefore(begin, from) ? from : begin, world, state);
  }
  for (const item of state.waiting) yield { kind: 'waiting', item, reason: item.waits };
}

function openState(world: World): State {
  return {
    waiting: [...world.items],
    books: Map.groupBy(world.contactDays, ({ address }) => address),
    running: new Map(world.running),
    contactsOfDay: new Map(world.contactsToday),
    spentDays: new Map([...world.spentDays].map(([ruleId, days]) => [ruleId, [...days]])),
    ruleDays: new Map(world.ruleDays),
    open: [...world.openInvitations],
    sentOfDay: 0,
  };
}
