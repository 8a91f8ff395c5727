import type { Batch, Item } from './batch.ts';
import { type MergedPair, moveToSurvivors, pointAtSurvivors } from './merge-store.ts';
import { type PersonBook, personOf, survivorOf } from './person-book.ts';
import type { StoredPerson } from './person-store.ts';
import { refusal } from './rejection.ts';

/**
 * Two ids are one person from now on, and the retired one resolves to the survivor for ever. What rules
 * planned for the retired one follows when they take the survivor's mark.
 * @returns who was merged away in this batch.
 */
export async function applyMerges(batch: Batch): Promise<string[]> {
  const retired = new Map<string, StoredPerson>();
  for (const item of batch.items) {
    const merged = mergeOne(batch.book, item);
    if (merged !== null) retired.set(merged.id, merged);
  }
  if (retired.size === 0) return [];
  const pairs = [...retired.values()].map((person): MergedPair => {
    const survivor = survivorOf(batch.book, person);
    batch.touched.add(survivor.id);
    return { retired: person.id, survivor: survivor.id, mergedMs: person.merged_ms ?? 0 };
  });
  const { trx, clinicId } = batch;
  await pointAtSurvivors(trx, clinicId, pairs, batch.now);
  await moveToSurvivors(trx, clinicId, pairs);
  return [...retired.keys()];
}

/** @returns the person who was merged away, or null if nothing changed. */
function mergeOne(book: PersonBook, item: Item): StoredPerson | null {
  const { effect, occurredMs } = item.event;
  if (effect.kind !== 'patient-merged') return null;
  const person = personOf(book, effect.key);
  const into = personOf(book, effect.into);
  const survivor = survivorOf(book, into);
  item.patientId = survivor.id;
  if (survivorOf(book, person).id === survivor.id) {
    item.outcome =
      person.id === survivor.id
        ? refuse('merge-cycle', 'The id to retire is the one that the other was merged into.')
        : { kind: 'unchanged' };
    return null;
  }
  if (person.replaced_by !== null) {
    item.outcome = refuse('merge-conflict', 'This id was merged into another one before.');
    return null;
  }
  retire(book, person, survivor, Math.max(occurredMs, into.merged_ms ?? 0));
  item.outcome = { kind: 'applied', isNew: false };
  return person;
}

function refuse(code: string, detail: string): Item['outcome'] {
  return { kind: 'rejected', problem: refusal(code, '/data/into', detail) };
}

function retire(
  book: PersonBook,
  person: StoredPerson,
  survivor: StoredPerson,
  mergedMs: number,
): void {
  for (const other of book.byId.values()) {
    if (other.id !== person.id && other.replaced_by !== person.id) continue;
    other.replaced_by = survivor.id;
    other.merged_ms = Math.max(mergedMs, other.merged_ms ?? 0);
  }
}
