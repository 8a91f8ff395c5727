import type { AppointmentContent, ReadAppointment } from '../history/appointment.ts';
import type { HostId } from '../history/host-id.ts';
import type { ReadVisit, VisitContent } from '../history/visit.ts';
import { type Batch, contentHash, type Item } from './batch.ts';
import { type DirectoryRow, upsertDirectory } from './directory-store.ts';
import {
  type AppointmentWrite,
  advanceObjects,
  deleteObjects,
  type StoredObject,
  upsertAppointments,
  upsertVisits,
  type VisitWrite,
} from './object-store.ts';
import { keyOf, personOf, survivorOf } from './person-book.ts';
import { compareWatermarks } from './watermark.ts';

/** Appointments and visits: each event is held against what is known of its object by then. */

export interface Objects {
  kind: 'appointment' | 'visit';
  /** By key, as they stood before the batch; brought forward while it is applied. */
  known: Map<string, StoredObject>;
}

interface Change {
  object: StoredObject;
  content: AppointmentContent | VisitContent | null;
  isAdvanced: boolean;
  isDeleted: boolean;
}

export async function applyObjects(batch: Batch, objects: Objects): Promise<void> {
  const changes = new Map<string, Change>();
  for (const item of batch.items) {
    const { effect } = item.event;
    if (effect.kind === objects.kind) upsertOne(batch, item, effect.read, objects, changes);
    if (effect.kind === `${objects.kind}-deleted` && 'key' in effect) {
      deleteOne(batch, item, changeOf(objects, changes, effect.key));
    }
  }
  if (changes.size > 0) await writeChanges(batch, objects.kind, changes);
}

function upsertOne(
  batch: Batch,
  item: Item,
  read: ReadAppointment | ReadVisit,
  objects: Objects,
  changes: Map<string, Change>,
): void {
  const patient =
    read.patient === null ? null : survivorOf(batch.book, personOf(batch.book, read.patient));
  item.patientId = patient?.id ?? null;
  if (patient?.is_erased) {
    item.outcome = { kind: 'unchanged' };
    item.isBlank = true;
    return;
  }
  const change = changeOf(objects, changes, read.key);
  const { object } = change;
  if (isOlder(item, object)) {
    item.outcome = { kind: 'stale' };
    return;
  }
  const content = JSON.stringify(read.content);
  const hash = contentHash(
    read.patient === null ? content : content + keyOf(read.patient.source, read.patient.externalId),
  );
  if (object.hash === hash && !object.is_deleted) {
    item.outcome = { kind: 'unchanged' };
    change.isAdvanced = true;
  } else {
    item.outcome = { kind: 'applied', isNew: object.hash === null || object.is_deleted };
    if (object.patient_id !== null) batch.touched.add(object.patient_id);
    if (patient !== null) batch.touched.add(patient.id);
    change.content = read.content;
    change.isDeleted = false;
    moveStart(object, read.content.start_ms);
    object.patient_id = patient?.id ?? null;
    object.hash = hash;
    object.is_deleted = false;
  }
  object.occurred_ms = item.event.occurredMs;
  object.version = item.event.version;
}

/** Each departure from a known start is a move of its own, so that every one is told once. */
function moveStart(object: StoredObject, startMs: number | null): void {
  if (object.start_ms !== null && object.start_ms !== startMs) object.start_revision += 1;
  object.start_ms = startMs;
}

function deleteOne(batch: Batch, item: Item, change: Change): void {
  const { object } = change;
  item.patientId = object.patient_id;
  if (isOlder(item, object)) {
    item.outcome = { kind: 'stale' };
    return;
  }
  item.outcome = object.is_deleted ? { kind: 'unchanged' } : { kind: 'applied', isNew: false };
  if (object.patient_id !== null) batch.touched.add(object.patient_id);
  change.isDeleted = true;
  object.is_deleted = true;
  object.occurred_ms = item.event.occurredMs;
  object.version = item.event.version;
}

function isOlder({ event }: Item, object: StoredObject): boolean {
  if (object.occurred_ms === null) return false;
  return compareWatermarks(event, { occurredMs: object.occurred_ms, version: object.version }) < 0;
}

function changeOf(
  objects: Objects,
  changes: Map<string, Change>,
  { source, externalId }: HostId,
): Change {
  const key = keyOf(source, externalId);
  const made = changes.get(key);
  if (made !== undefined) return made;
  const object = objects.known.get(key) ?? newObject(source, externalId);
  objects.known.set(key, object);
  const change = { object, content: null, isAdvanced: false, isDeleted: false };
  changes.set(key, change);
  return change;
}

function newObject(source: string, external_id: string): StoredObject {
  return {
    source,
    external_id,
    patient_id: null,
    occurred_ms: null,
    version: null,
    hash: null,
    is_deleted: false,
    start_ms: null,
    start_revision: 1,
  };
}

async function writeChanges(
  batch: Batch,
  kind: Objects['kind'],
  changes: Map<string, Change>,
): Promise<void> {
  const { trx, clinicId, now } = batch;
  const inOrder = [...changes].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, change]) => change);
  const written = inOrder.filter((change) => change.content !== null);
  if (kind === 'visit') await upsertVisits(trx, clinicId, written.map(visitWrite), now);
  else await upsertAppointments(trx, clinicId, written.map(appointmentWrite), now);
  const advanced = inOrder.filter(
    (change) => change.isAdvanced && change.content === null && !change.isDeleted,
  );
  await advanceObjects(trx, clinicId, kind, advanced.map(markOf));
  await deleteObjects(
    trx,
    clinicId,
    kind,
    inOrder.filter((change) => change.isDeleted).map(markOf),
    now,
  );
}

// The kind of the objects says which content their changes carry.
function visitWrite({ object, content }: Change): VisitWrite {
  return { ...(content as VisitContent), ...identityOf(object) };
}

function appointmentWrite({ object, content }: Change): AppointmentWrite {
  return {
    ...(content as AppointmentContent),
    ...identityOf(object),
    start_revision: object.start_revision,
  };
}

function identityOf({ source, external_id, patient_id, occurred_ms, version, hash }: StoredObject) {
  return { source, external_id, patient_id, occurred_ms, version, hash };
}

function markOf({ object }: Change) {
  const { source, external_id, occurred_ms, version } = object;
  return { source, external_id, occurred_ms: occurred_ms ?? 0, version };
}

/** Names of practitioners, locations and organizations; nobody's plan depends on them. */
export async function applyDirectory(batch: Batch): Promise<void> {
  const rows = new Map<string, DirectoryRow>();
  for (const item of batch.items) {
    const { effect } = item.event;
    if (effect.kind !== 'directory') continue;
    const { kind, key, content } = effect.read;
    item.outcome = { kind: 'applied', isNew: false };
    rows.set(`${kind} ${keyOf(key.source, key.externalId)}`, {
      kind,
      source: key.source,
      external_id: key.externalId,
      ...content,
      occurred_ms: item.event.occurredMs,
      version: item.event.version,
      hash: contentHash(JSON.stringify(content)),
    });
  }
  const inOrder = [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  await upsertDirectory(batch.trx, batch.clinicId, inOrder, batch.now);
}
