import fc from 'fast-check';
import t from 'tap';
import {
  arbitrate,
  type CapTerms,
  type Contender,
  type HouseholdMessage,
  isMinorOn,
  mergeHousehold,
} from '../../src/outbox/arbitrate.ts';

const one: CapTerms = { person: { perDay: 1, perWeek: 3 }, household: null };
const nothing = { today: 0, thisWeek: 0, priorityToday: null };
const morning = Temporal.Instant.from('2026-11-25T10:00:00Z');

function contender(id: string, wish: Partial<Contender> = {}): Contender {
  const keys = wish.keys ?? ['ann'];
  return {
    patientId: 'ann',
    id,
    priority: 50,
    dueAt: morning,
    keys,
    slot: `${keys[0]} care`,
    contacts: nothing,
    household: null,
    ...wish,
  };
}

function placesOf(contenders: Contender[], caps = one) {
  return Object.fromEntries(
    [...arbitrate(contenders, caps)].map(([id, place]) => [id, place.goes ? 'goes' : place.reason]),
  );
}

t.test('the higher priority goes, whoever is due first', async (t) => {
  const late = contender('late', { priority: 60, dueAt: morning.add({ hours: 5 }) });
  t.same(placesOf([contender('early'), late]), { early: 'lower-priority', late: 'goes' });
});

t.test('of equals the longer overdue goes, and the other is not called lower', async (t) => {
  const later = contender('a', { dueAt: morning.add({ hours: 1 }) });
  t.same(placesOf([later, contender('b')]), { a: 'frequency-cap', b: 'goes' });
});

t.test('who loses takes no place from somebody else', async (t) => {
  const first = contender('first', { priority: 70, keys: ['ann', '+1'] });
  const second = contender('second', { priority: 60, keys: ['bob', '+1', '+2'] });
  const third = contender('third', { priority: 50, keys: ['eve', '+2'] });
  t.same(placesOf([third, second, first]), {
    first: 'goes',
    second: 'lower-priority',
    third: 'goes',
  });
});

t.test('what has left today counts, and is named if it was higher', async (t) => {
  const contacts = { today: 1, thisWeek: 1, priorityToday: 60 };
  t.same(placesOf([contender('low', { contacts })]), { low: 'lower-priority' });
  t.same(placesOf([contender('high', { priority: 80, contacts })]), { high: 'frequency-cap' });
  const outside = { today: 1, thisWeek: 1, priorityToday: null };
  t.same(placesOf([contender('any', { contacts: outside })]), { any: 'frequency-cap' });
});

t.test('a household has caps of its own', async (t) => {
  const household = { key: 'household:h', contacts: nothing };
  const caps = { person: { perDay: 3, perWeek: 9 }, household: { perDay: 1, perWeek: 3 } };
  const mother = contender('mother', { household, priority: 60 });
  const child = contender('child', { household, keys: ['child'] });
  t.same(placesOf([child, mother], caps), { child: 'lower-priority', mother: 'goes' });
  t.same(placesOf([child, mother], { ...caps, household: null }), {
    child: 'goes',
    mother: 'goes',
  });
});

const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const anyContenders = fc
  .array(
    fc.record({
      priority: fc.integer({ min: 1, max: 3 }),
      minutes: fc.integer({ min: 0, max: 3 }),
      keys: fc.uniqueArray(fc.constantFrom('p1', 'p2', 'p3', '+1', '+2'), { minLength: 1 }),
      home: fc.constantFrom(null, 'h1', 'h2'),
      today: fc.integer({ min: 0, max: 1 }),
    }),
    { maxLength: ids.length },
  )
  .map((list) =>
    list.map(({ priority, minutes, keys, home, today }, index) =>
      contender(ids[index] ?? '', {
        priority,
        dueAt: morning.add({ minutes }),
        keys,
        slot: `${keys[0]} care`,
        contacts: { today, thisWeek: today, priorityToday: null },
        household: home === null ? null : { key: home, contacts: nothing },
      }),
    ),
  );
const anyCaps = fc.record({
  person: fc.record({ perDay: fc.integer({ min: 1, max: 3 }), perWeek: fc.constant(3) }),
  household: fc.option(
    fc.record({ perDay: fc.integer({ min: 1, max: 3 }), perWeek: fc.constant(4) }),
  ),
});

t.test('in whatever order messages are looked at, the same ones go', async (t) => {
  const anyOrder = anyContenders.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
  );
  fc.assert(
    fc.property(anyOrder, anyCaps, ([list, shuffled], caps) => {
      t.strictSame(sorted(arbitrate(list, caps)), sorted(arbitrate(shuffled, caps)));
    }),
  );
});

t.test(
  'no cap is passed, nobody waits without a reason, and none is beaten by a lower one',
  async () => {
    fc.assert(
      fc.property(anyContenders, anyCaps, (list, caps) => {
        const places = arbitrate(list, caps);
        const byId = new Map(list.map((each) => [each.id, each]));
        return list.every((each) => {
          const place = places.get(each.id);
          if (place === undefined) return false;
          if (!place.goes) {
            const after = place.after.map((id) => byId.get(id));
            const isFull = each.contacts.today >= caps.person.perDay;
            return (
              (isFull || after.length > 0) &&
              after.every((other) => other !== undefined && other.priority >= each.priority)
            );
          }
          const sharing = list.filter(
            (other) =>
              other.id !== each.id &&
              places.get(other.id)?.goes === true &&
              other.keys.some((key) => each.keys.includes(key)) &&
              other.priority > each.priority,
          );
          return each.contacts.today + sharing.length < caps.person.perDay;
        });
      }),
    );
  },
);

function sorted(places: ReturnType<typeof arbitrate>) {
  return [...places].sort(([first], [second]) => (first < second ? -1 : 1));
}

function due(patientId: string, wish: Partial<HouseholdMessage> = {}): HouseholdMessage {
  return {
    id: `message of ${patientId}`,
    patientId,
    priority: 50,
    dueAt: morning,
    isMinor: false,
    birthDate: null,
    mayCarry: true,
    ...wish,
  };
}

t.test('an adult carries before a minor, whatever their priorities', async (t) => {
  const child = due('child', { isMinor: true, birthDate: '2016-01-01', priority: 90 });
  const merged = mergeHousehold([child, due('mother'), due('baby', { isMinor: true })]);
  t.equal(merged?.carrier.patientId, 'mother');
  t.same(
    merged?.companions.map(({ patientId }) => patientId),
    ['child', 'baby'],
  );
});

t.test('who is due later that day is named, and carries nothing', async (t) => {
  const mother = due('mother', { mayCarry: false });
  const merged = mergeHousehold([mother, due('child', { isMinor: true })]);
  t.equal(merged?.carrier.patientId, 'child');
  t.same(merged?.companions, [mother]);
  t.equal(mergeHousehold([mother]), null);
});

t.test('each is named once', async (t) => {
  const merged = mergeHousehold([
    due('mother'),
    due('mother', { id: 'other', priority: 60 }),
    due('son', { id: 'low' }),
    due('son', { id: 'high', priority: 70 }),
  ]);
  t.equal(merged?.carrier.id, 'high');
  t.same(
    merged?.companions.map(({ id }) => id),
    ['other'],
  );
});

t.test('a person is named by the best of their messages, though another could carry', async (t) => {
  const merged = mergeHousehold([
    due('mother', { birthDate: '1960-01-01' }),
    due('son', { id: 'now', birthDate: '1990-01-01' }),
    due('son', { id: 'better', priority: 70, mayCarry: false }),
  ]);
  t.equal(merged?.carrier.patientId, 'mother');
  t.same(
    merged?.companions.map(({ id }) => id),
    ['better'],
  );
});

const anyHousehold = fc
  .array(
    fc.record({
      patientId: fc.constantFrom('p1', 'p2', 'p3', 'p4'),
      priority: fc.integer({ min: 1, max: 3 }),
      isMinor: fc.boolean(),
      mayCarry: fc.boolean(),
    }),
    { maxLength: ids.length },
  )
  .map((list) => list.map((wish, index) => due(wish.patientId, { ...wish, id: ids[index] ?? '' })));

t.test('a household is merged the same way in any order, and nobody twice', async (t) => {
  const anyOrder = anyHousehold.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
  );
  fc.assert(
    fc.property(anyOrder, ([list, shuffled]) => {
      const merged = mergeHousehold(list);
      t.strictSame(merged, mergeHousehold(shuffled));
      if (merged === null) return list.every(({ mayCarry }) => !mayCarry);
      const people = [merged.carrier, ...merged.companions].map(({ patientId }) => patientId);
      const all = new Set(list.map(({ patientId }) => patientId));
      return people.length === all.size && new Set(people).size === people.length;
    }),
  );
});

t.test('of age is who is eighteen on that day', async (t) => {
  const day = '2026-02-28';
  t.notOk(isMinorOn(day, { birthDate: '2008-02-28', guardianId: 'm' }));
  t.ok(isMinorOn(day, { birthDate: '2008-02-29', guardianId: null }));
  t.ok(isMinorOn(day, { birthDate: null, guardianId: 'm' }));
  t.notOk(isMinorOn(day, { birthDate: null, guardianId: null }));
});
