import t from 'tap';
import { fixedClock } from '../../src/clock.ts';
import { createScheduler } from '../../src/rules/scheduler.ts';
import { makePatient, makeRule, makeVisit } from '../support/factory.ts';
import { testDatabase } from '../support/postgres.ts';
import { clinicIn } from './rules-clinic.ts';

const now = '2026-03-02T06:00:00Z';

for (const engine of ['postgres', 'pglite'] as const) {
  t.test(
    `a tick on ${engine} plans live clinics that want it, and leaves test clinics alone`,
    async (t) => {
      const { db } = await testDatabase(t, { engine });
      const live = await clinicIn(db, { mode: 'live', now });
      const test = await clinicIn(db, { mode: 'test', now });
      for (const clinic of [live, test]) {
        const patientId = await makePatient(db, clinic.id, { birthDate: '1980-03-03' });
        await makeVisit(db, clinic.id, { patientId, at: '2025-09-04T15:00:00Z' });
        await makeRule(db, clinic.id);
        await makeRule(db, clinic.id, {
          trigger: { type: 'birthday' },
          audience: { not: { age: { gte: 60 } } },
        });
      }
      const errors: unknown[] = [];
      const ticks: unknown[] = [];
      const clock = { ...fixedClock(now), sync: async () => 0 };
      const scheduler = createScheduler({
        ...live.deps,
        clock,
        onError: (error) => errors.push(error),
        onTick: (counts) => ticks.push(counts),
      });
      t.equal(scheduler.lastTickMs(), null);
      await scheduler.tick();
      t.same(errors, []);
      t.equal((await live.messages()).length, 2);
      t.equal((await test.messages()).length, 0);
      t.ok(scheduler.lastTickMs() !== null);
      await scheduler.tick();
      t.same(ticks, [
        { clinics: 1, planned: 2, suppressed: 0 },
        { clinics: 0, planned: 0, suppressed: 0 },
      ]);
      scheduler.start();
      scheduler.start();
      await scheduler.stop();
      await scheduler.stop();
    },
  );
}

t.test('one clinic whose planning fails does not keep the others from theirs', async (t) => {
  const { db } = await testDatabase(t);
  const clinics = [
    await clinicIn(db, { mode: 'live', now }),
    await clinicIn(db, { mode: 'live', now }),
  ];
  for (const clinic of clinics) {
    const patientId = await makePatient(db, clinic.id);
    await makeVisit(db, clinic.id, { patientId, at: '2025-09-04T15:00:00Z' });
    await makeRule(db, clinic.id);
  }
  const [broken, sound] = clinics;
  if (broken === undefined || sound === undefined) return;
  const failed: (string | undefined)[] = [];
  let asked = 0;
  const scheduler = createScheduler({
    ...sound.deps,
    findAdapter: (channel, provider) => {
      asked += 1;
      if (asked === 1) throw new Error('The channel cannot be read.');
      return sound.deps.findAdapter(channel, provider);
    },
    clock: { ...fixedClock(now), sync: async () => 0 },
    onError: (_error, clinicId) => failed.push(clinicId),
  });
  await scheduler.tick();
  t.equal(failed.length, 1);
  const counts = await Promise.all(clinics.map(async (clinic) => (await clinic.messages()).length));
  t.same(counts.sort(), [0, 1]);
  await scheduler.tick();
  const again = await Promise.all(clinics.map(async (clinic) => (await clinic.messages()).length));
  t.same(again, [1, 1], 'and it is tried again');
});
