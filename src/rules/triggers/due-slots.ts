import {
  addPeriod,
  addToDay,
  anchorDaysFor,
  earlier,
  isBefore,
  isCalendarPeriod,
  later,
  localDay,
  startOfDay,
  subtractBefore,
  toInstant,
} from '../../local-time.ts';

/**
 * Turns "what is due in this window" into ranges of anchors, so that SQL finds them by index and never
 * resolves a local time. Every anchor of a slot is due at one instant, or at one distance from itself.
 */

/** Due instants after `after`, up to and including `upTo`. */
export interface DueWindow {
  after: Temporal.Instant;
  upTo: Temporal.Instant;
}

export interface Slot {
  /** Anchors from here on, and before `until`. */
  from: Temporal.Instant;
  until: Temporal.Instant;
  /** The patients or appointments in this zone; null for all. */
  zone: string | null;
  /** The clinic's local day of the due instant. */
  dueDay: string;
  due: { at: Temporal.Instant } | { shiftMs: number };
  /** For patients who wish to be reminded so: their preference, and the period of theirs that it is about. */
  wish?: { preference: string; period: string };
}

const oneMs = Temporal.Duration.from({ milliseconds: 1 });
/** How far a skipped `sendAt` and the date line can move a due day. */
const dayReach = 2;

export interface AfterQuestion {
  after: string;
  sendAt: string | null;
  clinicZone: string;
  /** Zones of the patients, where `sendAt` is theirs. */
  zones: readonly string[];
  window: DueWindow;
}

/** The slots for what is due a period after its anchor, as `dueAt` of `local-time.ts` has it. */
export function slotsAfter(question: AfterQuestion): Slot[] {
  const { after, sendAt, clinicZone, zones, window } = question;
  if (sendAt !== null) {
    return zones.flatMap((zone) => slotsAtTime({ after, sendAt, clinicZone, window }, zone));
  }
  if (!isCalendarPeriod(after)) return elapsedSlots(milliseconds(after), clinicZone, window);
  const days = daysAround(window, clinicZone).flatMap((day) => anchorDaysFor(day, after));
  return calendarSlots(days, {
    zone: null,
    dayZone: clinicZone,
    clinicZone,
    window,
    dueOf: (anchor) => addPeriod(anchor, after, clinicZone),
  });
}

function slotsAtTime(
  terms: { after: string; sendAt: string; clinicZone: string; window: DueWindow },
  zone: string,
): Slot[] {
  const slots: Slot[] = [];
  for (const day of daysAround(terms.window, zone)) {
    for (const range of anchorRanges(day, terms.after, terms.clinicZone)) {
      slots.push(...splitAtDue(range, day, zone, terms));
    }
  }
  return slots;
}

interface Range {
  from: Temporal.Instant;
  until: Temporal.Instant;
}

/** The anchors whose day plus the period is that day, in the clinic's zone. */
function anchorRanges(day: string, after: string, zone: string): Range[] {
  if (isCalendarPeriod(after))
    return anchorDaysFor(day, after).map((anchor) => dayRange(anchor, zone));
  const { from, until } = dayRange(day, zone);
  return [{ from: from.subtract(after), until: until.subtract(after) }];
}

/** An anchor after `sendAt` of its due day is due on the next. */
function splitAtDue(
  range: Range,
  firstDay: string,
  zone: string,
  { sendAt, clinicZone, window }: { sendAt: string; clinicZone: string; window: DueWindow },
): Slot[] {
  const slots: Slot[] = [];
  let { from } = range;
  for (let day = firstDay; isBefore(from, range.until); day = addToDay(day, 'P1D')) {
    const at = toInstant(day, sendAt, zone);
    const until = earlier(range.until, at.add(oneMs));
    if (!isBefore(from, until)) continue;
    if (isIn(at, window)) {
      slots.push({ from, until, zone, dueDay: localDay(at, clinicZone), due: { at } });
    }
    from = until;
  }
  return slots;
}

function elapsedSlots(shiftMs: number, clinicZone: string, window: DueWindow): Slot[] {
  const range = { from: window.after.add(oneMs), until: window.upTo.add(oneMs) };
  return splitByDay(range, shiftMs, null, clinicZone);
}

export interface BeforeQuestion {
  before: string;
  sendAt: string | null;
  clinicZone: string;
  /** Zones of the appointments. */
  zones: readonly string[];
  window: DueWindow;
}

/** The slots for what is due a period before its anchor, in the anchor's own zone. */
export function slotsBefore(question: BeforeQuestion): Slot[] {
  const { before, sendAt, clinicZone, zones, window } = question;
  if (!isCalendarPeriod(before)) return elapsedSlots(-milliseconds(before), clinicZone, window);
  const ahead = Temporal.Duration.from(before).negated();
  return zones.flatMap((zone) => {
    if (sendAt === null) {
      const days = daysAround(window, zone).flatMap((day) => anchorDaysFor(day, ahead));
      const dueOf = (start: Temporal.Instant) => subtractBefore(start, before, zone);
      return calendarSlots(days, { zone, dayZone: zone, clinicZone, window, dueOf });
    }
    return daysAround(window, zone).flatMap((day) => {
      const at = toInstant(day, sendAt, zone);
      if (!isIn(at, window)) return [];
      const dueDay = localDay(at, clinicZone);
      return anchorDaysFor(day, ahead)
        .map((anchor) => dayRange(anchor, zone))
        .map(({ from, until }) => ({ from: later(from, at), until, zone, dueDay, due: { at } }))
        .filter((slot) => isBefore(slot.from, slot.until));
    });
  });
}

interface CalendarTerms {
  zone: string | null;
  dayZone: string;
  clinicZone: string;
  window: DueWindow;
  dueOf: (anchor: Temporal.Instant) => Temporal.Instant;
}

/** Anchor days at the same local time: one distance for all, but for days on which a clock changes. */
function calendarSlots(anchorDays: readonly string[], terms: CalendarTerms): Slot[] {
  return anchorDays.flatMap((day) =>
    pieces(dayRange(day, terms.dayZone), terms).flatMap(({ from, until, shiftMs }) => {
      const due = within(
        { from: shifted(from, shiftMs), until: shifted(until, shiftMs) },
        terms.window,
      );
      return due === null ? [] : splitByDay(due, shiftMs, terms.zone, terms.clinicZone);
    }),
  );
}

/** Offsets change on whole quarters of an hour. */
const probe = Temporal.Duration.from('PT15M');

function pieces(range: Range, terms: CalendarTerms): (Range & { shiftMs: number })[] {
  const shiftOf = (anchor: Temporal.Instant) =>
    terms.dueOf(anchor).epochMilliseconds - anchor.epochMilliseconds;
  const last = range.until.subtract(oneMs);
  // A day that begins in a gap shows it in the distance alone.
  const isEven =
    shiftOf(range.from) === shiftOf(last) &&
    offset(range.from, terms.dayZone) === offset(last, terms.dayZone) &&
    offset(terms.dueOf(range.from), terms.dayZone) === offset(terms.dueOf(last), terms.dayZone);
  if (isEven) return [{ ...range, shiftMs: shiftOf(range.from) }];
  const found: (Range & { shiftMs: number })[] = [];
  for (let from = range.from; isBefore(from, range.until); from = from.add(probe)) {
    const until = earlier(range.until, from.add(probe));
    const shiftMs = shiftOf(from);
    const before = found.at(-1);
    if (before?.shiftMs === shiftMs) before.until = until;
    else found.push({ from, until, shiftMs });
  }
  return found;
}

/** Cuts a range of due instants at the clinic's midnights. */
function splitByDay(due: Range, shiftMs: number, zone: string | null, clinicZone: string): Slot[] {
  const slots: Slot[] = [];
  for (let { from } = due; isBefore(from, due.until); ) {
    const dueDay = localDay(from, clinicZone);
    const until = earlier(due.until, startOfDay(addToDay(dueDay, 'P1D'), clinicZone));
    slots.push({
      from: shifted(from, -shiftMs),
      until: shifted(until, -shiftMs),
      zone,
      dueDay,
      due: { shiftMs },
    });
    from = until;
  }
  return slots;
}

/** The local days of a window, and a few more on either side. */
export function daysAround(window: DueWindow, zone: string): string[] {
  const days: string[] = [];
  const last = addToDay(localDay(window.upTo, zone), `P${dayReach}D`);
  let day = addToDay(localDay(window.after, zone), `-P${dayReach}D`);
  for (; day <= last; day = addToDay(day, 'P1D')) days.push(day);
  return days;
}

export function isIn(at: Temporal.Instant, window: DueWindow): boolean {
  return isBefore(window.after, at) && !isBefore(window.upTo, at);
}

function within(range: Range, window: DueWindow): Range | null {
  const from = later(range.from, window.after.add(oneMs));
  const until = earlier(range.until, window.upTo.add(oneMs));
  return isBefore(from, until) ? { from, until } : null;
}

function dayRange(day: string, zone: string): Range {
  return { from: startOfDay(day, zone), until: startOfDay(addToDay(day, 'P1D'), zone) };
}

function milliseconds(period: string): number {
  return Temporal.Duration.from(period).total('milliseconds');
}

function shifted(at: Temporal.Instant, ms: number): Temporal.Instant {
  return at.add({ milliseconds: ms });
}

function offset(at: Temporal.Instant, zone: string): number {
  return at.toZonedDateTimeISO(zone).offsetNanoseconds;
}
