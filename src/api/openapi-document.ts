import { systemClock } from '../clock.ts';
import { databaseWithoutServer } from '../database/without-server.ts';
import { createLog } from '../log.ts';
import { createSecrets } from '../secrets.ts';
import { buildApp } from './app.ts';
import { createDeps } from './deps.ts';

/** The OpenAPI document of this code, for which nothing has to run. */
export async function openApiDocument(): Promise<object> {
  const deps = createDeps({
    database: { db: databaseWithoutServer(), engine: 'postgres' },
    clock: systemClock,
    secrets: createSecrets(new Uint8Array(32)),
    log: createLog('silent'),
    operatorKey: '',
    publicUrl: '',
    privateUrls: 'deny',
    requestsPerSecond: 1,
    trustProxy: [],
    fault: null,
    ticks: false,
  });
  const app = await buildApp(deps);
  await app.ready();
  const document = app.swagger();
  await app.close();
  await deps.http.close();
  return document;
}
