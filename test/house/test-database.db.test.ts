import { sql } from 'kysely';
import t from 'tap';
import { administer, sharedPostgres, startPostgres, testDatabase } from '../support/postgres.ts';

for (const engine of ['postgres', 'pglite'] as const) {
  t.test(`two tests on ${engine} do not see each other's rows`, async (t) => {
    const [one, other] = [await testDatabase(t, { engine }), await testDatabase(t, { engine })];
    await sql`create table mine (id int)`.execute(one.db);
    const { rows } = await sql<{ found: string | null }>`
      select to_regclass('mine')::text as found`.execute(other.db);
    t.same(rows, [{ found: null }]);
  });

  t.test(`a test on ${engine} finds the migrated schema`, async (t) => {
    const { db } = await testDatabase(t, { engine });
    const { rows } = await sql<{ found: string | null }>`
      select to_regclass('clinics')::text as found`.execute(db);
    t.same(rows, [{ found: 'clinics' }]);
  });
}

t.test('a database is gone after its test', async (t) => {
  let name = '';
  await t.test('a test that uses one', async (t) => {
    name = new URL((await testDatabase(t)).url).pathname.slice(1);
    t.match(name, /^test_/);
  });
  const found = await administer(await sharedPostgres(), (client) =>
    client.query('select from pg_database where datname = $1', [name]),
  );
  t.equal(found.rowCount, 0);
});

t.test('what a durable server committed survives its crash', async (t) => {
  const postgres = await startPostgres({ durable: true });
  t.teardown(() => postgres.stop());
  await administer(postgres, (client) => client.query('create table kept as select 1 as id'));
  await postgres.crash();
  await t.rejects(administer(postgres, (client) => client.query('select 1')));
  await postgres.start();
  const { rows } = await administer(postgres, (client) => client.query('select id from kept'));
  t.same(rows, [{ id: 1 }]);
});
