import { type Random, random } from '../../bench/random.ts';

/**
 * What the hosts of six clinics tell over the days, and when it arrives: late, twice, out of order, corrected.
 * A seed fixes all of it.
 */

/** Clocks that change by half an hour, at midnight, by an hour, or never; and half hours from UTC. */
export const zones = [
  'Australia/Lord_Howe',
  'America/Santiago',
  'America/St_Johns',
  'Europe/Moscow',
  'America/Sao_Paulo',
  'Asia/Kolkata',
] as const;

const patientZones = [...zones, 'Pacific/Apia', 'Africa/Casablanca', 'America/New_York'] as const;

/** Rules are switched on then, two weeks before clocks change in the first two zones. */
export const firstInstant = Temporal.Instant.from('2026-03-20T00:00:00Z');

export interface Told {
  id: string;
  type: string;
  occurredAt: string;
  /** When it reaches us, in epoch milliseconds: seven minutes past a ten. */
  arrivesMs: number;
  data: Record<string, unknown>;
}

export interface Clinic {
  zone: string;
  /** In the order of arrival. `opt-out` is no event of the host's: the patient says it to us. */
  told: readonly Told[];
}

export interface World {
  seed: number;
  clinics: readonly Clinic[];
  /** When the schedulers look, in epoch milliseconds: at a full ten of minutes. */
  ticks: readonly number[];
  /** From when on and until when no scheduler runs. */
  outage: { fromMs: number; untilMs: number };
}

export interface Size {
  days: number;
  /** Of each clinic. */
  patients: number;
  clinics?: number;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const outageDays = 10;

export function makeWorld(seed: number, { days, patients, clinics = zones.length }: Size): World {
  const startMs = firstInstant.epochMilliseconds;
  const endMs = startMs + days * dayMs;
  const dice = random(seed, 'ticks');
  const fromMs = startMs + Math.floor(days * (0.3 + dice.next() * 0.2)) * dayMs + 5 * hourMs;
  return {
    seed,
    clinics: zones
      .slice(0, clinics)
      .map((zone) => ({ zone, told: tellLife(random(seed, zone), patients, startMs, endMs) })),
    ticks: makeTicks(dice, startMs, endMs),
    outage: { fromMs, untilMs: fromMs + outageDays * dayMs },
  };
}

export function isAwayAt(ms: number, { fromMs, untilMs }: World['outage']): boolean {
  return ms >= fromMs && ms < untilMs;
}

/** Uneven, so that what is due meets them at every distance. */
function makeTicks(dice: Random, startMs: number, endMs: number): number[] {
  const ticks = [startMs];
  for (let at = startMs; at <= endMs; ticks.push(at))
    at += dice.pick([10, 20, 30, 60, 60, 90, 120, 180]) * minuteMs;
  return ticks;
}

interface Teller {
  dice: Random;
  startMs: number;
  endMs: number;
  told: Told[];
}

function tellLife(dice: Random, patients: number, startMs: number, endMs: number): Told[] {
  const teller: Teller = { dice, startMs, endMs, told: [] };
  for (let index = 0; index < patients; index += 1) tellPatient(teller, `p${index}`);
  return teller.told.toSorted((one, other) => one.arrivesMs - other.arrivesMs);
}

function tell(
  { dice, told, startMs, endMs }: Teller,
  type: string,
  atMs: number,
  data: object,
  lateMs = 0,
): void {
  if (atMs >= endMs) return;
  const id = `e${told.length}`;
  const occurredAt = Temporal.Instant.fromEpochMilliseconds(atMs).toString();
  const arrivesMs = pastTen(Math.max(atMs + lateMs, startMs));
  told.push({ id, type, occurredAt, arrivesMs, data: { ...data } });
  if (dice.chance(0.04)) {
    const again = pastTen(arrivesMs + dice.whole(1, 48) * hourMs);
    told.push({ id, type, occurredAt, arrivesMs: again, data: { ...data } });
  }
}

/** The next seventh minute of a ten: never while the schedulers work. */
function pastTen(ms: number): number {
  const ten = 10 * minuteMs;
  return Math.ceil((ms - 7 * minuteMs) / ten) * ten + 7 * minuteMs;
}

function tellPatient(teller: Teller, id: string): void {
  const { dice, startMs, endMs } = teller;
  const knownMs = dice.chance(0.7)
    ? startMs + dice.whole(1, 300) * minuteMs
    : startMs + Math.floor(dice.next() * (endMs - startMs) * 0.8);
  const isPlain = dice.chance(0.08);
  const person = {
    id,
    name: { given: id },
    birthDate: birthDate(dice),
    // Two records of one person agree about where they live.
    ...(!isPlain && dice.chance(0.3) && { timeZone: dice.pick(patientZones) }),
    ...(dice.chance(0.5) && { consent: { marketing: { inbox: 'granted' } } }),
  };
  tell(teller, 'patient.upserted', knownMs, person);
  tellMeetings(teller, id, knownMs);
  if (isPlain) tellTwin(teller, id, knownMs);
  else tellChanges(teller, person, knownMs);
}

function birthDate(dice: Random): string {
  const kind = dice.next();
  if (kind < 0.12) return `${dice.pick([1984, 1992, 2000])}-02-29`;
  if (kind < 0.2) return `${dice.whole(1950, 2005)}-01-0${dice.whole(1, 4)}`;
  return `${dice.whole(1950, 2005)}-${two(dice.whole(1, 12))}-${two(dice.whole(1, 28))}`;
}

/** A second record of the same person, merged into the first or the first into it. */
function tellTwin(teller: Teller, id: string, knownMs: number): void {
  const { dice, endMs } = teller;
  const twin = `${id}-twin`;
  const twinMs = knownMs + dice.whole(1, 20) * dayMs;
  tell(teller, 'patient.upserted', twinMs, { id: twin, birthDate: birthDate(dice) });
  tellMeetings(teller, twin, twinMs);
  const mergedMs = twinMs + Math.floor(dice.next() * Math.max(dayMs, endMs - twinMs));
  const [retired, into] = dice.chance(0.5) ? [id, twin] : [twin, id];
  tell(teller, 'patient.merged', mergedMs, { id: retired, into });
}

/** Deaths, mistaken ones too, absences, refusals, corrected dates. */
function tellChanges(teller: Teller, person: { id: string }, knownMs: number): void {
  const { dice, endMs } = teller;
  const leftMs = endMs - knownMs;
  const some = () => knownMs + hourMs + Math.floor(dice.next() * leftMs);
  let current: object = person;
  const upsert = (atMs: number, change: object, lateMs = 0) => {
    current = { ...current, ...change };
    tell(teller, 'patient.upserted', atMs, current, lateMs);
  };
  const fate = dice.next();
  if (fate < 0.06) upsert(some(), { birthDate: birthDate(dice) }, late(dice));
  else if (fate < 0.18) {
    const awayMs = some();
    upsert(awayMs, { active: false }, late(dice));
    upsert(awayMs + dice.whole(1, 30 * 24) * hourMs, { active: true });
  } else if (fate < 0.24) {
    const diedMs = some();
    upsert(diedMs, { deceased: true });
    if (dice.chance(0.4)) upsert(diedMs + dice.whole(1, 20 * 24) * hourMs, { deceased: false });
  }
  const patientId = person.id;
  if (dice.chance(0.1)) {
    const saidMs = some();
    const care = { patientId, purpose: 'care', channel: 'inbox' };
    tell(teller, 'consent.changed', saidMs, { ...care, state: 'denied' });
    const againMs = saidMs + dice.whole(1, 25 * 24) * hourMs;
    tell(teller, 'consent.changed', againMs, { ...care, state: 'granted' });
  }
  if (dice.chance(0.05)) tell(teller, 'opt-out', some(), { patientId });
}

function tellMeetings(teller: Teller, patientId: string, knownMs: number): void {
  const { dice, startMs, endMs } = teller;
  const leftMs = endMs - knownMs;
  const leftDays = leftMs / dayMs;
  const some = () => knownMs + hourMs + Math.floor(dice.next() * leftMs);
  const often = (days: number) => Math.round(leftDays / days + dice.next() - 0.3);
  if (dice.chance(0.6)) {
    const pastMs = Math.min(knownMs, startMs) - dice.whole(24, 200 * 24) * hourMs;
    tellVisit(teller, patientId, 'past', pastMs, { lateMs: knownMs + hourMs - pastMs });
  }
  for (let count = 0; count < often(110); count += 1)
    tellVisit(teller, patientId, `${count}`, some(), { lateMs: hourMs + late(dice) });
  for (let count = 0; count < often(55); count += 1)
    tellAppointment(teller, `a-${patientId}-${count}`, patientId, some());
  for (let count = 0; count < often(120); count += 1) {
    const data = { patientId, kind: dice.pick(['scan', 'blood']) };
    tell(teller, 'x-ping', onTen(some()), data, late(dice));
  }
}

/** Mostly at once, sometimes after days. */
function late(dice: Random): number {
  return dice.chance(0.2) ? dice.whole(1, 20 * 24) * hourMs : dice.whole(0, 90) * minuteMs;
}

/** What is due meets the ticks. */
function onTen(ms: number): number {
  return Math.floor(ms / (10 * minuteMs)) * 10 * minuteMs;
}

function tellVisit(
  teller: Teller,
  patientId: string,
  name: string,
  startMs: number,
  { lateMs, appointmentId }: { lateMs: number; appointmentId?: string },
): void {
  const { dice, told } = teller;
  // Odd seconds: no two visits of a patient begin or end together.
  const beginMs = onTen(startMs) + (told.length % 600) * 1000;
  const endMs = beginMs + dice.whole(10, 90) * minuteMs;
  const data = {
    id: `v-${patientId}-${name}`,
    patientId,
    status: 'finished',
    start: text(beginMs),
    ...(dice.chance(0.6) && { end: text(endMs) }),
    ...(appointmentId !== undefined && { appointmentId }),
  };
  tell(teller, 'visit.upserted', endMs, data, lateMs);
  if (!dice.chance(0.12)) return;
  const correctedMs = endMs + lateMs + dice.whole(2, 24 * 35) * hourMs;
  if (dice.chance(0.5)) tell(teller, 'visit.deleted', correctedMs, { id: data.id });
  else tell(teller, 'visit.upserted', correctedMs, { ...data, status: 'entered-in-error' });
}

function tellAppointment(teller: Teller, id: string, patientId: string, someMs: number): void {
  const { dice } = teller;
  // Never within ten minutes after a cancellation, which would make it a move.
  const bookedMs = onTen(someMs);
  const startMs = bookedMs + dice.whole(1, 24 * 6 * 35) * 10 * minuteMs;
  const base = {
    id,
    patientId,
    createdAt: text(bookedMs),
    ...(dice.chance(0.2) && { timeZone: dice.pick(patientZones) }),
  };
  const say = (atMs: number, status: string, beginMs: number, lateMs = 0) =>
    tell(teller, 'appointment.upserted', atMs, { ...base, status, start: text(beginMs) }, lateMs);
  say(bookedMs, 'booked', startMs, dice.chance(0.1) ? dice.whole(1, 60) * hourMs : 0);
  const between = () =>
    bookedMs + 5 * minuteMs + onTen(Math.floor(dice.next() * (startMs - bookedMs)));
  const fate = dice.next();
  if (fate < 0.25) {
    const movedMs = between();
    const laterMs = startMs + dice.whole(-60, 24 * 60) * 10 * minuteMs;
    say(movedMs, 'booked', Math.max(laterMs, movedMs + 2 * hourMs));
    // Back to where it was: another move, told again.
    if (dice.chance(0.4)) say(movedMs + dice.whole(1, 48) * hourMs, 'booked', startMs);
  } else if (fate < 0.4) say(between(), 'cancelled', startMs, late(dice));
  else if (fate < 0.46) tell(teller, 'appointment.deleted', between(), { id });
  else if (fate < 0.62) say(startMs + dice.whole(0, 360) * 10 * minuteMs, 'noshow', startMs);
  else if (fate < 0.92) {
    say(startMs + dice.whole(0, 200) * 10 * minuteMs, 'fulfilled', startMs);
    if (dice.chance(0.5))
      tellVisit(teller, patientId, id, startMs, { lateMs: late(dice), appointmentId: id });
  }
}

function text(ms: number): string {
  return Temporal.Instant.fromEpochMilliseconds(ms).toString();
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
