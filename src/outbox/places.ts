/**
 * How many invitations the free slots of a clinic can take. Slots may be for one service or practitioner or
 * for any, and so may invitations; each invitation needs a slot of its own. Pure.
 */

/** Slots of one kind; null stands for any. */
export interface Pool {
  service: string | null;
  practitioner: string | null;
  free: number;
}

/** What an invited patient may book; an empty list stands for anything. */
export interface Wish {
  services: readonly string[];
  practitioners: readonly string[];
}

export interface Places {
  /** Takes a slot for an invitation; false where none is left. True, too, where no slots of its kind are told. */
  take(wish: Wish): boolean;
}

/**
 * Slots are not given away for good: a later invitation that fits only one kind moves an earlier one to
 * another, as long as all of them fit somewhere.
 */
export function openPlaces(pools: readonly Pool[]): Places {
  const taken = pools.map(() => 0);
  const holders: { wish: Wish; held: number[] }[] = [];
  const byWish = new Map<string, { wish: Wish; held: number[] }>();

  const holderOf = (wish: Wish) => {
    const key = JSON.stringify([wish.services, wish.practitioners]);
    const known = byWish.get(key);
    if (known) return known;
    const made = { wish, held: pools.map(() => 0) };
    byWish.set(key, made);
    holders.push(made);
    return made;
  };

  /** Finds a slot for one more of a holder, moving others where that makes room. */
  const seat = (holder: { wish: Wish; held: number[] }, visited: Set<number>): boolean => {
    for (const [at, pool] of pools.entries()) {
      if (visited.has(at) || !fits(pool, holder.wish)) continue;
      visited.add(at);
      const isFree = (taken[at] ?? 0) < pool.free;
      if (!isFree && !makeRoom(at, visited)) continue;
      if (isFree) taken[at] = (taken[at] ?? 0) + 1;
      holder.held[at] = (holder.held[at] ?? 0) + 1;
      return true;
    }
    return false;
  };
  const makeRoom = (at: number, visited: Set<number>): boolean => {
    for (const other of holders) {
      if ((other.held[at] ?? 0) === 0 || !seat(other, visited)) continue;
      other.held[at] = (other.held[at] ?? 0) - 1;
      return true;
    }
    return false;
  };

  return {
    take: (wish) =>
      !pools.some((pool) => fits(pool, wish)) || seat(holderOf(wish), new Set<number>()),
  };
}

function fits({ service, practitioner }: Pool, { services, practitioners }: Wish): boolean {
  return suits(service, services) && suits(practitioner, practitioners);
}

function suits(offered: string | null, wanted: readonly string[]): boolean {
  return offered === null || wanted.length === 0 || wanted.includes(offered);
}
