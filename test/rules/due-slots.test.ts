import fc from 'fast-check';
import t from 'tap';
import { dueAt, localDay, subtractBefore } from '../../src/local-time.ts';
import { type Slot, slotsAfter, slotsBefore } from '../../src/rules/triggers/due-slots.ts';

const zones = [
  'UTC',
  'Europe/Berlin',
  'America/Santiago',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Honolulu',
  'Asia/Kolkata',
];
const zone = fc.constantFrom(...zones);
const instant = fc
  .integer({ min: Date.UTC(2023, 0, 1) / 60_000, max: Date.UTC(2028, 0, 1) / 60_000 })
  .map((minutes) => Temporal.Instant.fromEpochMilliseconds(minutes * 60_000));
const sendAt = fc.constantFrom(null, '00:30', '02:30', '10:00', '18:00', '23:59');
const hours = fc.integer({ min: 1, max: 400 });

/** The due instant that the slots give an anchor, if any. */
function dueIn(slots: readonly Slot[], anchor: Temporal.Instant, inZone: string) {
  const holding = slots.filter(
    (slot) =>
      (slot.zone === null || slot.zone === inZone) &&
      Temporal.Instant.compare(slot.from, anchor) <= 0 &&
      Temporal.Instant.compare(anchor, slot.until) < 0,
  );
  return holding.map(({ due, dueDay }) => ({
    at: ('at' in due ? due.at : anchor.add({ milliseconds: due.shiftMs })).toString(),
    dueDay,
  }));
}

t.test('a visit is found due exactly when its due instant lies in the window', async () => {
  const after = fc.constantFrom(
    'PT3H',
    'P0D',
    'P1D',
    'P30D',
    'P1M',
    'P180D',
    'P6M',
    'P1Y',
    'PT36H',
  );
  fc.assert(
    fc.property(
      instant,
      after,
      sendAt,
      zone,
      zone,
      fc.integer({ min: -40 * 60, max: 40 * 60 }),
      hours,
      (anchor, period, time, clinicZone, patientZone, offset, width) => {
        const due = dueAt({
          anchor,
          after: period,
          sendAt: time ?? undefined,
          patientZone,
          clinicZone,
        });
        const start = due.add({ minutes: offset });
        const window = { after: start, upTo: start.add({ hours: width }) };
        const slots = slotsAfter({
          after: period,
          sendAt: time,
          clinicZone,
          zones: [clinicZone, patientZone],
          window,
        });
        const found = dueIn(slots, anchor, patientZone);
        const isIn =
          Temporal.Instant.compare(window.after, due) < 0 &&
          Temporal.Instant.compare(due, window.upTo) <= 0;
        // The zone is asked for twice where clinic and patient share it.
        const expected = isIn ? [{ at: due.toString(), dueDay: localDay(due, clinicZone) }] : [];
        const distinct = found.filter(
          (one, index) => found.findIndex((other) => other.at === one.at) === index,
        );
        return JSON.stringify(distinct) === JSON.stringify(expected);
      },
    ),
    { numRuns: 500 },
  );
});

t.test(
  'an appointment is found due exactly when the time before it lies in the window',
  async () => {
    const before = fc.constantFrom('PT2H', 'P1D', 'P2D', 'P14D', 'P1M', 'PT45M');
    fc.assert(
      fc.property(
        instant,
        before,
        zone,
        zone,
        fc.integer({ min: -40 * 60, max: 40 * 60 }),
        hours,
        (start, period, clinicZone, appointmentZone, offset, width) => {
          const due = subtractBefore(start, period, appointmentZone);
          const from = due.add({ minutes: offset });
          const window = { after: from, upTo: from.add({ hours: width }) };
          const slots = slotsBefore({
            before: period,
            sendAt: null,
            clinicZone,
            zones: [appointmentZone],
            window,
          });
          const found = dueIn(slots, start, appointmentZone);
          const isIn =
            Temporal.Instant.compare(window.after, due) < 0 &&
            Temporal.Instant.compare(due, window.upTo) <= 0;
          const expected = isIn ? [{ at: due.toString(), dueDay: localDay(due, clinicZone) }] : [];
          return JSON.stringify(found) === JSON.stringify(expected);
        },
      ),
      { numRuns: 500 },
    );
  },
);
