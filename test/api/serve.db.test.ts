import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { createDatabase, sharedPostgres } from '../support/postgres.ts';

const main = path.join(import.meta.dirname, '../../src/main.ts');
const secretKey = Buffer.alloc(32, 9).toString('base64');

interface Started {
  child: ChildProcess;
  output(): string;
  /** Where it listens, as soon as it says so. */
  url(): Promise<string>;
  exit(): Promise<number | null>;
}

function start(t: Test, args: string[], environment: Record<string, string>): Started {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env.PATH ?? '', RETORNO_PORT: '0', ...environment },
  });
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  const heard = (chunk: Buffer) => {
    output += String(chunk);
    child.emit('heard');
  };
  child.stdout.on('data', heard);
  child.stderr.on('data', heard);
  let hasEnded = false;
  const exited = once(child, 'exit').finally(() => {
    hasEnded = true;
  });
  return {
    child,
    output: () => output,
    exit: async () => (await exited)[0] as number | null,
    url: async () => {
      for (;;) {
        const found = /"url":"(http[^"]+)"/.exec(output)?.[1];
        if (found) return found;
        if (hasEnded) throw new Error(`It ended: ${output}`);
        await Promise.race([once(child, 'heard'), exited]);
      }
    },
  };
}

async function folder(t: Test): Promise<string> {
  const made = await fs.mkdtemp(path.join(os.tmpdir(), 'retorno-test-serve-'));
  t.teardown(() => fs.rm(made, { recursive: true, force: true }));
  // Longer than the path of a socket may be.
  return path.join(made, 'a'.repeat(120));
}

async function emptyDatabase(): Promise<string> {
  const postgres = await sharedPostgres();
  return postgres.url(await createDatabase(postgres));
}

const clinic = {
  name: 'Clínica',
  timeZone: 'America/Bogota',
  country: 'CO',
  language: 'es',
  currency: 'COP',
  mode: 'live',
};

t.test(
  'the embedded default makes its keys, keeps its data over a kill, and has one owner',
  async (t) => {
    const RETORNO_DATA_DIR = await folder(t);
    const first = start(t, ['serve'], { RETORNO_DATA_DIR });
    const url = await first.url();
    const operator = /Operator key: (\S+)/.exec(first.output())?.[1] ?? '';
    t.match(operator, /^rtn_operator_/);
    t.match(first.output(), /Secret key: {3}\S{44}/);
    t.match(first.output(), /a power cut may/);
    for (const name of ['operator.key', 'secret.key']) {
      const { mode } = await fs.stat(path.join(RETORNO_DATA_DIR, name));
      t.equal(mode & 0o777, 0o600, name);
    }
    const headers = { authorization: `Bearer ${operator}`, 'content-type': 'application/json' };
    const made = await fetch(`${url}/v1/clinics`, {
      method: 'POST',
      headers,
      body: JSON.stringify(clinic),
    });
    t.equal(made.status, 201);

    const second = start(t, ['serve'], { RETORNO_DATA_DIR });
    t.equal(await second.exit(), 1);
    t.match(second.output(), /Another process owns/);

    first.child.kill('SIGKILL');
    await first.exit();
    const third = start(t, ['serve'], { RETORNO_DATA_DIR });
    const listed = await fetch(`${await third.url()}/v1/clinics`, { headers });
    t.match(await listed.json(), { data: [{ name: 'Clínica' }] });
    t.notMatch(third.output(), /Operator key/);
    third.child.kill('SIGTERM');
    third.child.kill('SIGTERM');
    t.equal(await third.exit(), 0);
  },
);

t.test('on PostgreSQL it migrates when told to, and runs any roles', async (t) => {
  const environment = {
    DATABASE_URL: await emptyDatabase(),
    RETORNO_OPERATOR_KEY: 'op-key',
    RETORNO_SECRET_KEY: secretKey,
  };
  const unmigrated = start(t, ['serve'], environment);
  t.equal(await unmigrated.exit(), 1);
  t.match(unmigrated.output(), /lacks the migrations/);

  const [one, other] = [start(t, ['migrate'], environment), start(t, ['migrate'], environment)];
  t.same([await one.exit(), await other.exit()], [0, 0], 'two at once are safe');

  const api = start(t, ['serve', '--roles', 'api'], environment);
  const workers = start(t, ['serve', '--roles', 'scheduler,dispatcher'], environment);
  const url = await api.url();
  t.match(await (await fetch(`${url}/readyz`)).json(), { status: 'ready' });
  t.match(await (await fetch(`${url}/metrics`)).text(), /retorno_clinics_waiting/);
  t.match(await (await fetch(`${url}/openapi.json`)).json(), { openapi: /^3\.1/ });
  t.match(await (await fetch(`${url}/docs/`)).text(), /swagger/i);
  api.child.kill('SIGTERM');
  workers.child.kill('SIGTERM');
  t.same([await api.exit(), await workers.exit()], [0, 0]);
});

t.test('a start that cannot be right is refused and says why', async (t) => {
  const refused = async (args: string[], environment: Record<string, string>) => {
    const started = start(t, args, environment);
    const code = await started.exit();
    return { code, output: started.output() };
  };
  const RETORNO_DATA_DIR = await folder(t);
  t.match(await refused(['serve', '--roles', 'api'], { RETORNO_DATA_DIR }), {
    code: 1,
    output: /runs all roles in one process/,
  });
  t.match(await refused(['serve', '--roles', 'apy'], { RETORNO_DATA_DIR }), {
    code: 1,
    output: /--roles is wrong/,
  });
  t.match(await refused(['serve'], { RETORNO_DATA_DIR, RETORNO_PROT: '1' }), {
    code: 1,
    output: /did you mean RETORNO_PORT\?/,
  });
  t.match(await refused(['serve'], { DATABASE_URL: 'postgres://localhost/x' }), {
    code: 1,
    output: /RETORNO_SECRET_KEY is required with DATABASE_URL/,
  });
  t.match(await refused(['serve', '--now'], { RETORNO_DATA_DIR }), { code: 1 });
  t.match(await refused(['wait'], {}), { code: 2, output: /Usage/ });
});

t.test('a database that is newer than the code is refused', async (t) => {
  const DATABASE_URL = await emptyDatabase();
  const environment = { DATABASE_URL, RETORNO_OPERATOR_KEY: 'op', RETORNO_SECRET_KEY: secretKey };
  t.equal(await start(t, ['migrate'], environment).exit(), 0);
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: DATABASE_URL });
  await client.connect();
  await client.query("insert into kysely_migration values ('9999_later', now()::text)");
  await client.end();
  const serving = start(t, ['serve', '--migrate'], environment);
  t.equal(await serving.exit(), 1);
  t.match(serving.output(), /newer than this code/);
});

t.test('a role that may skip row level security is refused', async (t) => {
  const DATABASE_URL = await emptyDatabase();
  const environment = { DATABASE_URL, RETORNO_OPERATOR_KEY: 'op', RETORNO_SECRET_KEY: secretKey };
  t.equal(await start(t, ['migrate'], environment).exit(), 0);
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: DATABASE_URL });
  await client.connect();
  await client.query('alter table patients no force row level security');
  await client.end();
  const serving = start(t, ['serve'], environment);
  t.equal(await serving.exit(), 1);
  t.match(serving.output(), /patients/);
});
