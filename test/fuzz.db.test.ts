/** A short tier of `npm run fuzz`. */
import t from 'tap';
import { fuzz } from './fuzz/fuzz.ts';
import { createDatabase, sharedPostgres } from './support/postgres.ts';

t.setTimeout(120_000);

t.test(
  'no input brings the service down, makes it hang, or has it tell what it must not',
  async (t) => {
    const postgres = await sharedPostgres();
    const databaseUrl = postgres.url(await createDatabase(postgres));
    const seed = Number(process.env.RETORNO_SEED ?? '1');
    const { findings, answers } = await fuzz({ databaseUrl, requests: 1_500, seed });
    t.same(findings, [], `repeat with RETORNO_SEED=${seed}`);
    t.ok((answers['fitting 2xx'] ?? 0) > 150, 'and enough of it gets through');
  },
);
