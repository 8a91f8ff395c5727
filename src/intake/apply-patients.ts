import { type ConsentStatement, consentMarks, setConsents } from '../history/consent-store.ts';
import type { ReadPatient } from '../history/patient.ts';
import { type Batch, contentHash, type Item } from './batch.ts';
import { dropContactPoints, lendContent } from './merge-store.ts';
import { personOf, survivorOf } from './person-book.ts';
import {
  advancePersons,
  deletePersons,
  erasePersons,
  findAliases,
  insertContactPoints,
  type PersonWrite,
  type StoredPerson,
  setContactPoints,
  upsertPersons,
} from './person-store.ts';
import { compareWatermarks } from './watermark.ts';

/** What a batch will write of one person. */
interface Change {
  person: StoredPerson;
  read: ReadPatient | null;
  isAdvanced: boolean;
  isDeleted: boolean;
}

/** Upserts and deletions of patients, with what they say about consent. */
export async function applyPatients(batch: Batch, retiredNow: readonly string[]): Promise<void> {
  const changes = new Map<string, Change>();
  const lenders = new Set(retiredNow);
  for (const item of batch.items) {
    const { effect } = item.event;
    if (effect.kind === 'patient') upsertOne(batch, item, effect.read, changes, lenders);
    if (effect.kind === 'patient-deleted')
      deleteOne(batch, item, personOf(batch.book, effect.key), changes);
  }
  await writeChanges(batch, [...changes.values()]);
  await dropContactPoints(batch.trx, batch.clinicId, [...lenders]);
  for (const id of await lendContent(batch.trx, batch.clinicId, [...lenders], batch.now))
    batch.touched.add(id);
}

function upsertOne(
  batch: Batch,
  item: Item,
  read: ReadPatient,
  changes: Map<string, Change>,
  lenders: Set<string>,
): void {
  const named = personOf(batch.book, read.key);
  const survivor = survivorOf(batch.book, named);
  item.patientId = survivor.id;
  if (named.is_erased || survivor.is_erased) {
    item.outcome = { kind: 'unchanged' };
    item.isBlank = true;
    return;
  }
  const target = isAboutSurvivor(item, read, named) ? survivor : named;
  if (target !== survivor) lenders.add(target.id);
  if (isOlder(item, target)) {
    item.outcome = { kind: 'stale' };
    return;
  }
  const content = JSON.stringify(read.content);
  const hash = contentHash(content);
  const change = changeOf(changes, target);
  if (target.hash === hash && target.is_known && !target.is_deleted) {
    item.outcome = { kind: 'unchanged' };
    change.isAdvanced = true;
  } else {
    item.outcome = { kind: 'applied', isNew: !target.is_known || target.is_deleted };
    change.read = read;
    change.isDeleted = false;
    batch.touched.add(survivor.id);
  }
  Object.assign(target, { hash, is_known: true, is_deleted: false, ...markOf(item) });
}

/**
 * What a host says about a retired id after the merge is about the survivor; but some only say there
 * that the old record is no longer in use.
 */
function isAboutSurvivor(item: Item, read: ReadPatient, named: StoredPerson): boolean {
  if (named.merged_ms === null) return true;
  return item.event.occurredMs > named.merged_ms && read.content.active;
}

function deleteOne(
  batch: Batch,
  item: Item,
  person: StoredPerson,
  changes: Map<string, Change>,
): void {
  const survivor = survivorOf(batch.book, person);
  item.patientId = survivor.id;
  if (isOlder(item, person)) {
    item.outcome = { kind: 'stale' };
    return;
  }
  item.outcome = person.is_deleted ? { kind: 'unchanged' } : { kind: 'applied', isNew: false };
  const change = changeOf(changes, person);
  change.isDeleted = true;
  Object.assign(person, { is_deleted: true, ...markOf(item) });
  batch.touched.add(survivor.id);
}

function isOlder(item: Item, person: StoredPerson): boolean {
  if (person.occurred_ms === null) return false;
  return (
    compareWatermarks(item.event, { occurredMs: person.occurred_ms, version: person.version }) < 0
  );
}

function markOf({ event }: Item): { occurred_ms: number; version: string | null } {
  return { occurred_ms: event.occurredMs, version: event.version };
}

function changeOf(changes: Map<string, Change>, person: StoredPerson): Change {
  const known = changes.get(person.id);
  if (known !== undefined) return known;
  const change = { person, read: null, isAdvanced: false, isDeleted: false };
  changes.set(person.id, change);
  return change;
}

async function writeChanges({ trx, clinicId, now }: Batch, changes: Change[]): Promise<void> {
  if (changes.length === 0) return;
  const inOrder = changes.toSorted((a, b) => (a.person.id < b.person.id ? -1 : 1));
  const written = inOrder.flatMap(({ person, read }) => (read === null ? [] : [{ person, read }]));
  await insertContactPoints(
    trx,
    clinicId,
    written.flatMap(({ read }) => read.points),
  );
  await upsertPersons(trx, clinicId, written.map(personWrite), now);
  if (written.length > 0) {
    const pairs = written.flatMap(({ person, read }) =>
      read.points.map(({ address }) => ({ patient_id: person.id, address })),
    );
    await setContactPoints(
      trx,
      clinicId,
      written.map(({ person }) => person.id),
      pairs,
    );
  }
  const advanced = inOrder.filter(
    (change) => change.isAdvanced && change.read === null && !change.isDeleted,
  );
  await advancePersons(trx, clinicId, advanced.map(personMark));
  await deletePersons(
    trx,
    clinicId,
    inOrder.filter((change) => change.isDeleted).map(personMark),
    now,
  );
}

function personWrite({ person, read }: { person: StoredPerson; read: ReadPatient }): PersonWrite {
  const { id, source, external_id, occurred_ms, version, hash } = person;
  return { ...read.content, id, source, external_id, occurred_ms, version, hash };
}

function personMark({ person }: Change) {
  return { id: person.id, occurred_ms: person.occurred_ms ?? 0, version: person.version };
}

/**
 * What upserts and `consent.changed` say. Each purpose and channel has a time of its own, so that a late
 * upsert still tells what no later one said.
 */
export async function applyConsents(batch: Batch): Promise<void> {
  const told = batch.items.flatMap((item) =>
    statementsOf(batch, item).map((statement) => ({ item, statement })),
  );
  if (told.length === 0) return;
  const patientIds = [...new Set(told.map(({ statement }) => statement.patientId))];
  const marks = await consentMarks(batch.trx, batch.clinicId, patientIds);
  for (const { item, statement } of told) {
    if (item.event.effect.kind !== 'consent') continue;
    const key = `${statement.patientId} ${statement.purpose} ${statement.channel}`;
    const isStale = item.event.occurredMs < (marks.get(key) ?? Number.NEGATIVE_INFINITY);
    item.outcome = isStale ? { kind: 'stale' } : { kind: 'applied', isNew: false };
    if (!isStale) marks.set(key, item.event.occurredMs);
  }
  const changed = await setConsents(
    batch.trx,
    batch.clinicId,
    told.map(({ statement }) => statement),
  );
  for (const id of changed) batch.touched.add(id);
}

function statementsOf(batch: Batch, item: Item): ConsentStatement[] {
  const { effect } = item.event;
  if (effect.kind === 'patient') {
    if (item.isBlank || effect.read.consents.length === 0) return [];
    const patientId = survivorOf(batch.book, personOf(batch.book, effect.read.key)).id;
    const occurredAt = occurredAtOf(item);
    return effect.read.consents.map((consent) => ({ patientId, occurredAt, ...consent }));
  }
  if (effect.kind !== 'consent') return [];
  const person = survivorOf(batch.book, personOf(batch.book, effect.patient));
  item.patientId = person.id;
  if (person.is_erased) {
    item.isBlank = true;
    return [];
  }
  return [{ patientId: person.id, occurredAt: occurredAtOf(item), ...effect.statement }];
}

function occurredAtOf({ event }: Item): string {
  return Temporal.Instant.fromEpochMilliseconds(event.occurredMs).toString();
}

/** @returns everyone who is erased now, with all ids that were merged into them. */
export async function applyErasures(batch: Batch): Promise<string[]> {
  const erased = new Set<string>();
  for (const item of batch.items) {
    const { effect } = item.event;
    if (effect.kind !== 'patient-erased') continue;
    const person = personOf(batch.book, effect.key);
    const survivor = survivorOf(batch.book, person);
    item.patientId = survivor.id;
    item.outcome = survivor.is_erased ? { kind: 'unchanged' } : { kind: 'applied', isNew: false };
    erased.add(person.id).add(survivor.id);
  }
  if (erased.size === 0) return [];
  for (const id of await findAliases(batch.trx, batch.clinicId, [...erased])) erased.add(id);
  const ids = [...erased].toSorted();
  await erasePersons(batch.trx, batch.clinicId, ids, batch.now);
  for (const id of ids) batch.touched.add(id);
  return ids;
}
