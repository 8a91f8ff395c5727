import { parseArgs } from 'node:util';
import { openApiDocument } from './api/openapi-document.ts';
import { type Role, type RunningService, roles, serve } from './api/serve.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { connect } from './database/connect.ts';
import { migrateToLatest } from './database/migrate.ts';
import { createLog, type Log } from './log.ts';

/** The commands of Retorno; each is one function below. */

const usage = `Usage: node src/main.ts <command>

  serve [--roles api,scheduler,dispatcher] [--migrate]   run the service
  migrate       bring the database in DATABASE_URL up to date
  openapi       print the OpenAPI document
  demo          ninety days of a clinic in a minute
  healthcheck   exit with 0 when the service on this machine is ready
`;

const commands: Readonly<Record<string, (args: string[]) => Promise<void>>> = Object.freeze({
  serve: serveUntilStopped,
  migrate: migrateDatabase,
  openapi: printOpenApi,
  demo: async () => (await import('./demo.ts')).demo(),
  healthcheck: checkHealth,
});

/** How long a stop may take; what is still in flight then is recovered by its lease. */
const stopMs = 18_000;
const failed = 1;
const misused = 2;

await run(process.argv.slice(2));

async function run([name = '', ...args]: string[]): Promise<void> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    process.stderr.write(usage);
    process.exitCode = misused;
    return;
  }
  try {
    await command(args);
  } catch (error) {
    process.stderr.write(`${describe(error)}\n`);
    process.exit(failed);
  }
}

/** Errors of a start carry no patient's data: whoever starts it is told all there is. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && !(error instanceof ConfigError)
    ? `${error.message}\n  ${error.cause.message}`
    : error.message;
}

async function serveUntilStopped(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { roles: { type: 'string' }, migrate: { type: 'boolean', default: false } },
  });
  const config = readConfig();
  const log = createLog(config.logLevel);
  const stopping = stopSignal();
  // Also a start that hangs ends in time.
  void stopping.then(() => setTimeout(() => process.exit(0), stopMs).unref());
  endOnFault(log);
  const options = { roles: readRoles(values.roles), migrate: values.migrate };
  const service = await serve(config, options, log);
  showKeys(config, service);
  await stopping;
  log.info({}, 'Stopping.');
  await service.stop();
  log.info({}, 'Stopped.');
  process.exit(0);
}

function readRoles(list: string | undefined): readonly Role[] {
  if (list === undefined) return roles;
  const wanted = list.split(',').map((role) => role.trim());
  const known = roles.filter((role) => wanted.includes(role));
  if (wanted.length === 0 || known.length !== wanted.length) {
    throw new ConfigError([`--roles is wrong: expected some of ${roles.join(', ')}.`]);
  }
  return known;
}

/** The first signal stops; further ones change nothing. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve());
    process.on('SIGINT', () => resolve());
  });
}

/** What nobody caught is a fault of ours in an unknown state: it is logged without its words, and ends the process. */
function endOnFault(log: Log): void {
  const end = (err: unknown) => {
    log.fatal({ err }, 'An error nobody caught.');
    process.exit(failed);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}

function showKeys(config: Config, { madeKeys }: RunningService): void {
  const lines = [
    madeKeys.operatorKey && `Operator key: ${madeKeys.operatorKey}`,
    madeKeys.secretKey && `Secret key:   ${madeKeys.secretKey}`,
  ].filter((line) => line !== undefined);
  if (lines.length === 0) return;
  process.stdout.write(
    `Made on this first start and kept in ${config.dataDir}:\n${lines.join('\n')}\n`,
  );
}

async function migrateDatabase(): Promise<void> {
  const config = readConfig();
  if (config.databaseUrl === null) {
    throw new ConfigError(['DATABASE_URL is required: the embedded database migrates by itself.']);
  }
  const { db, close } = await connect({ url: config.databaseUrl });
  try {
    const names = await migrateToLatest(db);
    process.stdout.write(names.length > 0 ? `Migrated: ${names.join(', ')}\n` : 'Up to date.\n');
  } finally {
    await close();
  }
}

async function printOpenApi(): Promise<void> {
  process.stdout.write(`${JSON.stringify(await openApiDocument(), null, 2)}\n`);
}

async function checkHealth(): Promise<void> {
  const { host, port } = readConfig();
  const local = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const name = local.includes(':') ? `[${local}]` : local;
  const answer = await fetch(`http://${name}:${port}/readyz`);
  if (!answer.ok) throw new Error(`Not ready: ${answer.status}.`);
}
