import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { isGsm7, smsLength } from '../../src/channels/sms-length.ts';
import { foldToGsm7, transformText } from '../../src/channels/sms-transform.ts';
import { smscAdapter } from '../../src/channels/smsc/smsc.ts';

const brazilian =
  'Olá, Conceição! Já faz seis meses da sua última consulta com a Dra. Mônica. Que tal marcar a próxima avaliação? ' +
  'Responda 1 para sim. Clínica São João, até já!';

t.test('a Brazilian reminder loses an accent and a part, and stays readable', async (t) => {
  const folded = foldToGsm7(brazilian);
  t.match(folded, /^Ola, Conceiçao|^Ola, Conceicao/);
  t.same([smsLength(brazilian).segments, smsLength(folded).segments], [3, 1]);
  t.ok(isGsm7(folded));
});

t.test('letters that the short alphabet has keep their accents', async (t) => {
  t.equal(foldToGsm7('é è ù ì ò à ñ ü ö ä Ç Ñ ¿ ¡ €'), 'é è ù ì ò à ñ ü ö ä Ç Ñ ¿ ¡ €');
  t.equal(foldToGsm7('e\u0301 “so” – …\u00a0№ 5'), 'é "so" - ... No. 5');
  t.equal(foldToGsm7('Привет 😀'), 'Привет 😀', 'what has no plain form is left alone');
});

t.test('Russian may be written in Latin letters', async (t) => {
  t.equal(
    transformText('Анна, ждём вас в пятницу! Щукин, подъезд № 2', 'translit-ru'),
    'Anna, zhdem vas v pyatnitsu! Shchukin, podezd No. 2',
  );
});

t.test('rewriting twice changes nothing more, and never makes a text dearer', async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 300 });
  fc.assert(
    fc.property(text, (it) => {
      const once = foldToGsm7(it);
      assert.equal(foldToGsm7(once), once);
      if (isGsm7(it)) assert.equal(once, it);
    }),
  );
});

t.test('a clinic is told when accents alone cost it parts, and may have them folded', async (t) => {
  const message = {
    id: 'm1',
    clientRef: 'r1',
    purpose: 'care',
    to: '+5511987654321',
    content: { text: brazilian },
    expiresAt: Temporal.Instant.from('2026-03-01T10:00:00Z'),
  } as const;
  const prepare = (options: object, text = brazilian) =>
    smscAdapter.prepare(
      { ...message, content: { text } },
      { credentials: { apiKey: 'k' }, options, callbackUrl: '' },
    );
  t.match(prepare({ textTransform: 'none' }), {
    segments: 3,
    encoding: 'ucs2',
    warnings: ['accents-cost-parts'],
  });
  t.match(prepare({ textTransform: 'gsm7-fold' }), { segments: 1, encoding: 'gsm7', warnings: [] });
  t.same(prepare({}, 'Анна, ждём вас').warnings, []);
});
