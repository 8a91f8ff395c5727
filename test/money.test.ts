import t from 'tap';
import { currencyPlaces, formatMicros, formatMinor, minorToMicros } from '../src/money.ts';

t.test('a cost shows at least the places of money and no zeros beyond', async (t) => {
  t.equal(formatMicros(12_500_000), '12.50');
  t.equal(formatMicros(7_900), '0.0079');
  t.equal(formatMicros(0), '0.00');
  t.equal(formatMicros(-1_230_000), '-1.23');
  t.equal(formatMicros(350_000_000, 'CLP'), '350');
  t.equal(formatMicros(350_500_000, 'CLP'), '350.5');
});

t.test('an amount shows the places of its currency', async (t) => {
  t.equal(formatMinor(250_000, 'RUB'), '2500.00');
  t.equal(formatMinor(25_000, 'CLP'), '25000');
  t.equal(formatMinor(1_234, 'KWD'), '1.234');
  t.equal(currencyPlaces('BRL'), 2);
  t.equal(currencyPlaces('COP'), 2, 'cash has none, ISO 4217 does');
  t.equal(currencyPlaces('KWD'), 3);
});

t.test('minor units and millionths of a unit are the same money', async (t) => {
  t.equal(formatMicros(minorToMicros(199, 'RUB'), 'RUB'), formatMinor(199, 'RUB'));
  t.equal(minorToMicros(25_000, 'CLP'), 25_000_000_000);
});
