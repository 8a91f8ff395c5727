import type { Db, Trx } from '../database/connect.ts';
import { repeatSacrificed } from '../database/outage.ts';
import { withClinic } from '../database/with-clinic.ts';
import { type Callback, keepCallbacks } from '../history/callback-store.ts';
import { type HostEvent, tellHost } from '../history/host-event-store.ts';
import type { HostId } from '../history/host-id.ts';
import { applyCapacities } from './apply-capacities.ts';
import { applyMerges } from './apply-merges.ts';
import { applyDirectory, applyObjects, type Objects } from './apply-objects.ts';
import { applyOutsideContacts } from './apply-outside-contacts.ts';
import { applyConsents, applyErasures, applyPatients } from './apply-patients.ts';
import { applyPayments } from './apply-payments.ts';
import { applyTreatments } from './apply-treatments.ts';
import type { Batch, Item, Outcome } from './batch.ts';
import { patientsOf, type ReadEvent } from './event.ts';
import { blankEventsOf, type EventRecord, keepEvents } from './event-store.ts';
import type { Effect } from './event-types.ts';
import { loadKnown } from './object-store.ts';
import { groupBySource, keyOf, openBook, personOf, survivorOf } from './person-book.ts';
import type { StoredPerson } from './person-store.ts';
import { compareWatermarks } from './watermark.ts';

export interface WriteDeps {
  db: Db;
}

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
  const write = async (trx: Trx) => {
    const items = events.map(newItem);
    const known = await findKnown(trx, clinicId, items);
    const fresh = withoutDuplicates(items, known.events);
    if (fresh.length > 0) {
      await applyFresh(trx, clinicId, fresh, known, now);
    }
    return items.map((item) => item.outcome);
  };
  return repeatSacrificed(() => withClinic(deps.db, clinicId, write, { turn: 'intake' }));
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

interface KnownBefore {
  events: Set<string>;
  appointments: Objects;
  visits: Objects;
}

async function findKnown(trx: Trx, clinicId: string, items: readonly Item[]): Promise<KnownBefore> {
  const known: KnownBefore = {
    events: new Set(),
    appointments: { kind: 'appointment', known: new Map() },
    visits: { kind: 'visit', known: new Map() },
  };
  const eventIds = groupBySource(
    items.map(({ event }) => ({ source: event.source, externalId: event.id })),
  );
  const appointmentIds = groupBySource(keysOf('appointment', items));
  const visitIds = groupBySource(keysOf('visit', items));
  for (const source of new Set([
    ...eventIds.keys(),
    ...appointmentIds.keys(),
    ...visitIds.keys(),
  ])) {
    const found = await loadKnown(trx, clinicId, source, {
      eventIds: eventIds.get(source) ?? [],
      appointmentIds: appointmentIds.get(source) ?? [],
      visitIds: visitIds.get(source) ?? [],
    });
    for (const id of found.events) known.events.add(keyOf(source, id));
    for (const object of found.appointments) {
      known.appointments.known.set(keyOf(source, object.external_id), object);
    }
    for (const object of found.visits)
      known.visits.known.set(keyOf(source, object.external_id), object);
  }
  return known;
}

function keysOf(kind: Objects['kind'], items: readonly Item[]): HostId[] {
  return items.flatMap(({ event: { effect } }) => {
    if (effect.kind === kind) return [effect.read.key];
    if (effect.kind === 'kept' && kind === 'appointment') return effect.appointment ?? [];
    return effect.kind === `${kind}-deleted` && 'key' in effect ? [effect.key] : [];
  });
}

/** The same event id counts once, whether it was stored before or comes twice in one batch. */
function withoutDuplicates(items: readonly Item[], seen: Set<string>): Item[] {
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
  { appointments, visits }: KnownBefore,
  now: Temporal.Instant,
): Promise<void> {
  const items = fresh.toSorted(
    (a, b) => compareWatermarks(a.event, b.event) || a.position - b.position,
  );
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
  const retired = await applyMerges(batch);
  await applyPatients(batch, retired);
  await applyObjects(batch, appointments);
  await applyObjects(batch, visits);
  await applyTreatments(batch);
  await applyPayments(batch);
  await applyDirectory(batch);
  await applyConsents(batch);
  keepOthers(batch, appointments);
  await applyOutsideContacts(batch, retired);
  const erased = await applyErasures(batch);
  // After all rows that a sender may hold: whoever gives slots away may be waited for here.
  await applyCapacities(batch);
  await tellHost(trx, clinicId, callbacksIn(batch), now);
  await keepCallbacks(trx, clinicId, callsToMake(batch), now);
  await keepEvents(trx, clinicId, recordsOf(batch), [...batch.touched], now);
  if (erased.length > 0) await blankEventsOf(trx, clinicId, erased);
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

/** Rules may wait for any event, so that a kept one makes its patient's plan new as well. */
function keepOthers(batch: Batch, appointments: Objects): void {
  for (const item of batch.items) {
    const { effect } = item.event;
    if (effect.kind !== 'kept') continue;
    const named = personNamed(batch, effect, appointments);
    if (named === null) continue;
    const person = survivorOf(batch.book, named);
    item.patientId = person.id;
    item.isBlank = person.is_erased;
    batch.touched.add(person.id);
  }
}

function personNamed(
  { book }: Batch,
  { patient, appointment }: Extract<Effect, { kind: 'kept' }>,
  { known }: Objects,
): StoredPerson | null {
  if (patient !== null) return personOf(book, patient);
  if (appointment === null) return null;
  const owner = known.get(keyOf(appointment.source, appointment.externalId))?.patient_id;
  return (owner && book.byId.get(owner)) || null;
}

/** Who asks to be called is waiting: the host's other systems hear of it, whichever of them took the wish. */
function callbacksIn({ items }: Batch): HostEvent[] {
  return items
    .filter(
      ({ event, outcome }) => event.type === 'callback.requested' && outcome.kind === 'applied',
    )
    .map(({ event, patientId }) => ({
      type: 'callback.requested',
      patientId,
      data: { eventId: event.id, source: event.source },
    }));
}

/** Whoever was erased asks for nothing any more. */
function callsToMake({ items }: Batch): Callback[] {
  return items.flatMap(({ event: { effect }, outcome, patientId, isBlank }) =>
    effect.kind === 'kept' && effect.callback && outcome.kind === 'applied' && !isBlank
      ? [{ ...effect.callback, patientId }]
      : [],
  );
}

function recordsOf({ items }: Batch): EventRecord[] {
  return items.flatMap(({ event, outcome, patientId, isBlank }) => {
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
}
