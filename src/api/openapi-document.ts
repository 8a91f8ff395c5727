import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';
import { systemClock } from '../clock.ts';
import type { Db } from '../database/connect.ts';
import type { Tables } from '../database/tables.ts';
import { createLog } from '../log.ts';
import { createSecrets } from '../secrets.ts';
import { buildApp } from './app.ts';
import { createCallers } from './callers.ts';
import { createHealth } from './health.ts';
import { createMetrics } from './metrics.ts';

/** The OpenAPI document of this code, for which nothing has to run. */
export async function openApiDocument(): Promise<object> {
  const db = databaseWithoutServer();
  const health = createHealth({ ticks: false });
  const app = await buildApp({
    db,
    engine: 'postgres',
    clock: systemClock,
    secrets: createSecrets(new Uint8Array(32)),
    log: createLog('silent'),
    operatorKey: '',
    publicUrl: '',
    privateUrls: 'deny',
    requestsPerSecond: 1,
    trustProxy: [],
    callers: createCallers(db),
    tickTestClinic: async () => {},
    health,
    metrics: createMetrics(health),
  });
  await app.ready();
  const document = app.swagger();
  await app.close();
  return document;
}

function databaseWithoutServer(): Db {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}
