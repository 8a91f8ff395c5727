import type { Told } from './world.ts';

/** What the host's words amount to at an instant: of each object the one that occurred last. */

export interface Person {
  told: Told;
  createdMs: number;
}

export interface Booking {
  /** Null once it was deleted. */
  told: Told | null;
  occurredAt: string;
  start: string | null;
  revision: number;
}

export interface Known {
  people: Map<string, Person>;
  visits: Map<string, { told: Told | null; occurredAt: string }>;
  bookings: Map<string, Booking>;
  pings: Map<string, Told>;
  /** By patient and purpose. */
  consents: Map<string, { state: string; occurredAt: string }>;
  optedOut: Set<string>;
  /** Who a merge put in whose place. */
  survivors: Map<string, string>;
}

export function nothingKnown(): Known {
  return {
    people: new Map(),
    visits: new Map(),
    bookings: new Map(),
    pings: new Map(),
    consents: new Map(),
    optedOut: new Set(),
    survivors: new Map(),
  };
}

export function survivorOf(known: Known, patientId: string): string {
  const next = known.survivors.get(patientId);
  return next === undefined ? patientId : survivorOf(known, next);
}

/** @returns whose occurrences may be others now. */
export function learn(known: Known, event: Told): string[] {
  const data = event.data as Record<string, string>;
  const id = String(data.id ?? data.patientId);
  const whose = (patientId: string | undefined) =>
    patientId === undefined ? [] : [survivorOf(known, patientId)];
  switch (event.type) {
    case 'patient.upserted':
      learnPerson(known, id, event);
      return whose(id);
    case 'patient.merged':
      return merge(known, id, String(data.into));
    case 'visit.upserted':
    case 'visit.deleted':
      return whose(learnVisit(known, id, event));
    case 'appointment.upserted':
    case 'appointment.deleted':
      return whose(learnBooking(known, id, event));
    case 'x-ping':
      known.pings.set(event.id, known.pings.get(event.id) ?? event);
      return whose(id);
    case 'consent.changed':
      learnConsent(known, id, String(data.purpose), String(data.state), event.occurredAt);
      return whose(id);
    case 'opt-out':
      known.optedOut.add(survivorOf(known, id));
      return whose(id);
    default:
      throw new Error(`Nobody knows what ${event.type} means.`);
  }
}

function learnPerson(known: Known, id: string, event: Told): void {
  const before = known.people.get(id);
  const consent = event.data.consent as { marketing?: { inbox?: string } } | undefined;
  const granted = consent?.marketing?.inbox;
  if (granted !== undefined) learnConsent(known, id, 'marketing', granted, event.occurredAt);
  if (before !== undefined && event.occurredAt < before.told.occurredAt) return;
  known.people.set(id, { told: event, createdMs: before?.createdMs ?? event.arrivesMs });
}

function learnConsent(
  known: Known,
  id: string,
  purpose: string,
  state: string,
  occurredAt: string,
): void {
  const key = `${survivorOf(known, id)} ${purpose}`;
  const before = known.consents.get(key);
  if (before === undefined || before.occurredAt <= occurredAt)
    known.consents.set(key, { state, occurredAt });
}

function merge(known: Known, retired: string, into: string): string[] {
  if (known.survivors.has(retired)) return [];
  known.survivors.set(retired, into);
  if (known.optedOut.has(retired)) known.optedOut.add(into);
  for (const purpose of ['care', 'marketing']) {
    const said = known.consents.get(`${retired} ${purpose}`);
    if (said !== undefined) learnConsent(known, into, purpose, said.state, said.occurredAt);
  }
  return [into];
}

function learnVisit(known: Known, id: string, event: Told): string | undefined {
  const before = known.visits.get(id);
  const whose = String(event.data.patientId ?? before?.told?.data.patientId ?? '') || undefined;
  if (before !== undefined && event.occurredAt < before.occurredAt) return whose;
  const told = event.type === 'visit.deleted' ? null : event;
  known.visits.set(id, { told, occurredAt: event.occurredAt });
  return whose;
}

/** Each departure from a known start is a move. */
function learnBooking(known: Known, id: string, event: Told): string | undefined {
  const before = known.bookings.get(id);
  const whose = String(event.data.patientId ?? before?.told?.data.patientId ?? '') || undefined;
  if (before !== undefined && event.occurredAt < before.occurredAt) return whose;
  const { occurredAt } = event;
  if (event.type === 'appointment.deleted') {
    const { start = null, revision = 1 } = before ?? {};
    known.bookings.set(id, { told: null, occurredAt, start, revision });
    return whose;
  }
  const start = String(event.data.start);
  const isMoved = before !== undefined && before.start !== null && before.start !== start;
  const revision = (before?.revision ?? 1) + (isMoved ? 1 : 0);
  known.bookings.set(id, { told: event, occurredAt, start, revision });
  return whose;
}
