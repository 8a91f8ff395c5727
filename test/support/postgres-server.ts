/**
 * A real PostgreSQL for the tests. All test files of a checkout share one server, which starts with
 * the first that asks and ends shortly after the last. Most tests need no more than `testDatabase`
 * of `postgres.ts`.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import { connect as connectSocket, type Socket } from 'node:net';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { cacheDirectory, withLock } from './lock.ts';
import type { KeeperOptions, KeeperReport } from './postgres-keeper.ts';

export interface Postgres {
  url(database: string): string;
  /** Ends the server as a power cut would; commits survive only with `durable`. */
  crash(): Promise<void>;
  start(): Promise<void>;
  /** Lets go of the server; it ends when nobody holds it. */
  stop(): void;
}

const sharedGraceMs = 10_000;

/** A server of one's own, for tests that crash it. It ends with `stop` or with this process. */
export async function startPostgres({ durable = false } = {}): Promise<Postgres> {
  return hold(await spawnKeeper({ durable, graceMs: 0 }));
}

let shared: Promise<Postgres> | undefined;

/** The server that all test files share. Never crash it. */
export function sharedPostgres(): Promise<Postgres> {
  shared ??= findOrStartShared();
  return shared;
}

/** A new empty database, or a clone of `template`. */
export async function createDatabase(postgres: Postgres, template?: string): Promise<string> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await administer(postgres, async (client) => {
    await client.query(
      template === undefined
        ? `create database ${name}`
        : `create database ${name} template ${template}`,
    );
  });
  return name;
}

export async function dropDatabase(postgres: Postgres, name: string): Promise<void> {
  await administer(postgres, async (client) => {
    await client.query(`drop database if exists ${name} with (force)`);
  });
}

/** Runs `work` on a connection to the database `postgres`. */
export async function administer<T>(
  postgres: Postgres,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: postgres.url('postgres') });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function findOrStartShared(): Promise<Postgres> {
  return withLock('postgres', async () => {
    const whereabouts = path.join(await cacheDirectory(), 'postgres-socket');
    const known = await fs.readFile(whereabouts, 'utf8').catch(() => null);
    const running = known === null ? null : await hold(known).catch(() => null);
    if (running !== null) return running;
    const socketPath = await spawnKeeper({ durable: false, graceMs: sharedGraceMs });
    await fs.writeFile(whereabouts, socketPath);
    return hold(socketPath);
  });
}

/** Starts a keeper that outlives this process; returns the path of its control socket. */
async function spawnKeeper(options: KeeperOptions): Promise<string> {
  const program = fileURLToPath(new URL('postgres-keeper.ts', import.meta.url));
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    cwd: import.meta.dirname,
    detached: true,
    env: keeperEnvironment(),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const report = await new Promise<KeeperReport>((resolve) => {
    child.once('message', (message) => resolve(message as KeeperReport));
    child.once('exit', (code) => resolve({ error: `The keeper ended with ${code}.` }));
  });
  child.unref();
  if ('error' in report) throw new Error(report.error);
  return report.socketPath;
}

/** The runner's hooks are for the tests; in the keeper they would wait for its end. */
function keeperEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(NODE_OPTIONS|NODE_V8_COVERAGE|TAP|_?TAPJS_.*|TAP_.*)$/.test(name),
    ),
  );
}

async function hold(socketPath: string): Promise<Postgres> {
  const socket = connectSocket(socketPath);
  await once(socket, 'connect');
  const lines = createInterface({ input: socket });
  const { url } = JSON.parse(await nextLine(socket, lines)) as { url: string };
  socket.unref();
  const ask = async (command: string): Promise<void> => {
    socket.ref();
    socket.write(`${command}\n`);
    const answer = JSON.parse(await nextLine(socket, lines)) as { error?: string };
    socket.unref();
    if (answer.error !== undefined) throw new Error(answer.error);
  };
  return {
    url: (database) => Object.assign(new URL(url), { pathname: `/${database}` }).href,
    crash: () => ask('crash'),
    start: () => ask('start'),
    stop: () => void socket.destroy(),
  };
}

async function nextLine(socket: Socket, lines: Interface): Promise<string> {
  return new Promise((resolve, reject) => {
    const onLine = (line: string): void => {
      lines.off('close', onClose);
      resolve(line);
    };
    const onClose = (): void => {
      lines.off('line', onLine);
      reject(new Error('The PostgreSQL keeper went away.', { cause: socket.errored }));
    };
    lines.once('line', onLine);
    lines.once('close', onClose);
  });
}
