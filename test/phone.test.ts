import assert from 'node:assert/strict';
import fc from 'fast-check';
import parsePhoneNumber from 'libphonenumber-js/max';
import t from 'tap';
import { type ParsedPhone, parsePhone } from '../src/phone.ts';

const written: readonly [string, string | undefined, string][] = [
  ['8 (916) 123-45-67', 'RU', '+79161234567'],
  ['+7 916 123-45-67', undefined, '+79161234567'],
  ['79161234567', 'RU', '+79161234567'],
  ['9161234567', 'RU', '+79161234567'],
  ['8 916 123 45 67', 'KZ', '+79161234567'],
  ['87771234567', 'KZ', '+77771234567'],
  ['7 777 123 45 67', 'RU', '+77771234567'],
  ['8 800 555-35-35', 'RU', '+78005553535'],
  ['8 10 44 20 7946 0958', 'RU', '+442079460958'],
  ['0044 20 7946 0958', 'RU', '+442079460958'],
  ['11 15-1234-5678', 'AR', '+5491112345678'],
  ['+54 11 15-1234-5678', undefined, '+5491112345678'],
  ['0341 15 512-3456', 'AR', '+5493415123456'],
  ['+52 1 55 1234 5678', 'MX', '+525512345678'],
  ['+5215512345678', 'RU', '+525512345678'],
  ['044 55 1234 5678', 'MX', '+525512345678'],
  ['045 55 1234 5678', 'MX', '+525512345678'],
  ['01 55 1234 5678', 'MX', '+525512345678'],
  ['55 1234 5678', 'MX', '+525512345678'],
  ['(11) 8765-4321', 'BR', '+5511987654321'],
  ['+55 11 8765-4321', undefined, '+5511987654321'],
  ['55 8123-4567', 'BR', '+5555981234567'],
  ['55 55 8123 4567', 'BR', '+5555981234567'],
  ['0 15 11 8765 4321', 'BR', '+5511987654321'],
  ['(11) 98765-4321', 'BR', '+5511987654321'],
  ['(11) 3456-7890', 'BR', '+551134567890'],
  ['９１６１２３４５６７', 'RU', '+79161234567'],
  ['+٧٩١٦١٢٣٤٥٦٧', undefined, '+79161234567'],
  ['+7 495 123-45-67 доб. 12', 'RU', '+74951234567'],
  ['+7 495 123-45-67 ext 5', 'RU', '+74951234567'],
  ['+7 (495) 123-45-67 (доб. 12)', 'RU', '+74951234567'],
  ['tel:+7-916-123-45-67;ext=3', 'RU', '+79161234567'],
  ['8 916 123-45-67 мама', 'RU', '+79161234567'],
  ['+7\u00a0916\u2011123\u201145\u201167\u200b', 'RU', '+79161234567'],
];

t.test('a number is understood as people write it', async (t) => {
  for (const [raw, country, e164] of written) {
    t.match(parsePhone(raw, country), { ok: true, e164 }, `${raw} in ${country ?? 'no country'}`);
  }
});

t.test('what is no number of a person is refused with the reason', async (t) => {
  const reasons: [string, string | undefined, string][] = [
    ['', 'RU', 'empty'],
    ['  ', 'RU', 'empty'],
    ['нет телефона', 'RU', 'not-a-number'],
    ['89161234567, 89161234568', 'RU', 'not-a-number'],
    ['+', 'RU', 'not-a-number'],
    ['9161234567', undefined, 'no-country'],
    ['9161234567', 'XX', 'no-country'],
    ['1', 'RU', 'too-short'],
    ['112', 'RU', 'invalid'],
    ['123-45-67', 'RU', 'invalid'],
    ['+7 916 123-45-6', 'RU', 'invalid'],
    ['12345678901234567890123', 'RU', 'too-long'],
    ['9'.repeat(5000), 'RU', 'too-long'],
  ];
  for (const [raw, country, reason] of reasons) {
    t.same(parsePhone(raw, country), { ok: false, reason }, JSON.stringify(raw.slice(0, 30)));
  }
});

t.test('a line that takes no SMS is told from one that may', async (t) => {
  const lines: [string, string, boolean][] = [
    ['+79161234567', 'mobile', true],
    ['+525512345678', 'fixed-line-or-mobile', true],
    ['+74951234567', 'fixed-line', false],
    ['+551134567890', 'fixed-line', false],
    ['+78005553535', 'other', false],
    ['+80012345678', 'other', false],
  ];
  for (const [raw, lineType, canSms] of lines) {
    t.match(parsePhone(raw), { ok: true, lineType, canSms }, raw);
  }
  t.match(parsePhone('+80012345678'), { country: null });
});

/** The library alone, asked about a number with its calling code. */
function byLibrary(e164: string): ParsedPhone {
  const number = parsePhoneNumber(e164);
  const type = number?.getType();
  if (!number || !type) return { ok: false, reason: 'invalid' };
  const lineType = type === 'MOBILE' ? 'mobile' : 'other';
  const country = number.country ?? null;
  return { ok: true, e164: number.number, country, lineType, canSms: type === 'MOBILE' };
}

const digits = (count: number) =>
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: count, maxLength: count })
    .map((list) => list.join(''));

t.test('the short cut for common mobiles answers as the numbering plan does', async () => {
  const number = fc.oneof(
    digits(10).map((rest) => `+7${rest}`),
    digits(9).map((rest) => `+79${rest}`),
    digits(9).map((rest) => `+77${rest}`),
    digits(9).map((rest) => `+573${rest}`),
    fc.tuple(digits(2), digits(8)).map(([area, rest]) => `+55${area}9${rest}`),
  );
  fc.assert(
    fc.property(number, (e164) => {
      const ours = parsePhone(e164);
      const theirs = byLibrary(e164);
      // The short cut says "mobile" only; for all else we ask the plan ourselves.
      if (ours.ok && ours.lineType === 'mobile') assert.deepEqual(ours, theirs);
      else if (theirs.ok) assert.notEqual(theirs.lineType, 'mobile');
    }),
    { numRuns: 3000 },
  );
});

t.test('what it once made of a number it makes of it again', async () => {
  const raw = fc.oneof(
    fc.tuple(fc.constantFrom('8', '+7', '7', ''), digits(10)).map((parts) => parts.join('')),
    fc.tuple(fc.constantFrom('', '0', '+55', '55'), digits(10)).map((parts) => parts.join('')),
    fc.tuple(fc.constantFrom('', '1', '044', '+521'), digits(10)).map((parts) => parts.join('')),
    fc.string({ maxLength: 70 }),
  );
  fc.assert(
    fc.property(raw, fc.constantFrom('RU', 'KZ', 'BR', 'MX', 'AR', 'CO', 'US'), (text, country) => {
      const first = parsePhone(text, country);
      if (!first.ok) return;
      assert.deepEqual(parsePhone(first.e164), first);
    }),
    { numRuns: 3000 },
  );
});
