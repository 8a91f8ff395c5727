import { readFileSync } from 'node:fs';
import t from 'tap';
import { countryPolicy } from '../../src/history/country-policy.ts';
import { hasHolidayRegion, hasHolidays, holidayOn } from '../../src/history/holidays.ts';
import { lastAllowedBefore, nextOpening, type SendTerms } from '../../src/history/send-window.ts';

const known = [
  ['RU', ['01-01', '01-07', '02-23', '03-08', '05-09', '06-12'], 'Europe/Moscow'],
  ['BR', ['01-01', '04-21', '09-07', '11-15', '12-25'], 'America/Sao_Paulo'],
  ['MX', ['01-01', '05-01', '09-16', '12-25'], 'America/Mexico_City'],
  ['CO', ['01-01', '07-20', '08-07', '12-08'], 'America/Bogota'],
  ['CL', ['01-01', '05-21', '09-18', '09-19'], 'America/Santiago'],
  ['AR', ['01-01', '05-25', '07-09', '12-25'], 'America/Argentina/Buenos_Aires'],
  ['KZ', ['01-01', '03-08', '12-16'], 'Asia/Almaty'],
] as const;

t.test('the days that a country keeps every year are its holidays', async (t) => {
  for (const [country, days] of known)
    for (const year of [2026, 2027])
      for (const day of days)
        t.type(
          holidayOn({ country, region: null }, `${year}-${day}`),
          'string',
          `${country} ${day}`,
        );
});

t.test('a working day is none, nor is a day on which offices work', async (t) => {
  const at = (country: string, day: string) => holidayOn({ country, region: null }, day);
  t.equal(at('RU', '2026-03-03'), null);
  t.equal(at('MX', '2026-05-10'), null, 'only observed');
  t.equal(at('MX', '2026-11-02'), null, 'of banks alone');
  t.equal(at('BR', '2026-09-08'), null);
});

t.test('a holiday has the name that its country gives it', async (t) => {
  t.equal(holidayOn({ country: 'RU', region: null }, '2026-05-09'), 'День Победы');
  t.equal(holidayOn({ country: 'BR', region: null }, '2026-09-07'), 'Dia da Independência');
});

t.test('a holiday of several days is kept on each of them', async (t) => {
  for (const day of ['02', '03', '04', '05', '06', '07', '08'])
    t.ok(holidayOn({ country: 'RU', region: null }, `2027-01-${day}`), day);
  t.equal(holidayOn({ country: 'RU', region: null }, '2027-01-12'), null);
});

t.test('a region has holidays of its own, and what is no region is known to be none', async (t) => {
  t.ok(holidayOn({ country: 'BR', region: 'SP' }, '2026-07-09'), 'of São Paulo');
  t.equal(holidayOn({ country: 'BR', region: 'RJ' }, '2026-07-09'), null);
  t.equal(hasHolidayRegion('BR', 'SP'), true);
  t.equal(hasHolidayRegion('BR', 'toString'), false);
  t.equal(hasHolidayRegion('XX', 'SP'), false);
  t.equal(hasHolidays('KZ'), true);
  t.equal(hasHolidays('XX'), false);
});

t.test('nothing of care or marketing opens on a holiday', async (t) => {
  for (const [country, days, zone] of known) {
    const place = { country, region: null };
    for (const day of days) {
      const terms: SendTerms = {
        purpose: 'marketing',
        zone,
        sendWindow: { start: '09:00', end: '21:00' },
        policy: countryPolicy(country),
        holidays: place,
      };
      const noon = Temporal.PlainDateTime.from(`2026-${day}T12:00`)
        .toZonedDateTime(zone)
        .toInstant();
      const [next, last] = [nextOpening(noon, terms), lastAllowedBefore(noon, terms)];
      const dayOf = (at: Temporal.Instant | null) =>
        at?.toZonedDateTimeISO(zone).toPlainDate().toString() ?? '';
      t.ok(dayOf(next) > `2026-${day}`, `${country} ${day} opens later`);
      t.ok(dayOf(last) < `2026-${day}`, `${country} ${day} was open before`);
      t.equal(holidayOn(place, dayOf(next)), null);
      t.equal(holidayOn(place, dayOf(last)), null);
      const greeting = { ...terms, greetedDay: `2026-${day}` };
      const { holidays: _holidays, ...others } = terms;
      t.same(
        String(nextOpening(noon, greeting)),
        String(nextOpening(noon, others)),
        'but a greeting',
      );
    }
  }
});

t.test('the data of others is credited', async (t) => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    dependencies: Record<string, string>;
  };
  t.ok(dependencies['date-holidays']);
  t.match(readFileSync('NOTICE', 'utf8'), /date-holidays.*CC BY-SA 3\.0/s);
});
