import { amountToMicros } from '../money.ts';
import type { Spent, StoredLimits } from './rule-days-store.ts';

/** What a rule may still send and spend. */
export interface Purse {
  /** For how many messages of that price it lasts. */
  leftAt(costMicros: number): number;
  /** @returns false where there is not enough left, and then nothing is taken. */
  take(costMicros: number): boolean;
}

export function openPurse({ budget, messages }: StoredLimits, spent: Spent): Purse {
  let money = budget === undefined ? unlimited : amountToMicros(budget.amount) - spent.costMicros;
  let count = messages === undefined ? unlimited : messages.count - spent.messages;
  return {
    leftAt: (costMicros) =>
      Math.max(0, Math.min(count, costMicros === 0 ? unlimited : Math.floor(money / costMicros))),
    take: (costMicros) => {
      if (count <= 0 || (costMicros > 0 && costMicros > money)) return false;
      count -= 1;
      money -= costMicros;
      return true;
    },
  };
}

const unlimited = Number.POSITIVE_INFINITY;
