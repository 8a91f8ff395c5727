/**
 * A clinic's life, invented from a seed: who its patients are, when they booked and came, what they agreed
 * to, and how they answer when they are written to. The demo, the tests and the benchmarks share it. The
 * same seed and index give the same patient for ever, and each is made alone, so that a million stream.
 */
import { type Language, type Locale, locales, type Service } from './locales.ts';
import { type Random, random } from './random.ts';

export interface Named {
  id: string;
  name: string;
}

/** The objects of the API, as far as they are generated. */
export interface Patient {
  id: string;
  name: { family: string; given: string; middle?: string };
  birthDate: string;
  gender: 'female' | 'male';
  language: string;
  telecom: { system: 'phone' | 'email'; value: string; use?: string }[];
  tags: string[];
  payer?: Named;
  household?: string;
  city: string;
  active: boolean;
  deceased: boolean;
  consent: Record<'care' | 'marketing', Record<string, 'granted' | 'denied'>>;
}

export interface Appointment {
  id: string;
  patientId: string;
  status: 'booked' | 'fulfilled' | 'cancelled' | 'noshow';
  start: string;
  end: string;
  practitioner: Named;
  services: Named[];
  createdAt: string;
}

export interface Visit {
  id: string;
  patientId: string;
  appointmentId?: string;
  status: 'finished';
  start: string;
  end: string;
  practitioner: Named;
  services: Named[];
  amount: string;
  currency: string;
}

/** One booking and what became of it, or a visit without one. Times are epoch milliseconds. */
export interface Stay {
  bookedAt: number;
  startsAt: number;
  endsAt: number;
  /** When a booking that came to nothing was called off. */
  cancelledAt?: number;
  appointment?: Appointment;
  visit?: Visit;
}

export interface History {
  index: number;
  patient: Patient;
  stays: Stay[];
}

export interface GeneratorOptions {
  seed: number;
  language: Language;
  /** The instants between which its patients come, such as three years. */
  from: Temporal.Instant;
  until: Temporal.Instant;
  /** How many patients share its practitioners and households. */
  patients: number;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

export function generateHistory(options: GeneratorOptions, index: number): History {
  const locale = locales[options.language];
  const dice = random(options.seed, options.language, index);
  const patient = makePatient(options, locale, dice, index);
  return { index, patient, stays: makeStays(options, locale, dice, patient) };
}

export function* generateHistories(options: GeneratorOptions): Generator<History> {
  for (let index = 0; index < options.patients; index += 1) yield generateHistory(options, index);
}

function makePatient(
  options: GeneratorOptions,
  locale: Locale,
  dice: Random,
  index: number,
): Patient {
  const gender = dice.chance(0.56) ? 'female' : 'male';
  const age = Math.min(92, Math.max(3, Math.round(dice.around(41, 19))));
  const bornAt =
    options.until.epochMilliseconds - age * 365.25 * dayMs - dice.whole(0, 364) * dayMs;
  const telecom: Patient['telecom'] = [];
  if (dice.chance(0.96))
    telecom.push({ system: 'phone', value: locale.phone(index), use: 'mobile' });
  if (dice.chance(0.55)) telecom.push({ system: 'email', value: `patient${index}@example.org` });
  const care = dice.chance(0.88) ? 'granted' : 'denied';
  const marketing = dice.chance(0.55) ? 'granted' : 'denied';
  const tags = [
    ...(dice.chance(0.06) ? ['vip'] : []),
    ...(dice.chance(0.03) ? ['debtor'] : []),
    ...(dice.chance(0.15) ? ['family'] : []),
  ];
  const isPayer = dice.chance(0.3);
  return {
    id: `p-${index + 1}`,
    name: locale.name(dice, gender),
    birthDate: dayOf(bornAt),
    gender,
    language: locale.language,
    telecom,
    tags,
    ...(isPayer && { payer: dice.pick(locale.payers) }),
    ...(tags.includes('family') && { household: `h-${Math.floor(index / 3) + 1}` }),
    city: dice.pick(locale.cities),
    active: !dice.chance(0.02),
    deceased: dice.chance(age > 75 ? 0.08 : 0.004),
    consent: {
      care: { sms: care, email: care, call: care },
      marketing: { sms: marketing, email: marketing },
    },
  };
}

/** People come at an interval of their own, and one day some stop. */
function makeStays(
  options: GeneratorOptions,
  locale: Locale,
  dice: Random,
  patient: Patient,
): Stay[] {
  const stays: Stay[] = [];
  const interval = Math.max(25, dice.around(170, 110));
  const staysAway = dice.next() * 0.22;
  const practitioner = dice.pick(locale.practitioners);
  const until = options.until.epochMilliseconds;
  let at = options.from.epochMilliseconds + dice.next() * 1.6 * interval * dayMs;
  while (at < until) {
    const stay = makeStay(locale, dice, patient, `${patient.id.slice(2)}-${stays.length + 1}`, {
      at,
      practitioner: dice.chance(0.85) ? practitioner : dice.pick(locale.practitioners),
      service: pickService(locale, dice),
    });
    stays.push(stay);
    if (dice.chance(staysAway)) break;
    at = stay.startsAt + Math.max(5, dice.around(interval, interval / 3)) * dayMs;
  }
  return stays;
}

function pickService(locale: Locale, dice: Random): Service {
  let rest = dice.next();
  for (const service of locale.services) {
    rest -= service.weight;
    if (rest < 0) return service;
  }
  return dice.pick(locale.services);
}

interface Plan {
  at: number;
  practitioner: Named;
  service: Service;
  /** When it was booked; drawn unless given. */
  bookedAt?: number;
}

function makeStay(locale: Locale, dice: Random, patient: Patient, id: string, plan: Plan): Stay {
  const startsAt = inOpeningHours(plan.at, locale, dice);
  const minutes = dice.pick([30, 30, 45, 60]);
  const endsAt = startsAt + minutes * minuteMs;
  const leadMs = Math.round((0.1 + dice.next() ** 2 * 20) * 24 * 60) * minuteMs;
  const bookedAt = plan.bookedAt ?? startsAt - leadMs;
  const draw = dice.next();
  const outcome = draw < 0.04 ? 'noshow' : draw < 0.1 ? 'cancelled' : 'fulfilled';
  const isWalkIn = plan.bookedAt === undefined && dice.chance(0.12);
  const price = locale.price * plan.service.factor * (0.8 + dice.next() * 0.4);
  const shared = {
    patientId: patient.id,
    start: textOf(startsAt),
    end: textOf(endsAt),
    practitioner: plan.practitioner,
    services: [{ id: plan.service.id, name: plan.service.name }],
  };
  const appointment: Appointment = {
    id: `a-${id}`,
    status: outcome,
    createdAt: textOf(bookedAt),
    ...shared,
  };
  const visit: Visit = {
    id: `v-${id}`,
    status: 'finished',
    amount: (Math.round(price / 10) * 10).toFixed(2),
    currency: locale.currency,
    ...shared,
  };
  const times = { bookedAt, startsAt, endsAt };
  if (isWalkIn) return { ...times, visit };
  if (outcome === 'fulfilled')
    return { ...times, appointment, visit: { ...visit, appointmentId: appointment.id } };
  if (outcome === 'noshow') return { ...times, appointment };
  const cancelledAt = bookedAt + Math.round((startsAt - bookedAt) * dice.next());
  return { ...times, cancelledAt, appointment };
}

/** A quarter of an hour between nine and six on a day but Sunday. */
function inOpeningHours(at: number, locale: Locale, dice: Random): number {
  const offset = locale.offsetHours * hourMs;
  let day = Math.floor((at + offset) / dayMs);
  // The first of January 1970 was a Thursday.
  if ((day + 4) % 7 === 0) day += 1;
  return day * dayMs + dice.whole(9 * 4, 18 * 4 - 1) * 15 * minuteMs - offset;
}

/** A stay as the clinic's system shows it at an instant: still booked, called off, or past. Null before it is booked. */
export function seenAt(
  stay: Stay,
  at: number,
): { appointment?: Appointment; visit?: Visit } | null {
  const { appointment, visit } = stay;
  if (at >= stay.endsAt) return { ...(appointment && { appointment }), ...(visit && { visit }) };
  if (appointment === undefined || at < stay.bookedAt) return null;
  const isCancelled = stay.cancelledAt !== undefined && at >= stay.cancelledAt;
  return { appointment: { ...appointment, status: isCancelled ? 'cancelled' : 'booked' } };
}

/** Every instant at which the clinic's system would tell something new about a stay, ascending. */
export function instantsOf(stay: Stay): number[] {
  const instants = stay.appointment ? [stay.bookedAt] : [];
  if (stay.cancelledAt !== undefined) return [...instants, stay.cancelledAt];
  return [...instants, stay.endsAt];
}

/**
 * What a message moves its patient to: a booking within days and a visit within weeks, or nothing. `key`
 * tells one message from another, such as its occurrence and step.
 */
export function answerTo(
  options: GeneratorOptions,
  history: History,
  message: { key: string; at: number; willingness: number },
): Stay | null {
  const dice = random(options.seed, 'answer', history.index, message.key);
  if (!dice.chance(message.willingness)) return null;
  const locale = locales[options.language];
  const bookedAt = message.at + Math.round((0.2 + dice.next() ** 2 * 80) * 60) * minuteMs;
  return makeStay(locale, dice, history.patient, `${history.index + 1}-${message.key}`, {
    at: bookedAt + (1 + dice.next() * 18) * dayMs,
    bookedAt,
    practitioner: dice.pick(locale.practitioners),
    service: pickService(locale, dice),
  });
}

function textOf(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}
