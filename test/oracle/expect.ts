import { firstDay, type Told, tickHours, type World } from './world.ts';

/**
 * What must be sent, and between which instants, worked out from the words of the specification alone: nothing of it
 * is shared with the engine. One step a rule, on a channel that is open at all hours.
 */

export const rules = [
  {
    name: 'visit',
    purpose: 'care',
    trigger: { type: 'visit', after: 'P30D' },
    sendAt: '10:00',
    catchUp: 'P14D',
  },
  {
    name: 'month',
    purpose: 'care',
    trigger: { type: 'visit', after: 'P1M' },
    sendAt: '02:30',
    catchUp: 'P3D',
  },
  {
    name: 'before',
    purpose: 'transactional',
    trigger: { type: 'appointment', before: 'P2D' },
    catchUp: 'PT20H',
  },
  {
    name: 'hours',
    purpose: 'transactional',
    trigger: { type: 'appointment', before: 'PT5H' },
    catchUp: 'PT4H',
  },
  {
    name: 'noshow',
    purpose: 'transactional',
    trigger: { type: 'appointment', on: 'noshow', after: 'PT1H' },
    catchUp: 'P3D',
  },
  {
    name: 'birthday',
    purpose: 'care',
    trigger: { type: 'birthday', offset: '-P3D' },
    sendAt: '11:00',
    catchUp: 'P2D',
  },
  {
    name: 'calendar',
    purpose: 'care',
    trigger: { type: 'calendar', date: '02-20' },
    sendAt: '09:00',
    catchUp: 'P1D',
  },
  { name: 'welcome', purpose: 'transactional', trigger: { type: 'patient' }, catchUp: 'P3D' },
  {
    name: 'ping',
    purpose: 'transactional',
    trigger: { type: 'event', event: 'x-ping', after: 'P1D' },
    catchUp: 'P2D',
  },
] as const;

export interface Expected {
  key: string;
  dueAt: Temporal.Instant;
  /** The tick at which it can first go; it must have gone by then. */
  goesAt: Temporal.Instant;
  expiresAt: Temporal.Instant;
}

interface Occurrence {
  rule: string;
  patientId: string;
  occurrence: string;
  dueAt: Temporal.Instant;
  expiresAt: Temporal.Instant;
}

/** What is known at an instant: of each object the version told last. */
interface Known {
  patients: Map<string, Told>;
  createdAt: Map<string, Temporal.Instant>;
  visits: Map<string, Told>;
  appointments: Map<string, { told: Told; revision: number }>;
  pings: Told[];
}

export function expectedOf(world: World): Map<string, Expected> {
  const { zone, told, outage } = world;
  const known: Known = {
    patients: new Map(),
    createdAt: new Map(),
    visits: new Map(),
    appointments: new Map(),
    pings: [],
  };
  const sent = new Map<string, Expected>();
  const [away, back] = [Temporal.Instant.from(outage.from), Temporal.Instant.from(outage.until)];
  let next = 0;
  for (const tick of ticksOf(world)) {
    for (
      ;
      next < told.length && told[next] !== undefined && isBefore(at(told[next]?.arrivesAt), tick);
      next += 1
    )
      learn(known, told[next] as Told);
    if (!isBefore(tick, away) && isBefore(tick, back)) continue;
    for (const one of occurrencesOf(known, zone, tick)) {
      const key = `${one.rule} ${one.patientId} ${one.occurrence}`;
      const isOpen = !isBefore(tick, one.dueAt) && isBefore(tick, one.expiresAt);
      if (isOpen && !sent.has(key))
        sent.set(key, { key, dueAt: one.dueAt, goesAt: tick, expiresAt: one.expiresAt });
    }
  }
  return sent;
}

export function ticksOf({ days }: Pick<World, 'days'>): Temporal.Instant[] {
  const first = at(`${firstDay}T00:00:00Z`);
  return Array.from({ length: (days * 24) / tickHours + 1 }, (_, index) =>
    first.add({ hours: index * tickHours }),
  );
}

/** An update that occurred earlier than what is known is stale. */
function learn(known: Known, event: Told): void {
  const { type, data } = event;
  const id = String(data.id ?? data.patientId);
  if (type === 'x-ping') known.pings.push(event);
  if (type === 'patient.upserted' && isNewer(known.patients.get(id), event)) {
    known.patients.set(id, event);
    if (!known.createdAt.has(id)) known.createdAt.set(id, at(event.arrivesAt));
  }
  if (type === 'visit.upserted' && isNewer(known.visits.get(id), event))
    known.visits.set(id, event);
  if (type !== 'appointment.upserted') return;
  const before = known.appointments.get(id);
  if (!isNewer(before?.told, event)) return;
  const isMoved = before !== undefined && before.told.data.start !== data.start;
  known.appointments.set(id, {
    told: event,
    revision: (before?.revision ?? 1) + (isMoved ? 1 : 0),
  });
}

function isNewer(before: Told | undefined, event: Told): boolean {
  return before === undefined || before.occurredAt <= event.occurredAt;
}

function* occurrencesOf(
  known: Known,
  clinicZone: string,
  tick: Temporal.Instant,
): Generator<Occurrence> {
  for (const [patientId, told] of known.patients) {
    if (told.data.deceased === true) continue;
    const zone = String(told.data.timeZone ?? clinicZone);
    yield* visitOccurrences(known, patientId, zone, clinicZone, tick);
    yield* dayOccurrences(patientId, String(told.data.birthDate), zone, clinicZone);
    const created = known.createdAt.get(patientId);
    if (created)
      yield {
        rule: 'welcome',
        patientId,
        occurrence: 'patient',
        dueAt: created,
        expiresAt: plus(created, 'P3D', clinicZone),
      };
  }
  for (const { told, revision } of known.appointments.values())
    yield* appointmentOccurrences(known, told, revision, clinicZone);
  for (const ping of known.pings) {
    const patientId = String(ping.data.patientId);
    if (known.patients.get(patientId)?.data.deceased === true) continue;
    const dueAt = plus(at(ping.occurredAt), 'P1D', clinicZone);
    yield {
      rule: 'ping',
      patientId,
      occurrence: `event:${ping.id}`,
      dueAt,
      expiresAt: plus(dueAt, 'P2D', clinicZone),
    };
  }
}

/** Only the last visit of a patient counts. */
function* visitOccurrences(
  known: Known,
  patientId: string,
  zone: string,
  clinicZone: string,
  tick: Temporal.Instant,
): Generator<Occurrence> {
  const finished = [...known.visits.values()].filter(
    ({ data }) =>
      data.patientId === patientId && data.status === 'finished' && !isBefore(tick, at(data.start)),
  );
  for (const visit of finished) {
    const begun = at(visit.data.start);
    if (finished.some((other) => isBefore(begun, at(other.data.start)))) continue;
    for (const [rule, period, time, catchUp] of [
      ['visit', { days: 30 }, '10:00', 'P14D'],
      ['month', { months: 1 }, '02:30', 'P3D'],
    ] as const) {
      const day = begun.toZonedDateTimeISO(clinicZone).toPlainDate().add(period);
      const dueAt = wall(day, time, zone);
      yield {
        rule,
        patientId,
        occurrence: `visit:${visit.data.id}`,
        dueAt,
        expiresAt: plus(dueAt, catchUp, clinicZone),
      };
    }
  }
}

function* appointmentOccurrences(
  known: Known,
  { data }: Told,
  revision: number,
  clinicZone: string,
): Generator<Occurrence> {
  const patientId = String(data.patientId);
  if (known.patients.get(patientId)?.data.deceased === true) return;
  const start = at(data.start);
  const common = { patientId, occurrence: `appointment:${data.id}:r${revision}` };
  if (data.status === 'noshow') {
    const dueAt = start.add({ hours: 1 });
    yield {
      ...common,
      rule: 'noshow',
      occurrence: `${common.occurrence}:noshow`,
      dueAt,
      expiresAt: plus(dueAt, 'P3D', clinicZone),
    };
  }
  if (data.status !== 'booked') return;
  for (const [rule, before, catchUp] of [
    ['before', 'P2D', { hours: 20 }],
    ['hours', 'PT5H', { hours: 4 }],
  ] as const) {
    const dueAt =
      before === 'P2D'
        ? start.toZonedDateTimeISO(clinicZone).subtract({ days: 2 }).toInstant()
        : start.subtract({ hours: 5 });
    const late = dueAt.add(catchUp);
    const last = start.subtract({ minutes: 30 });
    yield {
      ...common,
      rule,
      occurrence: `${common.occurrence}:${before}`,
      dueAt,
      expiresAt: isBefore(late, last) ? late : last,
    };
  }
}

function* dayOccurrences(
  patientId: string,
  birthDate: string,
  zone: string,
  clinicZone: string,
): Generator<Occurrence> {
  const born = Temporal.PlainDate.from(birthDate);
  for (let year = 2026; year <= 2028; year += 1) {
    // 29 February is kept on the 28th in other years.
    const kept = born.with({ year });
    const dueAt = wall(kept.subtract({ days: 3 }), '11:00', zone);
    yield* since(dueAt, {
      rule: 'birthday',
      patientId,
      occurrence: `birthday:${year}`,
      dueAt,
      expiresAt: plus(dueAt, 'P2D', clinicZone),
    });
    const day = Temporal.PlainDate.from(`${year}-02-20`);
    const on = wall(day, '09:00', zone);
    yield* since(on, {
      rule: 'calendar',
      patientId,
      occurrence: `calendar:${day}`,
      dueAt: on,
      expiresAt: plus(on, 'P1D', clinicZone),
    });
  }
}

/** What was due before the rules were switched on is left alone. */
function* since(dueAt: Temporal.Instant, occurrence: Occurrence): Generator<Occurrence> {
  if (isBefore(at(`${firstDay}T00:00:00Z`), dueAt)) yield occurrence;
}

function wall(day: Temporal.PlainDate, time: string, zone: string): Temporal.Instant {
  return day
    .toZonedDateTime({ timeZone: zone, plainTime: Temporal.PlainTime.from(time) })
    .toInstant();
}

function plus(instant: Temporal.Instant, period: string, zone: string): Temporal.Instant {
  return instant.toZonedDateTimeISO(zone).add(period).toInstant();
}

function at(text: unknown): Temporal.Instant {
  return Temporal.Instant.from(String(text));
}

function isBefore(one: Temporal.Instant, other: Temporal.Instant): boolean {
  return Temporal.Instant.compare(one, other) < 0;
}
