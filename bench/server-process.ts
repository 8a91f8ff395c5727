/** Servers under load run in processes of their own, so that the load's work is not theirs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'undici';

export interface ServerProcess {
  url: string;
  /** The most memory the process has held so far, in bytes; null where the system does not tell. */
  peakMemory(): Promise<number | null>;
  stop(): Promise<void>;
}

export interface Retorno extends ServerProcess {
  operatorKey: string;
}

const root = path.join(import.meta.dirname, '..');
const readyTimeoutMs = 60_000;
const stopTimeoutMs = 25_000;

/** The service itself, as an operator starts it. */
export async function startRetorno(databaseUrl: string, roles: string): Promise<Retorno> {
  const operatorKey = randomBytes(24).toString('hex');
  const port = await freePort();
  const child = start(['src/main.ts', 'serve', '--migrate', '--roles', roles], {
    DATABASE_URL: databaseUrl,
    RETORNO_HOST: '127.0.0.1',
    RETORNO_PORT: String(port),
    RETORNO_OPERATOR_KEY: operatorKey,
    RETORNO_SECRET_KEY: randomBytes(32).toString('base64'),
    RETORNO_PRIVATE_URLS: 'allow',
    RETORNO_REQUESTS_PER_SECOND: '1000000',
    RETORNO_LOG_LEVEL: 'warn',
  });
  const url = `http://127.0.0.1:${port}`;
  await untilAnswers(child, `${url}/healthz`);
  return { ...toServer(child, url), operatorKey };
}

/** The floor: Fastify and one INSERT of the raw event. */
export async function startFloor(databaseUrl: string): Promise<ServerProcess> {
  const port = await freePort();
  const child = start(['bench/floor-server.ts', databaseUrl, String(port)], {});
  const url = `http://127.0.0.1:${port}`;
  await untilAnswers(child, `${url}/healthz`);
  return toServer(child, url);
}

/** A provider that answers at once. */
export async function startProvider(): Promise<ServerProcess> {
  const port = await freePort();
  const child = start(['bench/provider-server.ts', String(port)], {});
  const url = `http://127.0.0.1:${port}`;
  await untilAnswers(child, `${url}/healthz`);
  return toServer(child, url);
}

function start(args: readonly string[], environment: Record<string, string>): ChildProcess {
  return spawn(process.execPath, args, {
    cwd: root,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function untilAnswers(child: ChildProcess, url: string): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs;
  const { origin, pathname } = new URL(url);
  const client = new Client(origin);
  try {
    while (performance.now() < deadline) {
      if (child.exitCode !== null) throw new Error(`The server ended with ${child.exitCode}.`);
      const answer = await client
        .request({ path: pathname, method: 'GET' })
        // Not listening yet.
        .catch(() => null);
      await answer?.body.dump();
      if (answer?.statusCode === 200) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    await client.close();
  }
  child.kill('SIGKILL');
  throw new Error('The server did not become ready.');
}

function toServer(child: ChildProcess, url: string): ServerProcess {
  return {
    url,
    peakMemory: () => peakMemoryOf(child.pid ?? 0),
    stop: async () => {
      if (child.exitCode !== null) return;
      const kill = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
      child.kill('SIGTERM');
      await once(child, 'exit');
      clearTimeout(kill);
    },
  };
}

/** Linux keeps the high-water mark of a process's memory. */
export async function peakMemoryOf(pid: number): Promise<number | null> {
  const { createReadStream } = await import('node:fs');
  try {
    for await (const line of createInterface({ input: createReadStream(`/proc/${pid}/status`) })) {
      const found = /^VmHWM:\s+(\d+) kB/.exec(line);
      if (found) return Number(found[1]) * 1024;
    }
  } catch {
    // Another system, or the process has ended.
  }
  return null;
}

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('There is no free port.');
  return address.port;
}
