/** The short tier of `npm run chaos`: the same, in some two minutes. */
import t from 'tap';
import { faultsOf } from './chaos/gates.ts';
import { providerNames } from './chaos/judge.ts';
import { runChaos } from './chaos/kills.ts';
import { naive } from './chaos/naive-contestant.ts';
import { outbox } from './chaos/outbox-contestant.ts';
import { createDatabase, sharedPostgres } from './support/postgres.ts';

const seed = Number(process.env.RETORNO_SEED ?? 1);
const common = { seed, dispatchers: 2, factor: 60 };

t.test(
  `dispatchers killed while they send neither repeat nor lose a message (seed ${seed})`,
  async (t) => {
    const databaseUrl = await freshDatabase();
    const wish = { ...common, databaseUrl, kills: 12, patients: 110, perSecond: 8 };
    const { verdicts, kills, struck } = await runChaos({ ...wish, contestant: outbox });
    t.ok(struck > 0, `${struck} of ${kills} kills interrupted something`);
    for (const provider of providerNames) {
      const { unknown, ...verdict } = verdicts[provider];
      const told = JSON.stringify({ ...verdict, unknown: unknown.length });
      t.equal(faultsOf(provider, verdicts[provider]), 0, `${provider}: ${told}`);
      t.ok(verdict.taken > verdict.messages / 2, `${provider}: most were sent`);
    }
  },
);

t.test('a dispatcher that claims, sends and marks is caught sending twice', async (t) => {
  const databaseUrl = await freshDatabase();
  const wish = { ...common, databaseUrl, kills: 4, patients: 80, perSecond: 8 };
  const { verdicts } = await runChaos({ ...wish, contestant: naive });
  for (const provider of providerNames) {
    const { twice, messages } = verdicts[provider];
    t.ok(twice.length > 0, `${provider}: ${twice.length} of ${messages}`);
  }
});

async function freshDatabase(): Promise<string> {
  const postgres = await sharedPostgres();
  return postgres.url(await createDatabase(postgres));
}
