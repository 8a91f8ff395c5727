/** A migrated database for each test that asks, made by copying one that was migrated once. */
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { connect, type Database } from '../../src/database/connect.ts';
import { migrateToLatest } from '../../src/database/migrate.ts';
import { cacheDirectory, withLock } from './lock.ts';
import {
  administer,
  createDatabase,
  dropDatabase,
  type Postgres,
  sharedPostgres,
} from './postgres-server.ts';

export { administer, createDatabase, sharedPostgres, startPostgres } from './postgres-server.ts';

export interface TestDatabase extends Database {
  /** What `DATABASE_URL` would be; for the embedded database its folder. */
  url: string;
}

const root = path.join(import.meta.dirname, '..', '..');
/** Any number will do, as long as nothing else on the tests' own server uses it. */
const templateLock = 1;

/** Gives a migrated, empty database that is closed and dropped when the test ends. */
export async function testDatabase(
  t: Pick<Test, 'teardown'>,
  { engine = 'postgres' }: { engine?: Database['engine'] } = {},
): Promise<TestDatabase> {
  return engine === 'postgres' ? postgresDatabase(t) : embeddedDatabase(t);
}

async function postgresDatabase(t: Pick<Test, 'teardown'>): Promise<TestDatabase> {
  const postgres = await sharedPostgres();
  template ??= migratedTemplate(postgres);
  const name = await createDatabase(postgres, await template);
  const url = postgres.url(name);
  const database = await connect({ url });
  t.teardown(async () => {
    await database.close();
    await dropDatabase(postgres, name);
  });
  return { ...database, url };
}

let template: Promise<string> | undefined;

async function migratedTemplate(postgres: Postgres): Promise<string> {
  const name = `template_${await schemaHash()}`;
  await administer(postgres, async (client) => {
    await client.query('select pg_advisory_lock($1)', [templateLock]);
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount !== 0) return;
    const unfinished = await createDatabase(postgres);
    await migrate(await connect({ url: postgres.url(unfinished) }));
    await client.query(`alter database ${unfinished} rename to ${name}`);
  });
  return name;
}

async function embeddedDatabase(t: Pick<Test, 'teardown'>): Promise<TestDatabase> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'retorno-test-embedded-'));
  const dataDir = path.join(directory, 'data');
  await copyMigratedFolder(dataDir);
  const database = await connect({ dataDir });
  t.teardown(async () => {
    await database.close();
    await fs.rm(directory, { recursive: true, force: true });
  });
  return { ...database, url: dataDir };
}

async function copyMigratedFolder(target: string): Promise<void> {
  const migrated = path.join(await cacheDirectory(), `embedded-${await schemaHash()}`);
  await withLock('embedded', async () => {
    if (!(await exists(migrated))) {
      await removeOlderFolders();
      const unfinished = `${migrated}.${randomBytes(4).toString('hex')}`;
      await migrate(await connect({ dataDir: unfinished }));
      await fs.rename(unfinished, migrated);
    }
    await fs.cp(migrated, target, { recursive: true });
  });
}

async function removeOlderFolders(): Promise<void> {
  const cache = await cacheDirectory();
  for (const name of await fs.readdir(cache)) {
    if (name.startsWith('embedded-')) await fs.rm(path.join(cache, name), { recursive: true });
  }
}

async function migrate(database: Database): Promise<void> {
  try {
    await migrateToLatest(database.db);
  } finally {
    await database.close();
  }
}

async function schemaHash(): Promise<string> {
  const hash = createHash('sha256');
  const migrations = path.join(root, 'migrations');
  for (const name of (await fs.readdir(migrations)).sort()) {
    hash.update(name).update(await fs.readFile(path.join(migrations, name)));
  }
  return hash.digest('hex').slice(0, 16);
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}
