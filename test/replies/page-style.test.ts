import fc from 'fast-check';
import t from 'tap';
import { contrast, pageStyle } from '../../src/replies/page-style.ts';

t.test('contrast is that of WCAG', async (t) => {
  t.equal(contrast('#000000', '#ffffff'), 21);
  t.equal(contrast('#777777', '#ffffff').toFixed(2), '4.48');
});

t.test('whatever the clinic’s colour, what is written in it can be read', async () => {
  const color = fc
    .integer({ min: 0, max: 0xffffff })
    .map((it) => `#${it.toString(16).padStart(6, '0')}`);
  const found = (css: string, name: string) =>
    new RegExp(`--${name}:(#[0-9a-f]{6})`).exec(css)?.[1] ?? '';
  fc.assert(
    fc.property(color, (it) => {
      const { css } = pageStyle(it);
      const [fill, onFill, link] = [found(css, 'fill'), found(css, 'on-fill'), found(css, 'link')];
      return fill === it && contrast(fill, onFill) >= 4.5 && contrast(link, '#ffffff') >= 4.5;
    }),
  );
});

t.test('a colour that is none changes nothing', async (t) => {
  t.equal(pageStyle('red;}body{display:none').css, pageStyle(undefined).css);
});
