/** The database goes away and comes back, and the process is killed, while events come in. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import t from 'tap';
import { createDatabase, startPostgres } from '../support/postgres.ts';
import {
  type ServiceProcess,
  servedOperatorKey,
  startService,
} from '../support/service-process.ts';

t.setTimeout(180_000);

interface Seen {
  status: number;
  ms: number;
  retryAfter: string | null;
}

/** Tells single events without a pause until it is stopped; a lost connection is status 0. */
function stream(service: ServiceProcess, key: string, writers: number) {
  const acknowledged: string[] = [];
  const seen: Seen[] = [];
  let isOver = false;
  const post = async (id: string): Promise<Seen> => {
    const startedAt = performance.now();
    const answer = await fetch(`${service.url}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        id,
        type: 'visit.upserted',
        occurredAt: '2026-03-02T10:00:00Z',
        data: { id, patientId: `p-${id}`, status: 'finished', start: '2026-02-10T09:00:00Z' },
      }),
    }).catch(() => null);
    await answer?.arrayBuffer().catch(() => null);
    return {
      status: answer?.status ?? 0,
      ms: performance.now() - startedAt,
      retryAfter: answer?.headers.get('retry-after') ?? null,
    };
  };
  const write = async (writer: number) => {
    for (let count = 0; !isOver; count += 1) {
      const id = `${writer}-${count}-${Math.trunc(performance.now())}`;
      const one = await post(id);
      seen.push(one);
      if (one.status === 202) acknowledged.push(id);
      else await pause(20);
    }
  };
  const running = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  return {
    acknowledged,
    seen,
    post,
    stop: async () => {
      isOver = true;
      await running;
    },
  };
}

async function clinicKey(service: ServiceProcess): Promise<string> {
  const answer = await fetch(`${service.url}/v1/clinics`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${servedOperatorKey}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({
      ...{ name: 'Clínica', timeZone: 'America/Bogota', country: 'CO' },
      ...{ language: 'es', currency: 'COP', mode: 'live' },
    }),
  });
  return ((await answer.json()) as { key: string }).key;
}

const status = (url: string) => fetch(url).then((answer) => answer.status);

/** How long it takes until `isSo`. */
async function waitUntil(isSo: () => Promise<boolean>, limitMs: number): Promise<number> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < limitMs && !(await isSo())) await pause(50);
  return performance.now() - startedAt;
}

t.test('what was acknowledged outlives the database and the process', async (t) => {
  const postgres = await startPostgres({ durable: true });
  t.teardown(() => postgres.stop());
  const url = postgres.url(await createDatabase(postgres));
  const service = await startService(url);
  t.teardown(() => service.end('SIGKILL'));
  const key = await clinicKey(service);
  const told = stream(service, key, 8);

  for (let round = 0; round < 3; round += 1) {
    const before = told.acknowledged.length;
    await waitUntil(async () => told.acknowledged.length > before + 50, 20_000);
    const from = told.seen.length;
    await postgres.crash();
    await pause(2_500);
    const down = told.seen.slice(from).filter((each) => each.status !== 202);
    t.ok(down.length > 0, 'it says that it cannot');
    t.same(
      down.filter((each) => each.status !== 503 || each.retryAfter === null),
      [],
      'with a 503 and when to try again',
    );
    t.same(
      told.seen.slice(from).filter(({ ms }) => ms > 2_500),
      [],
      'soon',
    );
    t.equal(await status(`${service.url}/readyz`), 503);
    t.equal(await status(`${service.url}/healthz`), 200);
    await postgres.start();
    const back = told.acknowledged.length;
    const took = await waitUntil(async () => told.acknowledged.length > back, 10_000);
    t.ok(took < 5_000, `it serves again after ${Math.round(took)} ms`);
  }
  await waitUntil(async () => (await status(`${service.url}/readyz`)) === 200, 10_000);
  t.equal(await status(`${service.url}/readyz`), 200);
  t.equal(service.child.exitCode, null);

  const killed = await startService(url);
  const cut = stream(killed, key, 8);
  await waitUntil(async () => cut.acknowledged.length > 100, 20_000);
  await killed.end('SIGKILL');
  await Promise.all([told.stop(), cut.stop()]);

  const client = new pg.Client({ connectionString: url });
  await client.connect();
  t.teardown(() => client.end());
  const ids = [...told.acknowledged, ...cut.acknowledged];
  const { rows } = await client.query<{ id: string }>(
    'select id from unnest($1::text[]) id where id not in (select event_id from intake_events)',
    [ids],
  );
  t.same(rows, [], `none of ${ids.length} is lost`);
});
