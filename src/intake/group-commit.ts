import { databaseTrouble } from '../database/outage.ts';
import { AppError } from '../errors.ts';

/**
 * Requests that arrive while a transaction runs share the next one. A batch that fails is halved until
 * the item that makes it fail stands alone, so that it harms only itself.
 */
export interface GroupCommit<Item, Outcome> {
  /** Resolves after the commit, with one outcome for each item. */
  submit(items: readonly Item[]): Promise<Outcome[]>;
}

export interface GroupCommitOptions<Item, Outcome> {
  /** One transaction; either all of it is committed, or it throws. */
  write(items: readonly Item[]): Promise<Outcome[]>;
  /** The outcome of an item that cannot be written even alone. */
  poisoned(item: Item, error: unknown): Outcome;
}

const itemsPerCommitMax = 1_000;
const attemptsMax = 5;

interface Submission<Item, Outcome> {
  items: readonly Item[];
  resolve(outcomes: Outcome[]): void;
  reject(error: unknown): void;
}

export function createGroupCommit<Item, Outcome>(
  options: GroupCommitOptions<Item, Outcome>,
): GroupCommit<Item, Outcome> {
  const waiting: Submission<Item, Outcome>[] = [];
  let isRunning = false;

  const run = async () => {
    isRunning = true;
    for (let group = takeGroup(waiting); group.length > 0; group = takeGroup(waiting)) {
      await commitGroup(options, group);
    }
    isRunning = false;
  };

  return {
    submit: (items) =>
      new Promise((resolve, reject) => {
        waiting.push({ items, resolve, reject });
        // Whatever fails is told to the submissions, so the loop itself never rejects.
        if (!isRunning) void run();
      }),
  };
}

function takeGroup<Item, Outcome>(
  waiting: Submission<Item, Outcome>[],
): Submission<Item, Outcome>[] {
  let count = 0;
  let taken = 0;
  for (const { items } of waiting) {
    count += items.length;
    if (taken > 0 && count > itemsPerCommitMax) break;
    taken += 1;
  }
  return waiting.splice(0, taken);
}

async function commitGroup<Item, Outcome>(
  options: GroupCommitOptions<Item, Outcome>,
  group: readonly Submission<Item, Outcome>[],
): Promise<void> {
  try {
    const outcomes = await writeOrHalve(
      options,
      group.flatMap(({ items }) => items),
    );
    let from = 0;
    for (const { items, resolve } of group) {
      resolve(outcomes.slice(from, from + items.length));
      from += items.length;
    }
  } catch (error) {
    for (const { reject } of group) reject(error);
  }
}

async function writeOrHalve<Item, Outcome>(
  options: GroupCommitOptions<Item, Outcome>,
  items: readonly Item[],
): Promise<Outcome[]> {
  try {
    return await writeWithRetries(options, items);
  } catch (error) {
    if (!isAboutTheData(error)) throw unavailable(error);
    const [only] = items;
    if (items.length === 1 && only !== undefined) return [options.poisoned(only, error)];
    const middle = Math.ceil(items.length / 2);
    const first = await writeOrHalve(options, items.slice(0, middle));
    return [...first, ...(await writeOrHalve(options, items.slice(middle)))];
  }
}

async function writeWithRetries<Item, Outcome>(
  options: GroupCommitOptions<Item, Outcome>,
  items: readonly Item[],
): Promise<Outcome[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await options.write(items);
    } catch (error) {
      if (attempt === attemptsMax || !isPassing(error)) throw error;
    }
  }
}

/** Another transaction was in the way, or took an event's id first: the same again will do. */
function isPassing(error: unknown): boolean {
  return databaseTrouble(error) === 'contention' || sqlState(error) === uniqueViolation;
}

const uniqueViolation = '23505';

/** A value that a column does not take; all else is about the database, not the item. */
function isAboutTheData(error: unknown): boolean {
  const trouble = databaseTrouble(error);
  return trouble === 'bad-value' || trouble === 'constraint';
}

function sqlState(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

const retryAfterSeconds = 2;

function unavailable(cause: unknown): unknown {
  const trouble = databaseTrouble(cause);
  if (trouble !== 'outage' && trouble !== 'contention') return cause;
  return new AppError('unavailable', 'The database cannot take this now.', {
    retryAfterSeconds,
    cause,
  });
}
