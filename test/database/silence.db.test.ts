import { once } from 'node:events';
import net from 'node:net';
import pg from 'pg';
import t, { type Test } from 'tap';
import { databaseTrouble } from '../../src/database/outage.ts';
import { watchSilence } from '../../src/database/silence.ts';
import { testDatabase } from '../support/postgres.ts';

/** Stands between, and swallows all there is when told to. */
async function swallower(t: Test, url: string) {
  const target = new URL(url);
  const state = { swallows: false };
  const server = net.createServer((near) => {
    const far = net.connect(Number(target.port), target.hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk) => state.swallows || to.write(chunk));
      from.on('close', () => to.destroy());
      // The other end is closed with it.
      from.on('error', () => {});
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String((server.address() as net.AddressInfo).port);
  return { state, url: through.href };
}

async function watchedPool(t: Test) {
  const { url } = await testDatabase(t);
  const between = await swallower(t, url);
  const pool = new pg.Pool({ connectionString: between.url, max: 2 });
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  const watch = watchSilence(pool, {
    connectionString: between.url,
    silentMs: 100,
    probeMs: 1_000,
  });
  t.teardown(async () => {
    watch.stop();
    await pool.end();
  });
  return { pool, state: between.state };
}

t.test('a database that swallows all is an outage, and ends when it answers again', async (t) => {
  const { pool, state } = await watchedPool(t);
  await Promise.all([pool.query('select 1'), pool.query('select 1')]);
  state.swallows = true;
  const asked = await Promise.allSettled([pool.query('select 1'), pool.query('select 1')]);
  for (const each of asked) {
    t.equal(each.status === 'rejected' && databaseTrouble(each.reason), 'outage');
  }
  state.swallows = false;
  t.match(await pool.query('select 2 as answer'), { rows: [{ answer: 2 }] });
});

t.test('a statement that takes its time is left alone', async (t) => {
  const { pool } = await watchedPool(t);
  t.match(await pool.query('select pg_sleep(0.7), 3 as answer'), { rows: [{ answer: 3 }] });
});
