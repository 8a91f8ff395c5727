import type { Trx } from '../database/connect.ts';
import {
  enqueueMessages,
  type NewMessage,
  type NewTimes,
  rescheduleMessages,
  withdrawMessages,
} from '../outbox/message-store.ts';
import {
  dropUnsentMessages,
  type HeldMessage,
  holdMessages,
  insertJourneys,
  type JourneyChange,
  type NewJourney,
  updateJourneys,
} from './journey-store.ts';

/** What planning decided, collected so that each kind is written by one statement. */
export interface Changes {
  inserts: NewPlan[];
  updates: Map<string, JourneyChange>;
  /** For journeys that exist. */
  messages: NewMessage[];
  moved: NewTimes[];
  held: HeldMessage[];
  withdrawn: { id: string; state: 'cancelled' | 'suppressed'; reason: string }[];
  /** Journeys whose unsent messages make room for new ones. */
  revived: string[];
  /** Unsent messages that make room for new ones. */
  dropped: string[];
}

/** A journey and what becomes its messages once it has its id. */
export interface NewPlan {
  journey: NewJourney;
  toMessages: (journeyId: string) => NewMessage[];
}

export interface Planned {
  planned: number;
  suppressed: number;
}

export function noChanges(): Changes {
  return {
    inserts: [],
    updates: new Map(),
    messages: [],
    moved: [],
    held: [],
    withdrawn: [],
    revived: [],
    dropped: [],
  };
}

export async function writeChanges(
  trx: Trx,
  clinicId: string,
  changes: Changes,
  now: Temporal.Instant,
): Promise<Planned> {
  const ends = Map.groupBy(changes.withdrawn, ({ state, reason }) => `${state} ${reason}`);
  for (const alike of ends.values()) {
    const [first] = alike;
    if (first === undefined) continue;
    const messageIds = alike.map(({ id }) => id);
    const { state, reason } = first;
    await withdrawMessages(trx, clinicId, { messageIds }, { state, reason }, now);
  }
  await dropUnsentMessages(trx, clinicId, changes.revived, changes.dropped);
  await updateJourneys(trx, clinicId, [...changes.updates.values()], now);
  await rescheduleMessages(trx, clinicId, changes.moved, now);
  await holdMessages(trx, clinicId, changes.held, now);
  const added = await writePlans(trx, clinicId, changes.inserts, now);
  await enqueueMessages(trx, clinicId, changes.messages, now);
  return {
    planned: added.planned + changes.messages.filter(isPlanned).length,
    suppressed:
      added.suppressed +
      [...changes.updates.values()].filter(({ state }) => state === 'suppressed').length,
  };
}

export interface Written extends Planned {
  /** Occurrences that have a journey already: they are left as they are. */
  known: NewJourney[];
}

export async function writePlans(
  trx: Trx,
  clinicId: string,
  plans: readonly NewPlan[],
  now: Temporal.Instant,
): Promise<Written> {
  const journeys = plans.map(({ journey }) => journey);
  const ids = await insertJourneys(trx, clinicId, journeys, now);
  const messages = plans.flatMap(({ toMessages }, index) => {
    const id = ids[index];
    return id == null ? [] : toMessages(id);
  });
  await enqueueMessages(trx, clinicId, messages, now);
  return {
    planned: messages.filter(isPlanned).length,
    suppressed: journeys.filter(({ state }, index) => state === 'suppressed' && ids[index] !== null)
      .length,
    known: journeys.filter((_journey, index) => ids[index] === null),
  };
}

function isPlanned({ state }: NewMessage): boolean {
  return state !== 'suppressed';
}
