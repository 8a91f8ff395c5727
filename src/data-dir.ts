import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** The folder of an installation without a database of its own: one process at a time, and its keys. */
export interface DataDir {
  /** Where the embedded database lives. */
  databaseDir: string;
  operatorKey: string;
  secretKey: Uint8Array;
  /** Keys made just now, to be shown to whoever starts it. */
  made: { operatorKey?: string; secretKey?: string };
  release(): void;
}

const secretKeyBytes = 32;
const privateFile = 0o600;
const privateFolder = 0o700;

/** @throws Error when another process owns the folder, or a key in it cannot be read. */
export function openDataDir(
  folder: string,
  given: { operatorKey: string | null; secretKey: Uint8Array | null },
): DataDir {
  mkdirSync(folder, { recursive: true, mode: privateFolder });
  const lock = lockFolder(folder);
  const made: DataDir['made'] = {};
  const operatorKey =
    given.operatorKey ??
    keptOrMade(path.join(folder, 'operator.key'), () => {
      made.operatorKey = `rtn_operator_${randomBytes(secretKeyBytes).toString('base64url')}`;
      return made.operatorKey;
    });
  const secretKey =
    given.secretKey ??
    Buffer.from(
      keptOrMade(path.join(folder, 'secret.key'), () => {
        made.secretKey = randomBytes(secretKeyBytes).toString('base64');
        return made.secretKey;
      }),
      'base64',
    );
  if (secretKey.length !== secretKeyBytes) {
    throw new Error(
      `${path.join(folder, 'secret.key')} does not hold ${secretKeyBytes} bytes in base64.`,
    );
  }
  return {
    databaseDir: path.join(folder, 'database'),
    operatorKey,
    secretKey,
    made,
    release: () => lock.close(),
  };
}

/**
 * SQLite's lock is the operating system's own: it ends with its holder, however that ends, works at any
 * length of path, and between containers that share a volume.
 */
function lockFolder(folder: string): DatabaseSync {
  const lock = new DatabaseSync(path.join(folder, 'lock'));
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    throw new Error(
      `Another process owns ${folder}: only one at a time may use the embedded database.`,
      {
        cause: error,
      },
    );
  }
}

function keptOrMade(file: string, make: () => string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const value = make();
    writeFileSync(file, `${value}\n`, { mode: privateFile, flag: 'wx' });
    chmodSync(file, privateFile);
    return value;
  }
}
