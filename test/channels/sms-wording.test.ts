import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { smsLength } from '../../src/channels/sms-length.ts';
import { shortenSms, wordSms } from '../../src/channels/sms-wording.ts';

const mexican =
  'Hola, María José: mañana a las 10:00 tiene su cita con la Dra. Núñez en la Clínica San Ángel. ' +
  'Por favor, confírmela aquí: https://citas.example/l/abc';

t.test('a Mexican patient gets the text without the accents that cost parts', async (t) => {
  const there = wordSms(mexican, '+5215512345678', {});
  t.match(there, { encoding: 'gsm7', segments: 1, warnings: [] });
  t.match(there.text, /Maria José|Maria Jose/);
  const elsewhere = wordSms(mexican, '+34612345678', {});
  t.match(elsewhere, { encoding: 'ucs2', segments: 3, warnings: ['accents-cost-parts'] });
  t.equal(elsewhere.text, mexican);
});

t.test('accents that cost nothing stay, and so they do where the clinic says so', async (t) => {
  t.equal(wordSms('Olá, Mônica!', '+5511912345678', {}).text, 'Olá, Mônica!');
  t.equal(wordSms(mexican, '+5215512345678', { textTransform: 'none' }).text, mexican);
});

t.test('a text that is too long keeps its link and the word that stops it', async (t) => {
  const link = 'https://citas.example/l/abcdefghijklmnopqrstuvwxyz';
  const long = `${'Le esperamos en la consulta de control. '.repeat(8)}${link} Para no recibir: BAJA.`;
  const { text, segments, warnings } = wordSms(long, '+5215512345678', { maxParts: 1 });
  t.same([segments, warnings], [1, ['shortened']]);
  t.ok(text.includes(link));
  t.match(text, /BAJA\.$/);
  t.match(text, /^Le esperamos .*\.\.\. https/);
});

t.test('the author hears of a text of more than three parts', async (t) => {
  t.same(wordSms('слово '.repeat(40), '+79161234567', {}).warnings, ['many-parts']);
});

t.test('shortening fits, loses no link, and leaves alone what fits', async () => {
  const word = fc.constantFrom(
    'здравствуйте',
    'a',
    'visita',
    'https://x.example/l/abc',
    'СТОП',
    '😀',
  );
  fc.assert(
    fc.property(
      fc.array(word, { maxLength: 120 }),
      fc.integer({ min: 1, max: 4 }),
      (words, most) => {
        const text = words.join(' ');
        const short = shortenSms(text, most);
        if (smsLength(text).segments <= most) assert.equal(short, text);
        const links = (it: string) => it.split(/\s+/).filter((each) => /^https|^СТОП/.test(each));
        assert.deepEqual(links(short), links(text));
        const kept = links(text).join(' ');
        if (smsLength(`... ${kept}`).segments <= most) assert.ok(smsLength(short).segments <= most);
      },
    ),
  );
});
