import { sql } from 'kysely';
import t from 'tap';
import { analyzeGrown } from '../../src/database/statistics.ts';
import { testDatabase } from '../support/postgres.ts';

t.test('the embedded database learns about a table that has grown, and looks once', async (t) => {
  const { db } = await testDatabase(t, { engine: 'pglite' });
  await sql`create table grown as select i, repeat('x', 100) as text from generate_series(1, 5000) i`.execute(
    db,
  );
  t.ok((await analyzeGrown(db)).includes('grown'));
  const { rows } = await sql<{ rows: number }>`
    select reltuples::int as rows from pg_class where relname = 'grown'`.execute(db);
  t.same(rows, [{ rows: 5000 }]);
  t.same(await analyzeGrown(db), []);
});
