import type { Trx } from '../database/connect.ts';
import type { HostId } from '../history/host-id.ts';
import { uuidv7 } from '../uuid.ts';
import { insertStubs, lockPersons, lockPersonsById, type StoredPerson } from './person-store.ts';

/** Everyone a batch is about, as they stand while it is applied. */
export interface PersonBook {
  byKey: Map<string, StoredPerson>;
  byId: Map<string, StoredPerson>;
}

export const keyOf = (source: string, externalId: string) => `${source}~${externalId}`;

export interface BookRequest {
  named: readonly HostId[];
  /** Of objects that already belong to someone. */
  ids: readonly string[];
  /** Who will be written whole needs no stub first. */
  writtenWhole: ReadonlySet<string>;
}

/** Finds them all, makes stubs of those nobody told about, and locks the rows that senders lock. */
export async function openBook(
  trx: Trx,
  clinicId: string,
  { named, ids, writtenWhole }: BookRequest,
  now: Temporal.Instant,
): Promise<PersonBook> {
  const book: PersonBook = { byKey: new Map(), byId: new Map() };
  const wanted = new Map(named.map((key) => [keyOf(key.source, key.externalId), key]));
  for (const [source, externalIds] of groupBySource(wanted.values())) {
    enter(book, await lockPersons(trx, clinicId, source, externalIds));
  }
  const survivors = [...book.byId.values()].flatMap((person) => person.replaced_by ?? []);
  const unseen = [...new Set([...ids, ...survivors])].filter((id) => !book.byId.has(id));
  if (unseen.length > 0) enter(book, await lockPersonsById(trx, clinicId, unseen));
  const missing = [...wanted].filter(([key]) => !book.byKey.has(key));
  const stubs = missing.map(([key, hostId]) => ({ key, id: uuidv7(now), ...hostId }));
  await insertStubs(
    trx,
    clinicId,
    stubs.filter((stub) => !writtenWhole.has(stub.key)),
    now,
  );
  enter(book, stubs.map(newPerson));
  return book;
}

function enter(book: PersonBook, persons: readonly StoredPerson[]): void {
  for (const person of persons) {
    book.byKey.set(keyOf(person.source, person.external_id), person);
    book.byId.set(person.id, person);
  }
}

export function groupBySource(keys: Iterable<HostId>): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { source, externalId } of keys) {
    const group = groups.get(source);
    if (group === undefined) groups.set(source, [externalId]);
    else group.push(externalId);
  }
  return groups;
}

function newPerson({ id, source, externalId }: HostId & { id: string }): StoredPerson {
  return {
    id,
    source,
    external_id: externalId,
    is_known: false,
    replaced_by: null,
    merged_ms: null,
    is_deleted: false,
    is_erased: false,
    occurred_ms: null,
    version: null,
    hash: null,
  };
}

export function personOf(book: PersonBook, { source, externalId }: HostId): StoredPerson {
  const person = book.byKey.get(keyOf(source, externalId));
  if (person === undefined)
    throw new Error('An event names a patient that its batch did not load.');
  return person;
}

/** The survivor of all merges; the person themselves if there was none. */
export function survivorOf(book: PersonBook, person: StoredPerson): StoredPerson {
  return person.replaced_by === null ? person : (book.byId.get(person.replaced_by) ?? person);
}
