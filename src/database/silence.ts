import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import pg from 'pg';

/**
 * Cuts connections on which nothing comes any more because the database cannot be reached: a host that vanished
 * or a network that swallows all sends no error, and whoever waits would wait for a quarter of an hour.
 */
export interface SilenceWatch {
  stop(): void;
}

export interface SilenceOptions {
  connectionString: string;
  /** How long a connection in use may say nothing before the database is asked on another one. */
  silentMs?: number;
  /** How long that one may take. */
  probeMs?: number;
}

const silentDefaultMs = 2_000;
const probeDefaultMs = 5_000;
const looksPerSilence = 2;

interface Heard {
  bytes: number;
  since: number;
}

export function watchSilence(pool: pg.Pool, options: SilenceOptions): SilenceWatch {
  const { connectionString, silentMs = silentDefaultMs, probeMs = probeDefaultMs } = options;
  const inUse = new Map<pg.PoolClient, Heard>();
  pool.on('acquire', (client) => inUse.set(client, hear(client)));
  pool.on('release', (_error, client) => inUse.delete(client));
  pool.on('remove', (client) => inUse.delete(client));
  let isProbing = false;

  const look = async () => {
    const silent = silentOnes(inUse, silentMs);
    if (silent.length === 0 || isProbing) return;
    isProbing = true;
    const answers = await doesAnswer(connectionString, probeMs);
    isProbing = false;
    if (answers) return;
    // What has arrived while this process was busy is read first.
    await nextTurn();
    // Its error reaches whoever waits, and the pool forgets it.
    for (const [client, bytes] of silent) {
      const socket = socketOf(client);
      if (socket.bytesRead === bytes) socket.destroy(new Error('Connection terminated: no answer'));
    }
  };
  // The probe reports whatever goes wrong as no answer.
  const timer = setInterval(() => void look(), silentMs / looksPerSilence);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

function silentOnes(
  inUse: Map<pg.PoolClient, Heard>,
  silentMs: number,
): (readonly [pg.PoolClient, number])[] {
  return [...inUse].flatMap(([client, before]) => {
    const now = hear(client);
    if (now.bytes !== before.bytes) inUse.set(client, now);
    else if (now.since - before.since >= silentMs) return [[client, now.bytes] as const];
    return [];
  });
}

function hear(client: pg.PoolClient): Heard {
  return { bytes: socketOf(client).bytesRead, since: performance.now() };
}

/** `pg` keeps it, but does not say so in its types. */
function socketOf(client: pg.PoolClient): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

/** Any word of the server's own counts, also one that refuses. */
async function doesAnswer(connectionString: string, limitMs: number): Promise<boolean> {
  const client = new pg.Client({
    connectionString,
    connectionTimeoutMillis: limitMs,
    query_timeout: limitMs,
  });
  // What it says is told to the caller by the rejection.
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch (error) {
    return error instanceof pg.DatabaseError;
  } finally {
    socketOf(client as unknown as pg.PoolClient).destroy();
  }
}
