import fc from 'fast-check';
import t from 'tap';
import { newcombe } from '../../src/reports/interval.ts';

// Newcombe 1998, table II, method 10.
const published = [
  { one: [56, 70], other: [48, 80], low: 0.0524, high: 0.3339 },
  { one: [9, 10], other: [3, 10], low: 0.1705, high: 0.809 },
  { one: [6, 7], other: [2, 7], low: 0.0582, high: 0.8062 },
  { one: [5, 56], other: [0, 29], low: -0.0381, high: 0.1926 },
  { one: [0, 10], other: [0, 20], low: -0.1611, high: 0.2775 },
  { one: [0, 10], other: [0, 10], low: -0.2775, high: 0.2775 },
  { one: [10, 10], other: [0, 20], low: 0.6791, high: 1 },
  { one: [10, 10], other: [0, 10], low: 0.6075, high: 1 },
] as const;

for (const { one, other, low, high } of published) {
  t.test(
    `the interval of ${one.join('/')} - ${other.join('/')} is the published one`,
    async (t) => {
      const found = newcombe({ count: one[0], of: one[1] }, { count: other[0], of: other[1] });
      t.equal(found.low.toFixed(4), low.toFixed(4));
      t.equal(found.high.toFixed(4), high.toFixed(4));
    },
  );
}

const proportion = fc
  .integer({ min: 1, max: 5_000 })
  .chain((of) => fc.record({ count: fc.integer({ min: 0, max: of }), of: fc.constant(of) }));

t.test('an interval holds its difference, stays within 1, and mirrors', async () => {
  fc.assert(
    fc.property(proportion, proportion, (one, other) => {
      const found = newcombe(one, other);
      const mirrored = newcombe(other, one);
      const slack = 1e-9;
      return (
        found.low <= found.difference + slack &&
        found.difference <= found.high + slack &&
        found.low >= -1 - slack &&
        found.high <= 1 + slack &&
        Math.abs(found.low + mirrored.high) < slack
      );
    }),
  );
});
