import { type Random, random } from '../../bench/random.ts';

/**
 * A clinic's history for the oracle: what the host tells, and when it arrives. Everything arrives between two ticks of
 * the clock, never at one.
 */

export const zones = [
  'Europe/Moscow',
  'America/Sao_Paulo',
  'America/Santiago',
  'Australia/Lord_Howe',
  'Asia/Kolkata',
  'America/St_Johns',
] as const;

export const firstDay = '2026-01-05';
/** Hours between ticks, the first at midnight UTC. */
export const tickHours = 3;

export interface Told {
  id: string;
  type: string;
  occurredAt: string;
  /** When it reaches us: half past an hour that has no tick. */
  arrivesAt: string;
  data: Record<string, unknown>;
}

export interface World {
  zone: string;
  days: number;
  told: readonly Told[];
  /** From when on and until when no scheduler runs. */
  outage: { from: string; until: string };
}

export interface Size {
  days: number;
  patients: number;
}

const start = Temporal.Instant.from(`${firstDay}T00:00:00Z`);

export function makeWorld(seed: number, zone: string, { days, patients }: Size): World {
  const dice = random(seed, 'oracle', zone);
  const told: Told[] = [];
  let serial = 0;
  const tell = (type: string, at: Temporal.Instant, lateHours: number, data: object) => {
    serial += 1;
    told.push({
      id: `e${serial}`,
      type,
      occurredAt: at.toString(),
      arrivesAt: betweenTicks(at.add({ hours: lateHours })).toString(),
      data: { ...data },
    });
  };
  for (let index = 0; index < patients; index += 1) livePatient(`p${index}`, dice, days, tell);
  const outageDay = Math.floor(days / 3);
  return {
    zone,
    days,
    told: told.toSorted((one, other) => (one.arrivesAt < other.arrivesAt ? -1 : 1)),
    outage: {
      from: start.add({ hours: outageDay * 24 + 5 }).toString(),
      until: start.add({ hours: (outageDay + 10) * 24 + 5 }).toString(),
    },
  };
}

function betweenTicks(at: Temporal.Instant): Temporal.Instant {
  const ms = tickHours * 3_600_000;
  return Temporal.Instant.fromEpochMilliseconds(
    Math.floor(at.epochMilliseconds / ms) * ms + 5_400_000,
  );
}

type Tell = (type: string, at: Temporal.Instant, lateHours: number, data: object) => void;

function livePatient(id: string, dice: Random, days: number, tell: Tell): void {
  const some = (from: number, until: number) =>
    start.add({
      hours: dice.whole(from * 24, until * 24 - 1),
      minutes: dice.pick([0, 10, 25, 50]),
    });
  const known = dice.chance(0.7) ? start.add({ hours: 2 }) : some(0, Math.max(1, days - 1));
  const birthDate = dice.chance(0.15)
    ? `${dice.pick([1984, 1992, 2000])}-02-29`
    : `${dice.whole(1950, 2005)}-${two(dice.whole(1, 12))}-${two(dice.whole(1, 28))}`;
  const person = {
    id,
    name: { given: id },
    birthDate,
    ...(dice.chance(0.3) && { timeZone: dice.pick(zones) }),
  };
  tell('patient.upserted', known, 0, person);
  const later = (hours: number) => known.add({ hours });
  const left = Math.max(
    1,
    days * 24 - 24 - Math.floor((known.epochMilliseconds - start.epochMilliseconds) / 3_600_000),
  );
  for (let visit = 0; visit < dice.whole(0, 3); visit += 1) {
    const at = later(dice.whole(1, left));
    const data = {
      id: `v-${id}-${visit}`,
      patientId: id,
      status: 'finished',
      start: at.toString(),
    };
    tell('visit.upserted', at, dice.chance(0.25) ? dice.whole(24, 24 * 20) : 1, data);
    if (dice.chance(0.15))
      tell('visit.upserted', at.add({ hours: dice.whole(2, 24 * 35) }), 1, {
        ...data,
        status: 'entered-in-error',
      });
  }
  for (let booking = 0; booking < dice.whole(0, 3); booking += 1)
    liveAppointment(`a-${id}-${booking}`, id, later(dice.whole(1, left)), dice, tell);
  for (let ping = 0; ping < dice.whole(0, 2); ping += 1) {
    const at = later(dice.whole(1, left));
    tell('x-ping', at, dice.chance(0.2) ? dice.whole(24, 24 * 4) : 0, { patientId: id });
  }
  if (dice.chance(0.08))
    tell('patient.upserted', later(dice.whole(1, left)), 0, { ...person, deceased: true });
}

function liveAppointment(
  id: string,
  patientId: string,
  bookedAt: Temporal.Instant,
  dice: Random,
  tell: Tell,
): void {
  const startAt = bookedAt.add({ hours: dice.whole(4, 24 * 20), minutes: dice.pick([0, 15, 40]) });
  const base = { id, patientId, createdAt: bookedAt.toString() };
  tell('appointment.upserted', bookedAt, 0, {
    ...base,
    status: 'booked',
    start: startAt.toString(),
  });
  const hours = Math.max(
    1,
    Math.floor((startAt.epochMilliseconds - bookedAt.epochMilliseconds) / 3_600_000),
  );
  const fate = dice.whole(0, 9);
  if (fate < 3) {
    const moved = startAt.add({ hours: dice.whole(5, 24 * 8) });
    tell('appointment.upserted', bookedAt.add({ hours: dice.whole(1, hours) }), 0, {
      ...base,
      status: 'booked',
      start: moved.toString(),
    });
    if (fate === 0)
      tell('appointment.upserted', bookedAt.add({ hours: dice.whole(hours, hours + 3) }), 0, {
        ...base,
        status: 'booked',
        start: startAt.add({ hours: 24 * 9 }).toString(),
      });
  } else if (fate < 5)
    tell('appointment.upserted', bookedAt.add({ hours: dice.whole(1, hours) }), 0, {
      ...base,
      status: 'cancelled',
      start: startAt.toString(),
    });
  else if (fate < 7)
    tell('appointment.upserted', startAt.add({ hours: dice.whole(0, 60) }), 0, {
      ...base,
      status: 'noshow',
      start: startAt.toString(),
    });
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
