import t, { type Test } from 'tap';
import { type ReplicaOptions, runZone } from './oracle/replicas.ts';
import { type Size, zones } from './oracle/world.ts';

/** The short tier; `npm run oracle`, which `make chaos` runs too, is the full one. */
const size: Size = { days: 60, patients: 25 };

t.setTimeout(600_000);

t.test('three schedulers, killed and with clocks apart, send what the oracle says', async (t) => {
  const { missing, extra, doubled, early, afterLimit, expected, sent, kills } = await run(t, {
    seed: 1,
  });
  t.ok(expected > 100, `${expected} expected, ${sent} sent, ${kills} connections cut`);
  t.same(
    { missing, extra, doubled, early, afterLimit },
    { missing: [], extra: [], doubled: [], early: [], afterLimit: [] },
  );
});

t.test('schedulers that forget who has changed are found out', async (t) => {
  const verdict = await run(
    t,
    { seed: 1, forgets: true, killShare: 0 },
    { days: 25, patients: 12 },
  );
  t.ok(verdict.missing.length > 0);
});

async function run(t: Test, options: ReplicaOptions, worldSize = size) {
  const zone = zones[options.seed % zones.length] ?? 'UTC';
  return runZone(t, zone, options, worldSize);
}
