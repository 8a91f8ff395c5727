/** What the test files of a checkout share on disk, and whose turn it is to make it. */
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const waitMs = 120_000;
const root = path.join(import.meta.dirname, '..', '..');

/** One folder for each user of the checkout. */
export async function cacheDirectory(): Promise<string> {
  const directory = path.join(root, 'node_modules', '.cache', `tests-${process.getuid?.() ?? 0}`);
  await fs.mkdir(directory, { recursive: true, mode: 0o700 });
  return directory;
}

const turns = new Map<string, Promise<unknown>>();

/**
 * Runs `work` while no other process of this checkout does the same. SQLite's lock is used because
 * it dies with its holder. It blocks the whole process, so calls within one queue up first.
 */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const turn = (turns.get(name) ?? Promise.resolve()).then(() => locked(name, work));
  turns.set(
    name,
    // Its caller hears of a failure; the next in the queue does not mind.
    turn.catch(() => {}),
  );
  return turn;
}

async function locked<T>(name: string, work: () => Promise<T>): Promise<T> {
  const file = path.join(await cacheDirectory(), `${name}.lock`);
  const lock = new DatabaseSync(file, { timeout: waitMs });
  try {
    lock.exec('begin exclusive');
    return await work();
  } finally {
    lock.close();
  }
}
