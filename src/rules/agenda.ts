import { isBefore } from '../local-time.ts';
import type { Item } from './simulate-world.ts';

/** What is still to be looked at on a simulated day, in the order of time. */

export interface Candidate {
  item: Item;
  /** When it is looked at. */
  turn: Temporal.Instant;
}

export interface Agenda {
  add(candidate: Candidate): void;
  remove(candidate: Candidate): void;
  /** All whose turn comes first, and together; none when the day is over. */
  take(): Candidate[];
  /** What stands under any of these keys. */
  under(keys: Iterable<string>): Candidate[];
  all(): Candidate[];
}

/** @param keysOf under which it is found. */
export function openAgenda(keysOf: (item: Item) => Iterable<string>): Agenda {
  const byTurn = new Map<bigint, Set<Candidate>>();
  const byKey = new Map<string, Set<Candidate>>();
  const put = <Key>(map: Map<Key, Set<Candidate>>, key: Key, candidate: Candidate) => {
    const found = map.get(key);
    if (found === undefined) map.set(key, new Set([candidate]));
    else found.add(candidate);
  };
  const drop = <Key>(map: Map<Key, Set<Candidate>>, key: Key, candidate: Candidate) => {
    const found = map.get(key);
    found?.delete(candidate);
    if (found?.size === 0) map.delete(key);
  };
  const remove = (candidate: Candidate) => {
    drop(byTurn, candidate.turn.epochNanoseconds, candidate);
    for (const key of keysOf(candidate.item)) drop(byKey, key, candidate);
  };
  return {
    add: (candidate) => {
      put(byTurn, candidate.turn.epochNanoseconds, candidate);
      for (const key of keysOf(candidate.item)) put(byKey, key, candidate);
    },
    remove,
    take: () => {
      const first = [...byTurn.keys()].reduce<bigint | null>(
        (least, at) => (least === null || at < least ? at : least),
        null,
      );
      const taken = first === null ? [] : [...(byTurn.get(first) ?? [])];
      for (const candidate of taken) remove(candidate);
      return taken;
    },
    all: () => [...byTurn.values()].flatMap((candidates) => [...candidates]),
    under: (keys) => [...new Set([...keys].flatMap((key) => [...(byKey.get(key) ?? [])]))],
  };
}

/** The earliest turn; null where there is none. */
export function firstTurn(candidates: readonly Candidate[]): Temporal.Instant | null {
  return candidates.reduce<Temporal.Instant | null>(
    (first, { turn }) => (first === null || isBefore(turn, first) ? turn : first),
    null,
  );
}
