import fc from 'fast-check';
import t from 'tap';
import { renderLinkPage } from '../../src/replies/link-page.ts';
import { allPageTexts, pageTexts } from '../../src/replies/page-texts.ts';

const form = {
  rating: { legend: 'Rating', worst: 'bad', best: 'good' },
  note: { label: 'Note' },
  buttons: [{ answer: 'rate', label: 'Send' }],
};

t.test('whatever a clinic is called, its name stays text', async () => {
  const nasty = fc.string({ unit: fc.constantFrom('<', '>', '"', "'", '&', 'a', ' ', '/', '=') });
  fc.assert(
    fc.property(nasty, (name) => {
      const plain = renderLinkPage({
        language: 'en',
        clinicName: 'x',
        title: 'x',
        lines: ['x'],
        form,
      });
      const page = renderLinkPage({
        language: 'en',
        clinicName: name,
        title: name,
        lines: [name],
        form,
      });
      return tagsOf(page) === tagsOf(plain);
    }),
  );
});

function tagsOf(html: string): string {
  return (
    html
      .replace(/<style>[\s\S]*<\/style>/, '')
      .match(/<[^>]*>/g)
      ?.join('') ?? ''
  );
}

t.test('a page is small, runs nothing and asks nobody', async (t) => {
  const page = renderLinkPage({
    language: 'ru',
    clinicName: 'Клиника',
    title: '?',
    lines: [],
    form,
  });
  t.ok(page.length < 6_000);
  t.notMatch(page, /<script|\son\w+=|src=|https?:|@import|url\(/);
  t.match(page, /<meta name="viewport" content="width=device-width, initial-scale=1">/);
  t.match(page, /<label class="note" for="note">/);
  t.match(page, /<fieldset>\s*<legend>/);
});

t.test('every language says everything', async (t) => {
  const names = Object.keys(pageTexts('en'));
  for (const texts of allPageTexts) {
    t.strictSame(Object.keys(texts), names, texts.language);
    t.notOk(
      Object.values(texts).some((text) => text.trim() === ''),
      texts.language,
    );
  }
});

t.test('a patient reads the nearest language that pages speak', async (t) => {
  t.equal(pageTexts('pt-BR', 'ru').language, 'pt');
  t.equal(pageTexts('kk', null, 'ru-KZ').language, 'ru');
  t.equal(pageTexts('de').language, 'en');
});
