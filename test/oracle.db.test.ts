/** The short tier of `npm run oracle`: fewer clinics, days and patients, all that can go wrong. */
import t from 'tap';
import { controls, isFoundOut } from './oracle/controls.ts';
import { faultsOf } from './oracle/judge.ts';
import { playWorld } from './oracle/replicas.ts';
import { testDatabase } from './support/postgres.ts';

t.setTimeout(300_000);

const seed = Number(process.env.RETORNO_SEED ?? 1);

t.test(
  `schedulers that are killed, and whose clocks differ, send each occurrence once (seed ${seed})`,
  async (t) => {
    const { url: databaseUrl } = await testDatabase(t);
    const size = { days: 26, patients: 35, clinics: 2 };
    const shares = { killShare: 0.06, cutShare: 0.15 };
    const { verdict, kills } = await playWorld({ databaseUrl, seed, ...size, ...shares });
    t.same(faultsOf(verdict), []);
    t.ok(verdict.expected > 100, `${verdict.expected} had to go, and ${verdict.sent} went`);
    t.ok(kills > 0, `${kills} were killed`);
  },
);

t.test('schedulers that forget who has changed are found out', async (t) => {
  const control = controls.find(({ options }) => options.control === 'forgets');
  if (control === undefined) return t.fail('There is no such control.');
  const { url: databaseUrl } = await testDatabase(t);
  const { verdict } = await playWorld({ databaseUrl, seed, ...control.options });
  t.ok(isFoundOut(control, verdict), `${verdict.faults.missing.length} are missing`);
});
