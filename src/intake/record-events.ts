import type { Clock } from '../clock.ts';
import { type Clinic, clinicNow } from '../history/clinic.ts';
import type { Caller } from '../history/key.ts';
import type { ReadContext } from '../history/shape.ts';
import { localDay } from '../local-time.ts';
import type { Outcome } from './batch.ts';
import { type ReadEvent, readEvent } from './event.ts';
import { createGroupCommit, type GroupCommit } from './group-commit.ts';
import { problem, type Rejection, validationProblem } from './rejection.ts';
import { type WriteDeps, writeBatch } from './write-batch.ts';

/** The one way in: events are read, stored and applied, and answered after the commit. */

export interface IntakeDeps extends WriteDeps {
  clock: Clock;
}

export interface IntakeAnswer {
  /** Taken now, whether they changed anything or not. */
  accepted: number;
  /** Taken before. */
  duplicates: number;
  /** Kept, but something newer is known. */
  stale: number;
  rejected: Rejection[];
}

export async function recordEvents(
  deps: IntakeDeps,
  caller: Caller,
  items: readonly unknown[],
): Promise<IntakeAnswer> {
  const context = readContext(deps, caller);
  const answer: IntakeAnswer = { accepted: 0, duplicates: 0, stale: 0, rejected: [] };
  const read: ReadEvent[] = [];
  const indexes: number[] = [];
  for (const [index, item] of items.entries()) {
    const reading = readEvent(item, context);
    if ('faults' in reading) {
      answer.rejected.push({ index, id: idOf(item), problem: validationProblem(reading.faults) });
      continue;
    }
    read.push(reading.event);
    indexes.push(index);
  }
  const outcomes = await commitEvents(deps, caller, read);
  for (const [at, outcome] of outcomes.entries()) {
    count(answer, outcome, indexes[at] ?? at, read[at]?.id ?? null);
  }
  answer.rejected.sort((a, b) => a.index - b.index);
  return answer;
}

/** Adds what became of one item to the answer. */
export function count(
  answer: IntakeAnswer,
  outcome: Outcome,
  index: number,
  id: string | null,
): void {
  switch (outcome.kind) {
    case 'applied':
    case 'unchanged':
      answer.accepted += 1;
      break;
    case 'duplicate':
      answer.duplicates += 1;
      break;
    case 'stale':
      answer.stale += 1;
      break;
    case 'rejected':
      answer.rejected.push({ index, id, problem: outcome.problem });
      break;
  }
}

/** The id an item claims to have, for the answer; it may be wrong in every other way. */
export function idOf(item: unknown): string | null {
  if (typeof item !== 'object' || item === null || !('id' in item)) return null;
  return typeof item.id === 'string' ? item.id.toWellFormed().slice(0, idShownMax) : null;
}

const idShownMax = 200;

export function readContext(deps: { clock: Clock }, caller: Caller): ReadContext {
  const { clinic } = caller;
  const now = clinicNow(clinic, deps.clock);
  return {
    source: caller.source,
    timeZone: clinic.timeZone,
    country: clinic.country,
    currency: clinic.currency,
    nowMs: now.epochMilliseconds,
    today: localDay(now, clinic.timeZone),
  };
}

/** Shares a transaction with whatever else comes for this clinic meanwhile. */
export async function commitEvents(
  deps: IntakeDeps,
  caller: Caller,
  events: readonly ReadEvent[],
): Promise<Outcome[]> {
  if (events.length === 0) return [];
  const now = clinicNow(caller.clinic, deps.clock);
  return commitOf(deps, caller.clinic).submit(events.map((event) => ({ event, now })));
}

interface Pending {
  event: ReadEvent;
  now: Temporal.Instant;
}

type ClinicCommit = GroupCommit<Pending, Outcome>;

const commits = new WeakMap<object, Map<string, ClinicCommit>>();

function commitOf(deps: IntakeDeps, clinic: Clinic): ClinicCommit {
  const ofDatabase = commits.get(deps.db) ?? new Map<string, ClinicCommit>();
  commits.set(deps.db, ofDatabase);
  const known = ofDatabase.get(clinic.id);
  if (known !== undefined) return known;
  const commit = createGroupCommit<Pending, Outcome>({
    write: (pending) =>
      writeBatch(
        deps,
        clinic.id,
        pending.map(({ event }) => event),
        latest(pending),
      ),
    poisoned: () => ({
      kind: 'rejected',
      problem: problem('unprocessable', 'This event cannot be stored.'),
    }),
  });
  ofDatabase.set(clinic.id, commit);
  return commit;
}

function latest(pending: readonly Pending[]): Temporal.Instant {
  return pending
    .map(({ now }) => now)
    .reduce((a, b) => (Temporal.Instant.compare(a, b) < 0 ? b : a));
}
