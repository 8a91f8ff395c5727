import { promises as fs } from 'node:fs';
import path from 'node:path';
import { sql } from 'kysely';
import { FileMigrationProvider, Migrator } from 'kysely/migration';
import type { Db } from './connect.ts';

const folder = path.join(import.meta.dirname, '..', '..', 'migrations');

/** Names of the migrations this code knows, oldest first. */
export async function knownMigrations(): Promise<string[]> {
  const names = await fs.readdir(folder);
  return names
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.slice(0, -'.ts'.length))
    .sort();
}

/**
 * Brings the schema up to this code. Safe to run from several processes at once: they take turns.
 * @returns the names of the migrations that were run now.
 * @throws if one fails (its changes are rolled back), or if the database is newer than the code.
 */
export async function migrateToLatest(db: Db): Promise<string[]> {
  await refuseNewer(db);
  const migrator = new Migrator({
    db,
    provider: new FileMigrationProvider({ fs, path, migrationFolder: folder }),
  });
  const { error, results } = await migrator.migrateToLatest();
  if (error) {
    const failed = results?.find((result) => result.status === 'Error')?.migrationName;
    throw new Error(
      failed
        ? `Migration ${failed} failed; nothing of it was kept.`
        : 'The migrations could not be run.',
      { cause: error },
    );
  }
  return (results ?? [])
    .filter((result) => result.status === 'Success')
    .map((result) => result.migrationName);
}

/**
 * For a start that does not migrate.
 * @throws if the database is behind this code, or newer than it.
 */
export async function assertMigrated(db: Db): Promise<void> {
  await refuseNewer(db);
  const run = new Set(await migrationsRun(db));
  const missing = (await knownMigrations()).filter((name) => !run.has(name));
  if (missing.length > 0) {
    throw new Error(
      `The database lacks the migrations ${missing.join(', ')}: run "node src/main.ts migrate" or start with --migrate.`,
    );
  }
}

async function refuseNewer(db: Db): Promise<void> {
  const known = new Set(await knownMigrations());
  const unknown = (await migrationsRun(db)).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    throw new Error(
      `The database is newer than this code: it has ${unknown.join(', ')}. Start the version that made them, or a later one.`,
    );
  }
}

async function migrationsRun(db: Db): Promise<string[]> {
  const table = await sql<{
    found: boolean;
  }>`select to_regclass('kysely_migration') is not null as found`.execute(db);
  if (!table.rows[0]?.found) return [];
  const { rows } = await sql<{
    name: string;
  }>`select name from kysely_migration order by name`.execute(db);
  return rows.map((row) => row.name);
}
