import { type DatabaseClock, databaseClock } from '../clock.ts';
import { type Config, ConfigError, requireKeys } from '../config.ts';
import { type DataDir, openDataDir } from '../data-dir.ts';
import { connect, type Database, readDatabaseClock } from '../database/connect.ts';
import { assertMigrated, migrateToLatest } from '../database/migrate.ts';
import { keepStatistics } from '../database/statistics.ts';
import { assertWalled } from '../database/with-clinic.ts';
import type { Log } from '../log.ts';
import { createDispatcher } from '../outbox/dispatch.ts';
import { createReconciler } from '../outbox/reconcile.ts';
import { createWebhookDispatcher } from '../outbox/webhooks/deliver.ts';
import { createDeskService } from '../replies/serve-desk.ts';
import { createScheduler } from '../rules/scheduler.ts';
import { createSecrets } from '../secrets.ts';
import { loop, type Service } from '../service.ts';
import { buildApp } from './app.ts';
import { type AppDeps, createDeps } from './deps.ts';

/** Puts one process together from its roles, and takes it apart again. */

export const roles = ['api', 'scheduler', 'dispatcher'] as const;
export type Role = (typeof roles)[number];

export interface ServeOptions {
  roles: readonly Role[];
  /** Bring the database up to date first; the embedded one always is. */
  migrate: boolean;
}

export interface RunningService {
  /** Where it listens; null without the role `api`. */
  url: string | null;
  operatorKey: string;
  /** Keys made at this start, to be shown once. */
  madeKeys: DataDir['made'];
  /** Takes no new work and waits for what is in flight. */
  stop(): Promise<void>;
}

const clockSyncMs = 30_000;
const skewWarningMs = 2_000;

/** @throws ConfigError, or an Error that says why the database cannot be used. */
export async function serve(
  config: Config,
  options: ServeOptions,
  log: Log,
): Promise<RunningService> {
  requireKeys(config);
  if (config.databaseUrl === null && options.roles.length < roles.length) {
    throw new ConfigError([
      'The embedded database runs all roles in one process: set DATABASE_URL to split them.',
    ]);
  }
  const dataDir = config.databaseUrl === null ? openDataDir(config.dataDir, config) : null;
  const undo: (() => Promise<void> | void)[] = [() => dataDir?.release()];
  const undoAll = async () => {
    for (const step of undo.reverse()) await step();
  };
  try {
    const database = await openDatabase(config, dataDir, log);
    undo.push(() => database.close());
    await prepareDatabase(database, options, log);
    return await start(config, options, dataDir, database, log, undoAll);
  } catch (error) {
    await undoAll();
    throw error;
  }
}

async function openDatabase(config: Config, dataDir: DataDir | null, log: Log): Promise<Database> {
  if (dataDir !== null) return connect({ dataDir: dataDir.databaseDir });
  return connect({
    url: config.databaseUrl ?? '',
    poolSize: config.poolSize,
    onError: (error) => log.warn({ err: error }, 'A connection to the database was lost.'),
  });
}

async function prepareDatabase(database: Database, options: ServeOptions, log: Log): Promise<void> {
  if (options.migrate || database.engine === 'pglite') {
    const migrations = await migrateToLatest(database.db);
    if (migrations.length > 0) log.info({ migrations }, 'The database was migrated.');
  }
  await assertMigrated(database.db);
  await assertWalled(database.db);
}

async function start(
  config: Config,
  options: ServeOptions,
  dataDir: DataDir | null,
  { db, engine }: Database,
  log: Log,
  undoAll: () => Promise<void>,
): Promise<RunningService> {
  const clock = databaseClock(() => readDatabaseClock(db));
  await clock.sync();
  const operatorKey = dataDir?.operatorKey ?? config.operatorKey ?? '';
  const deps = createDeps({
    ...config,
    database: { db, engine },
    clock,
    secrets: createSecrets(dataDir?.secretKey ?? config.secretKey ?? new Uint8Array()),
    log,
    operatorKey,
    publicUrl: config.publicUrl ?? `http://${config.host}:${config.port}`,
    ticks: options.roles.includes('scheduler'),
  });
  const app = options.roles.includes('api') ? await buildApp(deps) : null;
  const url = app ? await app.listen({ host: config.host, port: config.port }) : null;
  // Port 0 becomes a number only now.
  if (url && config.publicUrl === null) deps.publicUrl = url;
  const services = servicesOf(options.roles, deps, clock);
  for (const service of services) service.start();
  tellStart(config, options, engine, url, log);
  return {
    url,
    operatorKey,
    madeKeys: dataDir?.made ?? {},
    stop: async () => {
      deps.health.isStopping = true;
      await Promise.all([app?.close(), ...services.map((service) => service.stop())]);
      await deps.http.close();
      await undoAll();
    },
  };
}

function servicesOf(wanted: readonly Role[], deps: AppDeps, clock: DatabaseClock): Service[] {
  const { log, health } = deps;
  const scheduler = () =>
    createScheduler({
      ...deps,
      clock,
      onError: (err, clinicId) =>
        log.error({ err, clinicId }, 'Planning failed; it is tried again.'),
      onSkew: (skewMs) => tellSkew(log, skewMs),
      onTick: () => health.ticked(),
    });
  const statistics = keepStatistics(deps.db, (err) =>
    log.warn({ err }, 'The statistics could not be kept; they are tried again.'),
  );
  return [
    // A scheduler reads the clock at each tick.
    wanted.includes('scheduler') ? scheduler() : followClock(clock, log),
    ...(wanted.includes('dispatcher')
      ? [
          createDispatcher(deps),
          createReconciler(deps),
          createWebhookDispatcher(deps),
          createDeskService(deps),
        ]
      : []),
    ...(deps.engine === 'pglite' ? [statistics] : []),
  ];
}

function tellSkew(log: Log, skewMs: number): void {
  if (Math.abs(skewMs) <= skewWarningMs) return;
  log.warn(
    { skewMs: Math.round(skewMs) },
    "This machine's clock differs from the database's, which is followed.",
  );
}

/** Replicas follow the database's clock, so that they agree about what is due. */
function followClock(clock: DatabaseClock, log: Log): Service {
  return loop({
    idleMs: clockSyncMs,
    round: async () => {
      tellSkew(log, await clock.sync());
      return 'idle';
    },
    onError: (err) => log.warn({ err }, "The database's clock could not be read."),
  });
}

function tellStart(
  config: Config,
  options: ServeOptions,
  engine: Database['engine'],
  url: string | null,
  log: Log,
): void {
  log.info(
    { roles: options.roles, url },
    url ? `Listening on ${url}; ${url}/docs shows the API.` : 'Working.',
  );
  if (engine === 'pglite') {
    log.warn(
      {},
      `The embedded database in ${config.dataDir} is for a trial, the demo and one small clinic: a killed process loses nothing, a power cut may. Set DATABASE_URL for PostgreSQL.`,
    );
  }
}
