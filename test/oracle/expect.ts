import { type Known, learn, nothingKnown } from './known.ts';
import { bookedStarts, missedStarts, type Occurrence, occurrencesOf } from './occurrences.ts';
import { type Clinic, isAwayAt, type Told, type World } from './world.ts';

/**
 * What must be sent, what may be, and between which ticks. The two differ where clocks that are apart meet
 * a due instant or a limit, and where the specification leaves it open.
 */

export interface Expected {
  rule: string;
  patientId: string;
  key: string;
  dueMs: number;
  /** Of all that were known meanwhile, the latest. */
  expiresMs: number;
  /** The ticks between which it may go. */
  firstMs: number | null;
  lastMs: number;
  /** The tick by which it has gone; null where it need not. */
  mustMs: number | null;
  /** Its limit passed while it waited: it is shown, and not absent. */
  isExpired: boolean;
}

export interface Clocks {
  /** How far a scheduler's clock may be behind or ahead of the tick, further looks included. */
  behindMs: number;
  aheadMs: number;
}

interface Track extends Expected {
  /** The last tick at which an appointment stood in the way; null when none does. */
  blockedMs: number | null;
  /** Between these ticks the way became free. */
  freed: { fromMs: number; untilMs: number } | null;
  /** It was too late once, or went under another record of the patient, perhaps. */
  isOpen: boolean;
  /** It went under another record. */
  isDone: boolean;
  /** An appointment stood in its way before a correction: until then it may go. */
  graceMs: number | null;
  /** When it was last there to be looked at. */
  lookedMs: number | null;
}

/** By rule, patient and occurrence. */
export function expectedOf(
  { ticks, outage }: World,
  clinic: Clinic,
  clocks: Clocks,
): Map<string, Expected> {
  const book = createBook(clinic.zone, clocks);
  let next = 0;
  for (const tickMs of ticks) {
    for (let event = clinic.told[next]; event && event.arrivesMs < tickMs; ) {
      book.learn(event);
      next += 1;
      event = clinic.told[next];
    }
    if (!isAwayAt(tickMs, outage)) book.look(tickMs);
  }
  return book.tracks;
}

interface Live {
  occurrences: Occurrence[];
  bookedStarts: number[];
  missedStarts: number[];
  isSilent: boolean;
}

function createBook(zone: string, clocks: Clocks) {
  const known = nothingKnown();
  const tracks = new Map<string, Track>();
  const live = new Map<string, Live>();
  const changed = new Set<string>();
  let previousMs = Number.NEGATIVE_INFINITY;
  return {
    tracks,
    learn: (event: Told) => {
      const survivors = known.survivors.size;
      for (const id of learn(known, event)) changed.add(id);
      if (known.survivors.size === survivors) return;
      const retired = String(event.data.id);
      live.delete(retired);
      inherit(tracks, retired, String(event.data.into));
    },
    look: (tickMs: number) => {
      for (const id of changed) live.set(id, liveOf(known, id, zone));
      changed.clear();
      for (const [id, one] of live) {
        for (const occurrence of one.occurrences) {
          if (occurrence.dueMs > tickMs + clocks.aheadMs) continue;
          consider(trackOf(tracks, id, occurrence), occurrence, {
            known,
            id,
            tickMs,
            live: one,
            clocks,
            previousMs,
          });
        }
      }
      previousMs = tickMs;
    },
  };
}

function liveOf(known: Known, id: string, zone: string): Live {
  const { deceased, active } = known.people.get(id)?.told.data ?? {};
  return {
    occurrences: occurrencesOf(known, id, zone),
    bookedStarts: bookedStarts(known, id),
    missedStarts: missedStarts(known, id),
    isSilent: deceased === true || active === false,
  };
}

function trackOf(tracks: Map<string, Track>, patientId: string, occurrence: Occurrence): Track {
  const { rule, key, dueMs, expiresMs } = occurrence;
  const name = `${rule} ${patientId} ${key}`;
  const found = tracks.get(name);
  if (found !== undefined) {
    if (found.mustMs === null) {
      found.dueMs = dueMs;
      found.expiresMs = Math.max(found.expiresMs, expiresMs);
    }
    return found;
  }
  const track: Track = {
    ...{ rule, patientId, key, dueMs, expiresMs },
    ...{ firstMs: null, lastMs: 0, mustMs: null, isExpired: false },
    ...{
      blockedMs: null,
      freed: null,
      isOpen: false,
      isDone: false,
      graceMs: null,
      lookedMs: null,
    },
  };
  tracks.set(name, track);
  return track;
}

/** What went under the retired record does not go again under the other. */
function inherit(tracks: Map<string, Track>, retired: string, into: string): void {
  for (const track of [...tracks.values()].filter(({ patientId }) => patientId === retired)) {
    const name = `${track.rule} ${into} ${track.key}`;
    const own = tracks.get(name);
    track.isExpired = false;
    if (own?.mustMs != null || track.firstMs === null) continue;
    const fresh = { ...track, patientId: into, firstMs: null, lastMs: 0, mustMs: null };
    const isDone = track.mustMs !== null || own?.isDone === true;
    tracks.set(name, { ...(own ?? fresh), isExpired: false, isDone, isOpen: true });
  }
}

interface Look {
  known: Known;
  id: string;
  tickMs: number;
  /** The tick before, at which somebody looked. */
  previousMs: number;
  live: Live;
  clocks: Clocks;
}

function consider(track: Track, occurrence: Occurrence, look: Look): void {
  if (track.mustMs !== null || track.isDone) return;
  const { tickMs, live, clocks } = look;
  const [earlyMs, lateMs] = [tickMs - clocks.behindMs, tickMs + clocks.aheadMs];
  const mayBeBlocked = occurrence.freedUntil && live.bookedStarts.some((ms) => ms > earlyMs);
  const isBlocked = occurrence.freedUntil && live.bookedStarts.some((ms) => ms > lateMs);
  let limit = limitOf(track, occurrence, clocks);
  const isNew = track.lookedMs !== look.previousMs && !track.isOpen;
  track.lookedMs = tickMs;
  let isLate = track.blockedMs === null && earlyMs >= limit.latestMs;
  // What was known before was wrong. An appointment stands, or stood, in its way, and its limit begins after that;
  // whether it did when the limit passed, the words leave open.
  const isRevived = isLate && isNew && mayBeBlocked;
  if (isLate && isNew) {
    const stood = live.missedStarts.filter((ms) => ms > occurrence.dueMs && ms <= lateMs);
    const graces = stood.map((ms) => occurrence.freedUntil?.(ms) ?? limit.latestMs);
    track.graceMs = Math.max(limit.latestMs, ...graces);
    limit = limitOf(track, occurrence, clocks);
    isLate = earlyMs >= limit.latestMs;
    if (isRevived || !isLate) track.isOpen = true;
  }
  if (isLate && !isRevived) {
    if (track.firstMs === null && isShown(occurrence, tickMs)) track.isExpired = true;
    track.isOpen = true;
    return;
  }
  if (isBlocked || isRevived) {
    track.blockedMs = tickMs;
    track.freed = null;
    return;
  }
  if (track.blockedMs !== null && !mayBeBlocked) {
    track.freed = { fromMs: track.blockedMs, untilMs: tickMs };
    track.blockedMs = null;
    limit = limitOf(track, occurrence, clocks);
  }
  // A clock may be past the appointment's start already, and another not.
  if (track.blockedMs !== null && occurrence.freedUntil)
    limit.latestMs = Math.max(limit.latestMs, occurrence.freedUntil(lateMs));
  if (live.isSilent || !consents(look, occurrence)) return;
  if (earlyMs < limit.latestMs) {
    track.firstMs ??= tickMs;
    track.lastMs = tickMs;
    track.expiresMs = Math.max(track.expiresMs, limit.latestMs);
  }
  const isOpen = track.isOpen || lateMs >= (occurrence.openFromMs ?? Number.POSITIVE_INFINITY);
  const isDue = occurrence.dueMs <= earlyMs && lateMs < limit.earliestMs;
  if (isDue && !mayBeBlocked && !isOpen) track.mustMs = tickMs;
}

/** What nobody could send is shown as too late, where it was not made when it was too late already. */
function isShown({ dueMs, knownFromMs }: Occurrence, tickMs: number): boolean {
  return tickMs - dueMs < shownForMs && (knownFromMs ?? dueMs) <= dueMs;
}

const shownForMs = 15 * 24 * 3_600_000;

/** After an appointment that stood in the way, the time to catch up begins when the way is free. */
function limitOf(
  { freed, graceMs }: Track,
  { expiresMs, freedUntil }: Occurrence,
  { aheadMs }: Clocks,
) {
  const latestMs = Math.max(expiresMs, graceMs ?? expiresMs);
  if (freed === null || freedUntil === undefined) return { earliestMs: expiresMs, latestMs };
  return {
    earliestMs: Math.max(expiresMs, freedUntil(freed.fromMs)),
    latestMs: Math.max(latestMs, freedUntil(freed.untilMs + aheadMs)),
  };
}

function consents({ known, id }: Look, { purpose }: Occurrence): boolean {
  if (purpose === 'transactional') return true;
  if (known.optedOut.has(id)) return false;
  const said = known.consents.get(`${id} ${purpose}`)?.state;
  return purpose === 'care' ? said !== 'denied' : said === 'granted';
}
