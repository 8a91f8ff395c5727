/** Tells trouble with the database, which passes, from faults of our own, which do not. */

/** Classes 08 and 57: the connection broke or the server goes down. 53: it is out of something. */
const outageClasses = new Set(['08', '53', '57']);
/** Another transaction was in the way; a repetition gets through. */
const contentionCodes = new Set(['40001', '40P01', '55P03', '25P03']);
const socketCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
/** `pg` gives these no code. */
const lostConnection =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|Query read timeout|Client was closed|PGlite is closed)/;
const sqlState = /^[0-9A-Z]{5}$/;

const sacrificeCodes: ReadonlySet<string> = new Set(['40001', '40P01']);
/** To a deletion also a row that came while it looked, and that refers to what it deletes. */
export const deletionCodes: ReadonlySet<string> = new Set([...sacrificeCodes, '23503']);

/** Of transactions in each other's way the database undoes one; crowds need some patience. */
const attemptsMax = 5;

/** Runs a whole transaction again when the database undid it for another's sake. */
export async function repeatSacrificed<T>(
  transaction: () => Promise<T>,
  attempts = attemptsMax,
  codes = sacrificeCodes,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await transaction();
    } catch (error) {
      if (attempt === attempts || !hasCode(error, codes)) throw error;
    }
  }
}

function hasCode(error: unknown, codes: ReadonlySet<string>): boolean {
  return error instanceof Error && 'code' in error && codes.has(String(error.code));
}

export type DatabaseTrouble = 'outage' | 'contention' | 'bad-value' | 'constraint';

/** @returns null for an error that has nothing to do with the database. */
export function databaseTrouble(error: unknown): DatabaseTrouble | null {
  if (!(error instanceof Error)) return null;
  const code = 'code' in error ? error.code : undefined;
  if (typeof code !== 'string') return lostConnection.test(error.message) ? 'outage' : null;
  if (socketCodes.has(code)) return 'outage';
  if (!sqlState.test(code)) return null;
  if (outageClasses.has(code.slice(0, 2))) return 'outage';
  if (contentionCodes.has(code)) return 'contention';
  if (code.startsWith('22')) return 'bad-value';
  return code.startsWith('23') ? 'constraint' : null;
}
