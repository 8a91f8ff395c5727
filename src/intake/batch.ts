import { hash } from 'node:crypto';
import type { Trx } from '../database/connect.ts';
import type { ReadEvent } from './event.ts';
import type { PersonBook } from './person-book.ts';
import type { Problem } from './rejection.ts';

/** What became of one event. */
export type Outcome =
  | { kind: 'applied'; isNew: boolean }
  | { kind: 'unchanged' }
  | { kind: 'stale' }
  | { kind: 'duplicate' }
  | { kind: 'rejected'; problem: Problem };

/** An event on its way through a batch. */
export interface Item {
  event: ReadEvent;
  /** Its place in the batch. */
  position: number;
  outcome: Outcome;
  patientId: string | null;
  /** Nothing of what it said is kept. */
  isBlank: boolean;
}

export interface Batch {
  trx: Trx;
  clinicId: string;
  now: Temporal.Instant;
  /** In the order in which they count: when they occurred, their version, their arrival. */
  items: readonly Item[];
  book: PersonBook;
  /** Whose plans may have changed. */
  touched: Set<string>;
}

const hashHexLength = 32;

/** Tells whether content is the same; 128 bits of SHA-256. */
export function contentHash(text: string): string {
  return hash('sha256', text, 'hex').slice(0, hashHexLength);
}
