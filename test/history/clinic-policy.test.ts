/** What holds in a clinic never goes beyond the law of its country. */
import fc from 'fast-check';
import t from 'tap';
import { type ClinicPolicy, weekdays } from '../../src/history/clinic.ts';
import { clinicPolicy, loosenings, openHours } from '../../src/history/clinic-policy.ts';
import {
  countryPolicies,
  countryPolicy,
  demands,
  type Hours,
} from '../../src/history/country-policy.ts';
import { lastAllowedBefore, nextOpening } from '../../src/history/send-window.ts';

const purposes = ['transactional', 'care', 'marketing'] as const;
const laws = [...countryPolicies.values()].filter(({ isLaw }) => isLaw);

const time = fc.integer({ min: 0, max: 24 }).map((hour) => `${String(hour).padStart(2, '0')}:00`);
const hours = fc
  .tuple(time, time)
  .filter(([start, end]) => start < end)
  .map(([start, end]): Hours => ({ start, end }));
const week = fc.dictionary(fc.constantFrom(...weekdays), fc.option(hours));
const byPurpose = <Value>(value: fc.Arbitrary<Value>) =>
  fc.dictionary(fc.constantFrom(...purposes), value);
const override = fc.record(
  {
    careNeedsConsent: fc.boolean(),
    allowedHours: byPurpose(week),
    needsConsent: fc.dictionary(fc.constantFrom('care', 'marketing'), fc.boolean()),
    mustInclude: byPurpose(fc.uniqueArray(fc.constantFrom(...demands))),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<ClinicPolicy>;

t.test('no override lets a message leave when a law forbids it', async (t) => {
  let asked = 0;
  fc.assert(
    fc.property(
      fc.record({
        row: fc.constantFrom(...laws),
        policy: override,
        purpose: fc.constantFrom(...purposes),
        zone: fc.constantFrom('America/Bogota', 'America/New_York'),
        sendWindow: fc.option(hours),
        ignoresSendWindow: fc.boolean(),
        second: fc.integer({ min: 1_767_225_600, max: 1_798_761_600 }),
      }),
      ({ row, policy, purpose, zone, sendWindow, ignoresSendWindow, second }) => {
        const country = row.country ?? '';
        const terms = { purpose, zone, sendWindow, ignoresSendWindow };
        const own = { ...terms, policy: clinicPolicy({ country, settings: { policy } }) };
        const from = Temporal.Instant.fromEpochMilliseconds(second * 1_000);
        for (const at of [nextOpening(from, own), lastAllowedBefore(from, own)]) {
          if (at === null) continue;
          asked += 1;
          const local = at.toZonedDateTimeISO(zone);
          const limit = row.allowedHours[purpose][local.dayOfWeek - 1];
          const clock = local.toPlainTime().toString().slice(0, 5);
          if (!limit || clock < limit.start || clock >= limit.end) return false;
        }
        return true;
      },
    ),
    { numRuns: 1_000 },
  );
  t.ok(asked > 100, `${asked} instants were looked at`);
});

t.test('what is not loose asks for all that the country asks', async (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...countryPolicies.keys(), 'DE'), override, (country, policy) => {
      const clinic = { country, settings: { policy } };
      const row = countryPolicy(country);
      const own = clinicPolicy(clinic);
      const isLoose =
        (['care', 'marketing'] as const).some(
          (purpose) => row.needsConsent[purpose] && !own.needsConsent[purpose],
        ) ||
        purposes.some((purpose) =>
          row.mustInclude[purpose].some((demand) => !own.mustInclude[purpose].includes(demand)),
        );
      const found = loosenings(clinic).some(({ pointer }) => !/allowedHours/.test(pointer));
      return found === isLoose;
    }),
  );
  t.pass();
});

t.test('a clinic that has set nothing has what its country has', async (t) => {
  for (const country of [...countryPolicies.keys(), 'DE']) {
    for (const settings of [{}, { policy: {} }, { policy: { respectHolidays: true } }]) {
      t.match(clinicPolicy({ country, settings }), countryPolicy(country), country);
      t.same(loosenings({ country, settings }), []);
    }
  }
});

t.test('the hours that are shown are those at which messages leave', async (t) => {
  const settings = {
    sendWindow: { start: '10:00', end: '18:00' },
    caps: { perDay: 1, perWeek: 3 },
    householdMerging: false,
    messagesPerDay: 10,
    policy: { allowedHours: { care: { mon: { start: '08:00', end: '12:00' }, sun: null } } },
  };
  const { care, marketing } = openHours({ country: 'MX', settings });
  t.same(care[0], { start: '10:00', end: '12:00' });
  t.same(care[6], null);
  t.same(marketing[6], { start: '10:00', end: '18:00' });
});
