/** The short tier of `npm run chaos`: the same, in a minute. */
import t from 'tap';
import { faultsOf } from './chaos/gates.ts';
import { runChaos } from './chaos/kills.ts';
import { naive } from './chaos/naive-contestant.ts';
import { outbox } from './chaos/outbox-contestant.ts';
import { createDatabase, sharedPostgres } from './support/postgres.ts';

const seed = Number(process.env.RETORNO_SEED ?? 1);
const common = { seed, dispatchers: 2, factor: 120 };

t.test(
  `dispatchers killed while they send neither repeat nor lose a message (seed ${seed})`,
  async (t) => {
    const databaseUrl = await freshDatabase();
    const wish = { ...common, databaseUrl, kills: 8, patients: 205, perSecond: 15 };
    const { verdict, kills, struck } = await runChaos({ ...wish, contestant: outbox });
    t.equal(
      faultsOf(verdict),
      0,
      JSON.stringify({ ...verdict, unknown: verdict.unknown.email.length }),
    );
    t.ok(struck > 0, `${struck} of ${kills} kills interrupted something`);
    t.ok(verdict.taken > verdict.messages / 2, `${verdict.taken} of ${verdict.messages} were sent`);
  },
);

t.test('a dispatcher that claims, sends and marks is caught sending twice', async (t) => {
  const databaseUrl = await freshDatabase();
  const wish = { ...common, databaseUrl, kills: 2, patients: 80, perSecond: 15 };
  const { verdict } = await runChaos({ ...wish, contestant: naive });
  t.ok(verdict.twice.length > 0, `${verdict.twice.length} of ${verdict.messages}`);
});

async function freshDatabase(): Promise<string> {
  const postgres = await sharedPostgres();
  return postgres.url(await createDatabase(postgres));
}
