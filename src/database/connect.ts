import { PGlite } from '@electric-sql/pglite';
import {
  CompiledQuery,
  Kysely,
  PGliteDialect,
  PostgresDialect,
  sql,
  type Transaction,
} from 'kysely';
import pg from 'pg';
import { preparedPglite } from './prepared-pglite.ts';
import { watchSilence } from './silence.ts';
import { createStatementNames } from './statement-names.ts';
import type { Tables } from './tables.ts';

/**
 * Opens the database. Both engines speak the same dialect and hand out the same values: `timestamptz`
 * as `Temporal.Instant`, `date` as text, `int8` as a number; instants may be given as parameters.
 */

export type Db = Kysely<Tables>;
export type Trx = Transaction<Tables>;

export interface Database {
  db: Db;
  engine: 'postgres' | 'pglite';
  close(): Promise<void>;
}

export type ConnectOptions =
  | { url: string; poolSize?: number; onError?: (error: Error) => void }
  /** A folder for the embedded database, or `memory://`. */
  | { dataDir: string };

const poolSizeDefault = 10;
const connectTimeoutMs = 2_000;

const oids = { int8: 20, date: 1082, timestamptz: 1184 } as const;

function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new RangeError('A 64-bit integer is beyond what we count.');
  return value;
}

const parseInstant = (text: string) => Temporal.Instant.from(text);

export async function connect(options: ConnectOptions): Promise<Database> {
  return 'url' in options ? connectPostgres(options) : connectEmbedded(options.dataDir);
}

function connectPostgres(options: {
  url: string;
  poolSize?: number;
  onError?: (error: Error) => void;
}): Database {
  const onError = options.onError ?? (() => {});
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolSize ?? poolSizeDefault,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    Client: InstantClient,
  });
  // Without a listener on the pool and on each client, a lost connection ends the process.
  pool.on('error', onError);
  pool.on('connect', (client) => client.on('error', onError));
  const silence = watchSilence(pool, { connectionString: options.url });
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const close = async () => {
    silence.stop();
    await db.destroy();
  };
  return { db, engine: 'postgres', close };
}

const types = new pg.TypeOverrides();
types.setTypeParser(oids.int8, parseInt8);
types.setTypeParser(oids.date, (text) => text);
types.setTypeParser(oids.timestamptz, parseInstant);

const nameOf = createStatementNames();

/** `pg` would send an instant as quoted JSON, and prepare nothing. */
class InstantClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super({ ...(typeof config === 'string' ? { connectionString: config } : config), types });
  }

  // The parameters of pg's many overloads are passed through as they are, but for a text with its values.
  override query(...args: unknown[]): never {
    const [text, values, ...others] = args;
    if (typeof text === 'string' && Array.isArray(values)) {
      const name = nameOf(text, values);
      args = [{ text, values: values.map(instantToText), ...(name && { name }) }, ...others];
    }
    return (super.query as (...args: unknown[]) => unknown).apply(this, args) as never;
  }
}

function instantToText(value: unknown): unknown {
  return value instanceof Temporal.Instant ? value.toString() : value;
}

async function connectEmbedded(dataDir: string): Promise<Database> {
  const pglite = await PGlite.create({
    dataDir,
    parsers: {
      [oids.int8]: parseInt8,
      [oids.date]: (text) => text,
      [oids.timestamptz]: parseInstant,
    },
    serializers: { [oids.timestamptz]: (value) => String(value) },
  });
  const db = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite: preparedPglite(pglite) }) });
  // Kysely closes the database only if it has used it.
  await sql`select 1`.execute(db);
  return { db, engine: 'pglite', close: () => db.destroy() };
}

/** The database's own clock: what live clinics and leases follow. */
export async function readDatabaseClock(db: Db): Promise<Temporal.Instant> {
  const { rows } = await db.executeQuery<{ now: Temporal.Instant }>(
    CompiledQuery.raw('select clock_timestamp() as now'),
  );
  const row = rows[0];
  if (!row) throw new Error('The database did not tell its time.');
  return Temporal.Instant.fromEpochMilliseconds(row.now.epochMilliseconds);
}
