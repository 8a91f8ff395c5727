/** How sure a difference between two groups is. */

export interface Proportion {
  /** How many of the group did it. */
  count: number;
  /** The size of the group, at least 1. */
  of: number;
}

export interface Difference {
  difference: number;
  low: number;
  high: number;
}

/** The two-sided 95 % point of the normal distribution. */
const z = 1.959963984540054;

/**
 * The difference of two independent proportions with its 95 % interval: Newcombe's hybrid score method
 * (Statistics in Medicine 1998; 17: 873-890, method 10). It stays within -1 and 1 and holds for small groups.
 */
export function newcombe(one: Proportion, other: Proportion): Difference {
  const p1 = one.count / one.of;
  const p2 = other.count / other.of;
  const [low1, high1] = wilson(one);
  const [low2, high2] = wilson(other);
  const difference = p1 - p2;
  return {
    difference,
    low: difference - Math.hypot(p1 - low1, high2 - p2),
    high: difference + Math.hypot(high1 - p1, p2 - low2),
  };
}

function wilson({ count, of }: Proportion): [number, number] {
  const p = count / of;
  const middle = 2 * of * p + z * z;
  const reach = z * Math.sqrt(z * z + 4 * of * p * (1 - p));
  const scale = 2 * (of + z * z);
  return [(middle - reach) / scale, (middle + reach) / scale];
}
