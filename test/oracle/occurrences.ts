import { type Known, survivorOf } from './known.ts';
import type { RuleName } from './rules.ts';
import { firstInstant, type Told } from './world.ts';

/**
 * Who is due for what, and until when it may go, by the words of the specification (design 7 and 8,
 * reliability 7). It shares nothing with the engine but Temporal.
 */

export interface Occurrence {
  rule: RuleName;
  key: string;
  dueMs: number;
  expiresMs: number;
  purpose: 'transactional' | 'care' | 'marketing';
  /** For who may not be booked: until when it may go, where an appointment stood in the way until then. */
  freedUntil?: (freedMs: number) => number;
  /** Where the words leave it open from then on. */
  openFromMs?: number;
  /** Since when there has been something to be due, where that may be after it. */
  knownFromMs?: number;
}

interface Patient {
  id: string;
  /** Their own, else the clinic's. */
  zone: string;
  clinicZone: string;
}

export function occurrencesOf(known: Known, id: string, clinicZone: string): Occurrence[] {
  const person = known.people.get(id);
  if (person === undefined || known.survivors.has(id)) return [];
  const zone = String(person.told.data.timeZone ?? clinicZone);
  const patient = { id, zone, clinicZone };
  return [
    ...afterVisits(known, patient),
    ...aboutBookings(known, patient),
    ...days(String(person.told.data.birthDate), patient),
    welcome(person.createdMs, patient),
    ...afterPings(known, patient),
    // A rule does nothing about what was due before it was switched on.
  ].filter(({ dueMs }) => dueMs > firstInstant.epochMilliseconds);
}

/** The starts of what the patient is booked for. */
export function bookedStarts(known: Known, id: string): number[] {
  return bookingsOf(known, id).flatMap(({ told }) =>
    told.data.status === 'booked' ? [msOf(told.data.start)] : [],
  );
}

/** The starts of what the patient was booked for, whether they came or not. */
export function missedStarts(known: Known, id: string): number[] {
  return bookingsOf(known, id).flatMap(({ told }) =>
    told.data.status === 'booked' || told.data.status === 'noshow' ? [msOf(told.data.start)] : [],
  );
}

interface Attendance {
  key: string;
  atMs: number;
}

/** Finished visits, and kept appointments that have none; only the last one counts. */
function lastAttendance(known: Known, id: string): Attendance | null {
  const visits = [...known.visits.values()].flatMap(({ told }) =>
    told !== null && isOf(known, told, id) && told.data.status === 'finished' ? [told.data] : [],
  );
  const seen = new Set(visits.map(({ appointmentId }) => appointmentId));
  const attendances = [
    ...visits.map(({ id: visitId, appointmentId, start, end }) => ({
      key: appointmentId === undefined ? `visit:${visitId}` : `visit:a/${appointmentId}`,
      atMs: msOf(end ?? start),
    })),
    ...bookingsOf(known, id).flatMap(({ told: { data } }) =>
      data.status === 'fulfilled' && !seen.has(data.id)
        ? [{ key: `visit:a/${data.id}`, atMs: msOf(data.start) }]
        : [],
    ),
  ];
  return attendances.reduce<Attendance | null>(
    (last, one) => (last === null || one.atMs > last.atMs ? one : last),
    null,
  );
}

function afterVisits(known: Known, { id, zone, clinicZone }: Patient): Occurrence[] {
  const last = lastAttendance(known, id);
  if (last === null) return [];
  const day = zoned(last.atMs, clinicZone).toPlainDate();
  const due = (period: string, time: string) => {
    const at = wall(day.add(period), time, zone);
    return at < last.atMs ? wall(day.add(period).add({ days: 1 }), time, zone) : at;
  };
  const until = (period: string) => (ms: number) => plus(ms, period, clinicZone);
  const recall = (rule: RuleName, dueMs: number, catchUp: string): Occurrence => ({
    rule,
    key: last.key,
    dueMs,
    expiresMs: until(catchUp)(dueMs),
    purpose: 'care',
  });
  const freedUntil = until('P14D');
  return [
    { ...recall('visit', due('P30D', '10:00'), 'P14D'), freedUntil },
    recall('month', due('P1M', '02:10'), 'P3D'),
    recall('half', due('P6M', '00:20'), 'P14D'),
    { ...recall('inactive', due('P3M', '10:00'), 'P14D'), key: `inactive:${last.key}`, freedUntil },
  ];
}

function aboutBookings(known: Known, { id, clinicZone }: Patient): Occurrence[] {
  return bookingsOf(known, id).flatMap(({ told, revision }) => {
    const { data, occurredAt } = told;
    const startMs = msOf(data.start);
    const knownFromMs = msOf(data.createdAt);
    const about = (rule: RuleName, suffix: string, dueMs: number, expiresMs: number) =>
      ({
        rule,
        knownFromMs,
        key: `appointment:${data.id}:r${revision}:${suffix}`,
        dueMs,
        expiresMs,
        purpose: 'transactional',
      }) as const;
    const followUp = (rule: 'booked' | 'noshow' | 'cancelled', anchorMs: number) => {
      const dueMs = anchorMs + 3_600_000;
      return about(rule, rule, dueMs, plus(dueMs, 'P3D', clinicZone));
    };
    if (data.status === 'noshow') return [followUp('noshow', startMs)];
    if (data.status === 'cancelled') return [followUp('cancelled', msOf(occurredAt))];
    if (data.status !== 'booked') return [];
    const ownZone = String(data.timeZone ?? clinicZone);
    const twoDays = zoned(startMs, ownZone).subtract('P2D').epochMilliseconds;
    return [
      about('before', 'P2D', twoDays, reminderUntil(twoDays, startMs)),
      about('hours', 'PT2H', startMs - 7_200_000, reminderUntil(startMs - 7_200_000, startMs)),
      // What is told of a booking whose day has come is nobody's wish, and nobody's word.
      { ...followUp('booked', knownFromMs), openFromMs: startMs },
    ];
  });
}

/** Four hours, and half an hour before the start at the latest. */
function reminderUntil(dueMs: number, startMs: number): number {
  return Math.min(dueMs + 4 * 3_600_000, startMs - 1_800_000);
}

const years = [2026, 2027, 2028];

function days(birthDate: string, { zone, clinicZone }: Patient): Occurrence[] {
  const born = Temporal.PlainDate.from(birthDate);
  return years.flatMap((year) => {
    // 29 February is kept on the 28th in other years.
    const birthday = born.with({ year });
    const eveMs = wall(birthday.subtract({ days: 3 }), '11:00', zone);
    const april = Temporal.PlainDate.from({ year, month: 4, day: 4 });
    const of = (rule: RuleName, day: Temporal.PlainDate, time: string) =>
      ({ rule, dueMs: wall(day, time, zone), expiresMs: wall(day, '21:00', zone) }) as const;
    return [
      { ...of('birthday', birthday, '10:00'), key: `birthday:${year}`, purpose: 'care' },
      {
        rule: 'eve',
        key: `birthday:${year}`,
        dueMs: eveMs,
        expiresMs: plus(eveMs, 'P2D', clinicZone),
        purpose: 'care',
      },
      { ...of('calendar', april, '09:00'), key: `calendar:${april}`, purpose: 'marketing' },
    ] satisfies Occurrence[];
  });
}

function welcome(createdMs: number, { clinicZone }: Patient): Occurrence {
  const expiresMs = plus(createdMs, 'P3D', clinicZone);
  return { rule: 'welcome', key: 'patient', dueMs: createdMs, expiresMs, purpose: 'transactional' };
}

function afterPings(known: Known, { id, clinicZone }: Patient): Occurrence[] {
  return [...known.pings.values()].flatMap((ping) => {
    if (!isOf(known, ping, id) || ping.data.kind !== 'scan') return [];
    const dueMs = plus(msOf(ping.occurredAt), 'P1D', clinicZone);
    return [
      {
        rule: 'event',
        key: `event:${ping.id}`,
        dueMs,
        expiresMs: plus(dueMs, 'P3D', clinicZone),
        purpose: 'transactional',
      },
    ];
  });
}

function bookingsOf(known: Known, id: string): { told: Told; revision: number }[] {
  return [...known.bookings.values()].flatMap(({ told, revision }) =>
    told !== null && isOf(known, told, id) ? [{ told, revision }] : [],
  );
}

function isOf(known: Known, { data }: Told, id: string): boolean {
  return survivorOf(known, String(data.patientId)) === id;
}

function wall(day: Temporal.PlainDate, time: string, zone: string): number {
  const plainTime = Temporal.PlainTime.from(time);
  return day.toZonedDateTime({ timeZone: zone, plainTime }).epochMilliseconds;
}

function plus(ms: number, period: string, zone: string): number {
  return zoned(ms, zone).add(period).epochMilliseconds;
}

function zoned(ms: number, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone);
}

function msOf(text: unknown): number {
  return Temporal.Instant.from(String(text)).epochMilliseconds;
}
