import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SegmentedMessage } from 'sms-segments-calculator';
import t from 'tap';
import { smsLength } from '../../src/channels/sms-length.ts';

t.test('a text of one part becomes two at the first character too many', async (t) => {
  const at = (text: string) => {
    const { encoding, segments } = smsLength(text);
    return [encoding, segments];
  };
  t.same(at(''), ['gsm7', 1]);
  t.same(at('a'.repeat(160)), ['gsm7', 1]);
  t.same(at('a'.repeat(161)), ['gsm7', 2]);
  t.same(at('a'.repeat(306)), ['gsm7', 2]);
  t.same(at('a'.repeat(307)), ['gsm7', 3]);
  t.same(at('я'.repeat(70)), ['ucs2', 1]);
  t.same(at('я'.repeat(71)), ['ucs2', 2]);
  t.same(at('я'.repeat(134)), ['ucs2', 2]);
  t.same(at('я'.repeat(135)), ['ucs2', 3]);
});

t.test('a character of two units stays whole where two parts meet', async (t) => {
  t.same(smsLength('€'.repeat(80)).segments, 1);
  t.same(smsLength(`${'a'.repeat(152)}€${'a'.repeat(152)}`).segments, 3);
  t.same(smsLength(`${'я'.repeat(66)}😀${'я'.repeat(66)}`).segments, 3);
});

t.test('letters that cost a Brazilian or Mexican clinic the long alphabet are known', async (t) => {
  for (const letter of [
    'ç',
    'á',
    'í',
    'ó',
    'ú',
    'ã',
    'õ',
    'â',
    'ê',
    '\t',
    '`',
    '\u00a0',
    '’',
    '“',
    '”',
    '–',
    '—',
    '…',
  ]) {
    t.equal(smsLength(letter).encoding, 'ucs2', JSON.stringify(letter));
  }
  for (const letter of [
    'é',
    'è',
    'ù',
    'ì',
    'ò',
    'à',
    'ñ',
    'ü',
    'ö',
    'ä',
    'Ç',
    'Ñ',
    '¿',
    '¡',
    '€',
    '\f',
  ]) {
    t.equal(smsLength(letter).encoding, 'gsm7', JSON.stringify(letter));
  }
});

/** It keeps clusters such as a family emoji or a letter with its accent whole; phones do not. */
const isClusterFree = (text: string) =>
  [...new Intl.Segmenter().segment(text)].every(({ segment }) => [...segment].length === 1);

t.test('parts are counted as an independent calculator counts them', async () => {
  const alphabet = fc.constantFrom(...('aZ09 .,!?éñÇ€^{}[]~|\\\nяЖçãõ’…😀🦷'.match(/./gsu) ?? []));
  const latin = fc.constantFrom(...'aZ09 .,!?éñÇ€^{}[]~|\\');
  const text = fc.oneof(
    fc.string({ unit: latin, maxLength: 500 }),
    fc.string({ unit: alphabet, maxLength: 500 }),
    fc.string({ unit: 'grapheme', maxLength: 200 }),
    fc.string({ unit: 'binary', maxLength: 200 }),
  );
  fc.assert(
    fc.property(text.filter(isClusterFree), (body) => {
      const theirs = new SegmentedMessage(body);
      const ours = smsLength(body);
      assert.equal(ours.encoding, theirs.encodingName === 'GSM-7' ? 'gsm7' : 'ucs2');
      assert.equal(ours.segments, Math.max(theirs.segmentsCount, 1));
    }),
    { numRuns: 1000 },
  );
});
