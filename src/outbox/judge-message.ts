import type { Clinic } from '../history/clinic.ts';
import { nextOpening } from '../history/send-window.ts';
import { addToDay, earlier, isBefore, localDay, startOfDay } from '../local-time.ts';
import type { HeldReason, StopReason, Verdict } from './guard.ts';
import type { GuardFacts } from './guard-store.ts';
import { hasHours, hoursKey, sendTermsOf } from './sending-hours.ts';

/** Decides from the facts whether a message may leave. Pure: the same facts give the same verdict. */

export interface JudgeTerms {
  clinic: Clinic;
  now: Temporal.Instant;
  /** What consent says of this message. */
  consent: 'opted-out' | 'no-consent' | undefined;
  /** Filled while a batch is judged, since nearly all its messages ask for the same hours. */
  openings: Map<string, Temporal.Instant | null>;
}

/** How often a message is looked at again whose obstacle leaves no instant of its own. */
const recheckPeriod = Temporal.Duration.from('PT6H');

const go: Verdict = Object.freeze({ state: 'go' });

/** Everything but the text, the caps and the channel, which follow once all messages of a batch are known. */
export function judgeMessage(facts: GuardFacts, terms: JudgeTerms): Verdict {
  return (
    judgeLife(facts, terms) ??
    judgeAnchor(facts) ??
    judgeAnswers(facts) ??
    judgeBooking(facts) ??
    judgeTurn(facts, terms) ??
    judgeContact(facts, terms) ??
    judgeHours(facts, terms) ??
    go
  );
}

function judgeLife(facts: GuardFacts, { now }: JudgeTerms): Verdict | null {
  if (facts.cancelRequested) return { state: 'cancelled', reason: 'cancelled' };
  if (Temporal.Instant.compare(facts.expiresAt, now) <= 0)
    return { state: 'expired', reason: 'too-late' };
  if (facts.isDeceased) return { state: 'suppressed', reason: 'deceased' };
  if (!facts.isActive && facts.guard.requireActive !== false)
    return heldFor('inactive', facts, now);
  return null;
}

function judgeAnchor(facts: GuardFacts): Verdict | null {
  if (facts.anchorHolds) return null;
  const isTreatment = facts.guard.anchor?.kind === 'treatment';
  return {
    state: 'cancelled',
    reason: isTreatment ? 'treatment-changed' : 'appointment-changed',
  };
}

function judgeAnswers(facts: GuardFacts): Verdict | null {
  if (facts.visitedSince || facts.visitedScope) return stopped(facts, 'visited');
  const stops = facts.guard.stopOn ?? [];
  const answered: [StopReason, boolean][] = [
    ['confirmed', facts.isConfirmed],
    ['paid', facts.hasPaid],
    ['replied', facts.hasReplied],
    ['clicked', facts.hasClicked],
    ['task-outcome', facts.hasTaskOutcome],
  ];
  const found = answered.find(([reason, happened]) => happened && stops.includes(reason));
  return found ? { state: 'cancelled', reason: found[0] } : null;
}

/** What ends an occurrence before anything of it left is a suppression; later it is a stop. */
function stopped(facts: GuardFacts, reason: 'visited'): Verdict {
  return { state: isFirstStep(facts) ? 'suppressed' : 'cancelled', reason };
}

/** Who is booked already is not invited; once that appointment is over without a visit, they may be. */
function judgeBooking(facts: GuardFacts): Verdict | null {
  const isBooked = facts.nextAppointmentAt !== null;
  if (isFirstStep(facts) && facts.guard.unlessBooked) {
    if (!isBooked) return null;
    return {
      state: 'held',
      reason: 'future-appointment',
      until: earlier(facts.nextAppointmentAt ?? facts.expiresAt, facts.expiresAt),
    };
  }
  const mayStop = facts.guard.unlessBooked || facts.guard.stopOn?.includes('booked');
  const hasBooked = facts.bookedSince || (isBooked && !isFirstStep(facts));
  return mayStop && hasBooked ? { state: 'cancelled', reason: 'booked' } : null;
}

/** One invitation at a time: the one that is running first comes to its end. */
function judgeTurn(facts: GuardFacts, { clinic, now }: JudgeTerms): Verdict | null {
  return facts.isInvited ? heldUntilTomorrow('lower-priority', facts, clinic, now) : null;
}

const channelsWithoutAddress: readonly string[] = ['inbox', 'task', 'webhook'];

function judgeContact(facts: GuardFacts, { now, consent }: JudgeTerms): Verdict | null {
  if (facts.address === null && !channelsWithoutAddress.includes(facts.channel))
    return heldFor('no-contact-point', facts, now);
  if (consent === 'opted-out') return { state: 'suppressed', reason: 'opted-out' };
  if (consent === 'no-consent') return heldFor('no-consent', facts, now);
  return null;
}

function judgeHours(facts: GuardFacts, terms: JudgeTerms): Verdict | null {
  if (!hasHours(facts.channel)) return null;
  const { now } = terms;
  const opening = openingFor(facts, terms);
  if (opening !== null && Temporal.Instant.compare(opening, now) <= 0) return null;
  if (opening === null || Temporal.Instant.compare(opening, facts.expiresAt) >= 0)
    return { state: 'expired', reason: 'send-window' };
  return { state: 'held', reason: reasonAtNight(facts, terms), until: opening };
}

const reasonsOfDay: readonly HeldReason[] = [
  'frequency-cap',
  'lower-priority',
  'daily-limit',
  'budget',
  'capacity',
];

/** What a day had no place for says so to the end of the night, whatever has it looked at before the day is over. */
function reasonAtNight(
  { lastReason, lastJudgedAt }: GuardFacts,
  { clinic: { timeZone }, now }: JudgeTerms,
): HeldReason {
  const ofDay = reasonsOfDay.find((reason) => reason === lastReason);
  const isToday = localDay(lastJudgedAt, timeZone) === localDay(now, timeZone);
  return ofDay !== undefined && isToday ? ofDay : 'send-window';
}

function openingFor(
  { purpose, timeZone, guard }: GuardFacts,
  { clinic, now, openings }: JudgeTerms,
): Temporal.Instant | null {
  const hours = sendTermsOf({ purpose, patientZone: timeZone, guard }, clinic);
  const key = hoursKey(hours);
  const known = openings.get(key);
  if (known !== undefined) return known;
  const opening = nextOpening(now, hours);
  openings.set(key, opening);
  return opening;
}

/** Whether this message is one of the contacts that a person gets only so many of. */
export function countsTowardCaps(
  facts: Pick<GuardFacts, 'purpose' | 'channel' | 'address'>,
): boolean {
  return (
    facts.purpose !== 'transactional' &&
    facts.address !== null &&
    !channelsWithoutAddress.includes(facts.channel)
  );
}

/** A verdict that waits for something that leaves no instant of its own. */
export function heldFor(
  reason: HeldReason,
  facts: Pick<GuardFacts, 'expiresAt'>,
  now: Temporal.Instant,
): Verdict {
  return { state: 'held', reason, until: earlier(now.add(recheckPeriod), facts.expiresAt) };
}

/** A verdict that waits for the clinic's next day. */
export function heldUntilTomorrow(
  reason: HeldReason,
  facts: Pick<GuardFacts, 'expiresAt'>,
  clinic: Clinic,
  now: Temporal.Instant,
): Verdict {
  const tomorrow = addToDay(localDay(now, clinic.timeZone), 'P1D');
  const until = startOfDay(tomorrow, clinic.timeZone);
  return { state: 'held', reason, until: earlier(until, facts.expiresAt) };
}

/** How long after the turn of a better one a loser is looked at again. */
export const little = Temporal.Duration.from('PT1M');

/** The places of others who are longer overdue are kept for them until they are judged. */
export const othersTurn = Temporal.Duration.from('PT15M');

/** A verdict that waits for others, who are asked first. */
export function heldForTurn(
  reason: HeldReason,
  facts: GuardFacts,
  clinic: Clinic,
  now: Temporal.Instant,
): Verdict {
  const verdict = heldUntilTomorrow(reason, facts, clinic, now);
  if (verdict.state !== 'held') return verdict;
  const later = now.add(othersTurn);
  // Not so late that its hours, or its time, are over meanwhile.
  const isLate = !isOpenAt(later, facts, clinic) || !isBefore(later, facts.expiresAt);
  return { ...verdict, until: earlier(isLate ? now.add(little) : later, verdict.until) };
}

function isOpenAt(
  at: Temporal.Instant,
  { channel, purpose, timeZone, guard }: GuardFacts,
  clinic: Clinic,
): boolean {
  if (!hasHours(channel)) return true;
  const terms = sendTermsOf({ purpose, patientZone: timeZone, guard }, clinic);
  return nextOpening(at, terms)?.equals(at) === true;
}

function isFirstStep(facts: GuardFacts): boolean {
  return facts.guard.opens ?? (facts.step ?? 0) === 0;
}
