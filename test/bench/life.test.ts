import t from 'tap';
import type { GeneratorOptions } from '../../bench/generator.ts';
import { createLife, type LifeEvent } from '../../bench/life.ts';

const begin = Temporal.Instant.from('2026-01-01T05:00:00Z');
const end = begin.add({ hours: 90 * 24 });
const options: GeneratorOptions = {
  seed: 3,
  language: 'ru',
  from: Temporal.Instant.from('2023-01-01T00:00:00Z'),
  until: end,
  patients: 200,
};

const statusesOf = (events: LifeEvent[], id: string) =>
  events
    .filter(({ data }) => 'id' in data && data.id === id)
    .map(({ data }) => ('status' in data ? data.status : null));

t.test(
  'what is past, and what happens day by day, is the whole life and each thing once',
  async (t) => {
    const life = createLife(options, begin);
    const past = life.past();
    t.ok(past.every(({ occurredAt }) => occurredAt <= '2026-01-01T05:00:00Z'));
    const byDay: LifeEvent[] = [];
    for (let now = begin; Temporal.Instant.compare(now, end) < 0; now = now.add({ hours: 24 })) {
      byDay.push(...life.until(now));
    }
    byDay.push(...life.until(end));
    t.same(byDay, createLife(options, begin).until(end));
    const ids = [...past, ...byDay].map(({ id }) => id);
    t.equal(new Set(ids).size, ids.length);
    t.ok(byDay.length > 100);
  },
);

t.test('who is moved by a message books and comes, and needs no second message', async (t) => {
  const life = createLife(options, begin);
  const moved = [...life.patients.keys()].flatMap((patientId) => {
    const stay = life.hear({ patientId, key: 'k', at: begin, willingness: 1 });
    return stay === null ? [] : [{ patientId, stay }];
  });
  t.ok(moved.length > 100);
  const [first] = moved;
  if (first === undefined) return t.fail('Nobody was moved.');
  const bookedAt = Temporal.Instant.fromEpochMilliseconds(first.stay.bookedAt);
  const again = { patientId: first.patientId, key: 'k2', at: bookedAt, willingness: 1 };
  t.equal(life.hear(again), null);
  const events = life.until(end);
  const [booked, ended] = statusesOf(events, first.stay.appointment?.id ?? '');
  t.equal(booked, 'booked');
  t.equal(ended, first.stay.appointment?.status);
});
