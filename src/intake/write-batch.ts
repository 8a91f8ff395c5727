import type { Db, Trx } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import { markReplan } from '../history/replan-store.ts';
import { applyMerges, type PatientsMerged } from './apply-merges.ts';
import { applyDirectory, applyObjects, type Objects } from './apply-objects.ts';
import { applyConsents, applyErasures, applyPatients } from './apply-patients.ts';
import type { Batch, Item, Outcome } from './batch.ts';
import { patientsOf, type ReadEvent } from './event.ts';
import { blankEventsOf, findKnownEvents, insertEvents, lockIntake } from './event-store.ts';
import { loadObjects } from './object-store.ts';
import { groupBySource, keyOf, openBook, personOf, survivorOf } from './person-book.ts';
import { compareWatermarks } from './watermark.ts';

export interface WriteDeps {
  db: Db;
  /** Moves what other rooms keep of a retired patient, in the same transaction. */
  onPatientsMerged?: PatientsMerged;
}

const nothingToMove: PatientsMerged = async () => {};

/**
 * Stores events and what they change in one transaction: whoever gets an outcome, gets it after the
 * commit. Locks are taken in the order that senders take them.
 */
export async function writeBatch(
  deps: WriteDeps,
  clinicId: string,
  events: readonly ReadEvent[],
  now: Temporal.Instant,
): Promise<Outcome[]> {
  return withClinic(deps.db, clinicId, async (trx) => {
    await lockIntake(trx, clinicId);
    const items = events.map(newItem);
    const fresh = await withoutDuplicates(trx, clinicId, items);
    if (fresh.length > 0)
      await applyFresh(trx, clinicId, fresh, now, deps.onPatientsMerged ?? nothingToMove);
    return items.map((item) => item.outcome);
  });
}

function newItem(event: ReadEvent, position: number): Item {
  return {
    event,
    position,
    outcome: { kind: 'applied', isNew: false },
    patientId: null,
    isBlank: false,
  };
}

/** The same event id counts once, whether it was stored before or comes twice in one batch. */
async function withoutDuplicates(
  trx: Trx,
  clinicId: string,
  items: readonly Item[],
): Promise<Item[]> {
  const seen = new Set<string>();
  for (const [source, ids] of groupBySource(
    items.map(({ event }) => ({ source: event.source, externalId: event.id })),
  )) {
    for (const id of await findKnownEvents(trx, clinicId, source, ids)) seen.add(keyOf(source, id));
  }
  return items.filter((item) => {
    const key = keyOf(item.event.source, item.event.id);
    const isNew = !seen.has(key);
    seen.add(key);
    if (!isNew) item.outcome = { kind: 'duplicate' };
    return isNew;
  });
}

async function applyFresh(
  trx: Trx,
  clinicId: string,
  fresh: readonly Item[],
  now: Temporal.Instant,
  onMerged: PatientsMerged,
): Promise<void> {
  const items = fresh.toSorted(
    (a, b) => compareWatermarks(a.event, b.event) || a.position - b.position,
  );
  const appointments = await loadKnown(trx, clinicId, 'appointment', items);
  const visits = await loadKnown(trx, clinicId, 'visit', items);
  const owners = [...appointments.known.values(), ...visits.known.values()].flatMap(
    ({ patient_id }) => patient_id ?? [],
  );
  const book = await openBook(
    trx,
    clinicId,
    {
      named: items.flatMap(({ event }) => patientsOf(event.effect)),
      ids: owners,
      writtenWhole: writtenWhole(items),
    },
    now,
  );
  const batch: Batch = { trx, clinicId, now, items, book, touched: new Set() };
  const retired = await applyMerges(batch, onMerged);
  await applyPatients(batch, retired);
  await applyObjects(batch, appointments);
  await applyObjects(batch, visits);
  await applyDirectory(batch);
  await applyConsents(batch);
  keepOthers(batch);
  const erased = await applyErasures(batch);
  await recordEvents(batch);
  if (erased.length > 0) await blankEventsOf(trx, clinicId, erased);
  if (batch.touched.size === 0) return;
  await markReplan(trx, clinicId, [...batch.touched]);
  await wakeClinic(trx, clinicId, 'plan', now);
}

/** A merge needs both rows before it; else whoever is upserted here is inserted whole. */
function writtenWhole(items: readonly Item[]): Set<string> {
  const whole = new Set<string>();
  if (items.some(({ event }) => event.effect.kind === 'patient-merged')) return whole;
  for (const { event } of items) {
    if (event.effect.kind !== 'patient') continue;
    const { source, externalId } = event.effect.read.key;
    whole.add(keyOf(source, externalId));
  }
  return whole;
}

async function loadKnown(
  trx: Trx,
  clinicId: string,
  kind: Objects['kind'],
  items: readonly Item[],
): Promise<Objects> {
  const keys = items.flatMap(({ event: { effect } }) => {
    if (effect.kind === kind) return [effect.read.key];
    return effect.kind === `${kind}-deleted` && 'key' in effect ? [effect.key] : [];
  });
  const known: Objects['known'] = new Map();
  for (const [source, externalIds] of groupBySource(keys)) {
    for (const object of await loadObjects(trx, clinicId, kind, source, externalIds)) {
      known.set(keyOf(source, object.external_id), object);
    }
  }
  return { kind, known };
}

/** Rules may wait for any event, so that a kept one makes its patient's plan new as well. */
function keepOthers(batch: Batch): void {
  for (const item of batch.items) {
    const { effect } = item.event;
    if (effect.kind !== 'kept' || effect.patient === null) continue;
    const person = survivorOf(batch.book, personOf(batch.book, effect.patient));
    item.patientId = person.id;
    item.isBlank = person.is_erased;
    batch.touched.add(person.id);
  }
}

async function recordEvents({ trx, clinicId, items, now }: Batch): Promise<void> {
  const records = items.flatMap(({ event, outcome, patientId, isBlank }) => {
    if (outcome.kind === 'rejected' || outcome.kind === 'duplicate') return [];
    return {
      source: event.source,
      event_id: event.id,
      type: event.type,
      occurred_ms: event.occurredMs,
      version: event.version,
      patient_id: patientId,
      outcome: outcome.kind,
      body: isBlank ? '{}' : event.body,
    };
  });
  await insertEvents(trx, clinicId, records, now);
}
