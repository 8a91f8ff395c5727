import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { openPlaces, type Pool, type Wish } from '../../src/outbox/places.ts';

const anything: Wish = { services: [], practitioners: [] };
const hygiene: Wish = { services: ['hygiene'], practitioners: [] };

t.test('no more are invited than there are slots', async (t) => {
  const places = openPlaces([{ service: null, practitioner: null, free: 2 }]);
  t.same([places.take(anything), places.take(hygiene), places.take(anything)], [true, true, false]);
});

t.test(
  'where nothing is told of a service it has no limit, and where none is left it has',
  async (t) => {
    const places = openPlaces([{ service: 'implant', practitioner: null, free: 0 }]);
    t.ok(places.take(hygiene));
    t.notOk(places.take({ services: ['implant'], practitioners: [] }));
  },
);

t.test('who can come to anybody makes room for who can come to one only', async (t) => {
  const places = openPlaces([
    { service: 'hygiene', practitioner: 'a', free: 1 },
    { service: 'hygiene', practitioner: 'b', free: 1 },
  ]);
  const toA: Wish = { services: ['hygiene'], practitioners: ['a'] };
  t.same([places.take(hygiene), places.take(toA), places.take(toA)], [true, true, false]);
});

t.test('an invitation is let go exactly while all invited still fit', async () => {
  const kind = fc.constantFrom(null, 'x', 'y');
  const pool: fc.Arbitrary<Pool> = fc.record({
    service: kind,
    practitioner: kind,
    free: fc.integer({ min: 0, max: 3 }),
  });
  const some = fc.subarray(['x', 'y', 'z']);
  const wish: fc.Arbitrary<Wish> = fc.record({ services: some, practitioners: some });
  fc.assert(
    fc.property(
      fc.array(pool, { maxLength: 4 }),
      fc.array(wish, { maxLength: 7 }),
      (pools, wishes) => {
        const places = openPlaces(pools);
        const seated: Wish[] = [];
        for (const each of wishes) {
          const isLimited = pools.some((it) => fits(it, each));
          const expected = !isLimited || allFit(pools, [...seated, each]);
          assert.equal(places.take(each), expected);
          if (expected && isLimited) seated.push(each);
        }
      },
    ),
  );
});

/** By trying every way. */
function allFit(pools: readonly Pool[], wishes: readonly Wish[]): boolean {
  const [first, ...others] = wishes;
  if (first === undefined) return true;
  return pools.some(
    (pool, at) =>
      pool.free > 0 &&
      fits(pool, first) &&
      allFit(
        pools.map((each, index) => (index === at ? { ...each, free: each.free - 1 } : each)),
        others,
      ),
  );
}

function fits(pool: Pool, { services, practitioners }: Wish): boolean {
  const suits = (offered: string | null, wanted: readonly string[]) =>
    offered === null || wanted.length === 0 || wanted.includes(offered);
  return suits(pool.service, services) && suits(pool.practitioner, practitioners);
}
