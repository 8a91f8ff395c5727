import fc from 'fast-check';
import t from 'tap';
import type { Purpose } from '../../src/database/tables.ts';
import { countryPolicy } from '../../src/history/country-policy.ts';
import {
  isSendWindow,
  lastAllowedBefore,
  nextOpening,
  type SendTerms,
} from '../../src/history/send-window.ts';

function termsOf(country: string, zone: string, changes: Partial<SendTerms> = {}): SendTerms {
  return { purpose: 'care', zone, sendWindow: null, policy: countryPolicy(country), ...changes };
}

/** Local date-time in, local date-time out, so that the cases read as a clinic's clock does. */
function local(search: typeof nextOpening, time: string, terms: SendTerms): string | null {
  const instant = Temporal.PlainDateTime.from(time).toZonedDateTime(terms.zone).toInstant();
  const found = search(instant, terms);
  return (
    found?.toZonedDateTimeISO(terms.zone).toPlainDateTime().toString({ smallestUnit: 'minute' }) ??
    null
  );
}

t.test('at night a recall waits for the morning', async (t) => {
  const moscow = termsOf('RU', 'Europe/Moscow');
  t.equal(local(nextOpening, '2026-07-12T03:00', moscow), '2026-07-12T09:00');
  t.equal(local(nextOpening, '2026-07-12T09:00', moscow), '2026-07-12T09:00');
  t.equal(local(nextOpening, '2026-07-12T20:59', moscow), '2026-07-12T20:59');
  t.equal(local(nextOpening, '2026-07-12T21:00', moscow), '2026-07-13T09:00', 'the end is outside');
});

t.test('a reminder goes at the last allowed minute before instead', async (t) => {
  const moscow = termsOf('RU', 'Europe/Moscow', { purpose: 'transactional' });
  t.equal(local(lastAllowedBefore, '2026-07-12T03:00', moscow), '2026-07-11T20:59');
  t.equal(local(lastAllowedBefore, '2026-07-12T09:00', moscow), '2026-07-12T09:00');
  t.equal(local(lastAllowedBefore, '2026-07-12T21:00', moscow), '2026-07-12T20:59');
  t.equal(local(lastAllowedBefore, '2026-07-12T12:34', moscow), '2026-07-12T12:34');
});

t.test("the clinic's window replaces hours that no law demands", async (t) => {
  const sendWindow = { start: '11:00', end: '12:00' };
  t.equal(
    local(nextOpening, '2026-07-12T03:00', termsOf('RU', 'Europe/Moscow', { sendWindow })),
    '2026-07-12T11:00',
  );
  const sunday = '2026-07-12T10:00';
  t.equal(local(nextOpening, sunday, termsOf('BR', 'America/Sao_Paulo')), '2026-07-13T09:00');
  t.equal(local(nextOpening, sunday, termsOf('DE', 'Europe/Berlin')), '2026-07-13T09:00');
  t.equal(
    local(nextOpening, '2026-07-11T20:30', termsOf('DE', 'Europe/Berlin')),
    '2026-07-13T09:00',
  );
  t.equal(
    local(nextOpening, sunday, termsOf('DE', 'Europe/Berlin', { sendWindow })),
    '2026-07-12T11:00',
  );
});

t.test('in Colombia no recall leaves on a Sunday, whatever the clinic wants', async (t) => {
  const sendWindow = { start: '00:00', end: '24:00' };
  const bogota = termsOf('CO', 'America/Bogota', { sendWindow });
  t.equal(local(nextOpening, '2026-07-12T10:00', bogota), '2026-07-13T07:00', 'Sunday to Monday');
  t.equal(
    local(nextOpening, '2026-07-11T15:00', bogota),
    '2026-07-13T07:00',
    'Saturday ends at 15:00',
  );
  t.equal(local(nextOpening, '2026-07-11T07:00', bogota), '2026-07-11T08:00');
  t.equal(local(lastAllowedBefore, '2026-07-13T06:00', bogota), '2026-07-11T14:59');
  t.equal(
    local(nextOpening, '2026-07-12T10:00', { ...bogota, purpose: 'transactional' }),
    '2026-07-12T10:00',
    'a confirmation is exempt',
  );
  t.equal(
    local(nextOpening, '2026-07-13T07:30', termsOf('CO', 'America/Bogota')),
    '2026-07-13T09:00',
    "the usual window narrows the law's hours",
  );
});

t.test('a notice of delay ignores the window but not a law', async (t) => {
  const early = '2026-07-13T06:40';
  const notice = { purpose: 'transactional', ignoresSendWindow: true } as const;
  t.equal(local(nextOpening, early, termsOf('RU', 'Europe/Moscow', notice)), early);
  t.equal(local(nextOpening, early, termsOf('US', 'America/New_York', notice)), '2026-07-13T08:00');
});

t.test("hours that never meet a law's hours leave no opening", async (t) => {
  const night = termsOf('CO', 'America/Bogota', { sendWindow: { start: '20:00', end: '23:00' } });
  t.equal(local(nextOpening, '2026-07-13T10:00', night), null);
  t.equal(local(lastAllowedBefore, '2026-07-13T10:00', night), null);
});

t.test('midnight to midnight is all day, also when the clock changes', async (t) => {
  const sendWindow = { start: '00:00', end: '24:00' };
  const santiago = termsOf('CL', 'America/Santiago', { sendWindow });
  const day = Temporal.Instant.from('2026-09-05T12:00:00Z');
  for (let minutes = 0; minutes < 48 * 60; minutes += 10) {
    const instant = day.add({ minutes });
    t.ok(nextOpening(instant, santiago)?.equals(instant));
    t.ok(lastAllowedBefore(instant, santiago)?.equals(instant));
  }
});

t.test('a window that the clock change swallows opens when the clock has changed', async (t) => {
  const sendWindow = { start: '02:30', end: '10:00' };
  const berlin = termsOf('DE', 'Europe/Berlin', { sendWindow });
  t.equal(local(nextOpening, '2026-03-29T00:10', berlin), '2026-03-29T03:30');
  t.equal(local(nextOpening, '2026-10-25T00:10', berlin), '2026-10-25T02:30');
});

t.test('a window opens before it closes', async (t) => {
  t.ok(isSendWindow({ start: '09:00', end: '21:00' }));
  t.ok(isSendWindow({ start: '00:00', end: '24:00' }));
  for (const [start, end] of [
    ['21:00', '09:00'],
    ['09:00', '09:00'],
    ['24:00', '24:00'],
    ['9:00', '21:00'],
    ['09:00', '25:00'],
  ] as const) {
    t.notOk(isSendWindow({ start, end }), `${start} to ${end}`);
  }
});

const timeOfDay = fc
  .integer({ min: 0, max: 24 * 60 - 1 })
  .map((minutes) => Temporal.PlainTime.from('00:00').add({ minutes }).toString().slice(0, 5));
const sendWindow = fc.oneof(
  fc.constant(null),
  fc.constant({ start: '00:00', end: '24:00' }),
  fc
    .tuple(timeOfDay, timeOfDay)
    .filter(([a, b]) => a !== b)
    .map(([a, b]) => (a < b ? { start: a, end: b } : { start: b, end: a })),
);
const terms = fc.record({
  purpose: fc.constantFrom<Purpose>('transactional', 'care', 'marketing'),
  zone: fc.constantFrom(
    'Europe/Moscow',
    'Europe/Berlin',
    'America/Bogota',
    'America/Santiago',
    'Australia/Lord_Howe',
    'America/New_York',
  ),
  sendWindow,
  policy: fc.constantFrom('RU', 'BR', 'CO', 'US', 'DE').map(countryPolicy),
  ignoresSendWindow: fc.boolean(),
});
const moment = fc
  .integer({ min: Date.UTC(2024, 0, 1) / 60_000, max: Date.UTC(2030, 0, 1) / 60_000 })
  .map((minutes) => Temporal.Instant.fromEpochMilliseconds(minutes * 60_000));

/** The definition, read off the wall clock; days of a clock change are left to the cases above. */
function isAllowed(
  instant: Temporal.Instant,
  { purpose, zone, sendWindow, policy, ignoresSendWindow }: SendTerms,
): boolean {
  const there = instant.toZonedDateTimeISO(zone);
  const time = there.toPlainTime().toString().slice(0, 5);
  const isIn = (hours: { start: string; end: string } | null | undefined) =>
    hours != null && hours.start <= time && time < hours.end;
  const country = policy.allowedHours[purpose][there.dayOfWeek - 1];
  const isInWindow = ignoresSendWindow || isIn(sendWindow ?? { start: '09:00', end: '21:00' });
  if (policy.isLaw) return isIn(country) && isInWindow;
  return ignoresSendWindow || isIn(sendWindow ?? country);
}

function changesClock(instant: Temporal.Instant, zone: string): boolean {
  return instant.toZonedDateTimeISO(zone).hoursInDay !== 24;
}

t.test(
  'a moved message always leaves in an allowed minute, never earlier, and stays there',
  async () => {
    fc.assert(
      fc.property(moment, terms, (instant, given) => {
        const found = nextOpening(instant, given);
        if (found === null) return !isAllowed(instant, given);
        return (
          Temporal.Instant.compare(found, instant) >= 0 &&
          nextOpening(found, given)?.equals(found) === true &&
          lastAllowedBefore(found, given)?.equals(found) === true &&
          (changesClock(found, given.zone) || isAllowed(found, given)) &&
          (changesClock(instant, given.zone) || found.equals(instant) === isAllowed(instant, given))
        );
      }),
      { numRuns: 3000 },
    );
  },
);

t.test('a reminder that may not leave then leaves in an allowed minute before', async () => {
  fc.assert(
    fc.property(moment, terms, (instant, given) => {
      const found = lastAllowedBefore(instant, given);
      if (found === null) return !isAllowed(instant, given);
      return (
        Temporal.Instant.compare(found, instant) <= 0 &&
        lastAllowedBefore(found, given)?.equals(found) === true &&
        nextOpening(found, given)?.equals(found) === true &&
        (changesClock(found, given.zone) || isAllowed(found, given)) &&
        (found.equals(instant) || !nextOpening(found.add('PT1M'), given)?.equals(found.add('PT1M')))
      );
    }),
    { numRuns: 3000 },
  );
});

t.test('nothing allowed is skipped between a message and its opening', async () => {
  fc.assert(
    fc.property(moment, terms, (instant, given) => {
      const found = nextOpening(instant, given) ?? instant.add({ hours: 24 * 7 });
      for (let at = instant; Temporal.Instant.compare(at, found) < 0; at = at.add('PT37M')) {
        if (!changesClock(at, given.zone) && isAllowed(at, given)) return false;
      }
      return true;
    }),
    { numRuns: 300 },
  );
});
