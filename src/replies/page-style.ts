import { createHash } from 'node:crypto';

/** How a link page looks: one small style sheet, in the clinic's colour. Pure. */

const usualColor = '#0b57a4';

export interface PageStyle {
  css: string;
  /** For the content security policy. */
  hash: string;
}

const stylesByColor = new Map<string, PageStyle>();
const stylesMax = 1_000;

/** @param color as `#rrggbb`; absent or anything else, the usual one. */
export function pageStyle(color: string | undefined): PageStyle {
  const own = color !== undefined && colorForm.test(color) ? color.toLowerCase() : usualColor;
  const known = stylesByColor.get(own);
  if (known !== undefined) return known;
  const css = sheet(own);
  const style = { css, hash: createHash('sha256').update(css).digest('base64') };
  if (stylesByColor.size < stylesMax) stylesByColor.set(own, style);
  return style;
}

const colorForm = /^#[0-9a-f]{6}$/i;
const [black, ink, paper, darkPaper, darkInk] = [
  '#000000',
  '#1b1f24',
  '#ffffff',
  '#15191e',
  '#e8eaed',
];
/** WCAG 2, level AA, for text of usual size. */
const readableFrom = 4.5;

/** A pale colour still fills its button; what is written in it keeps to what can be read. */
function sheet(color: string): string {
  const onColor = contrast(color, paper) >= contrast(color, black) ? paper : black;
  const text = contrast(color, paper) >= readableFrom ? color : ink;
  const darkText = contrast(color, darkPaper) >= readableFrom ? color : darkInk;
  return `
:root{color-scheme:light dark;--fill:${color};--on-fill:${onColor};--link:${text}}
body{margin:0;font:1.125rem/1.5 system-ui,sans-serif;color:${ink};background:${paper}}
main{max-width:32rem;margin:0 auto;padding:2rem 1rem 3rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0 1rem}
.clinic{margin:0;color:#4a5563;border-top:.25rem solid var(--fill);padding-top:.75rem}
fieldset{border:0;margin:1.5rem 0;padding:0}
legend,label.note{display:block;font-weight:600;margin-bottom:.5rem}
.scale{display:flex;gap:.5rem}
.scale label{flex:1;min-height:3rem;display:flex;flex-direction:column;align-items:center;justify-content:center;border:1px solid #8a94a0;border-radius:.5rem;padding:.25rem}
.ends{display:flex;justify-content:space-between;color:#4a5563;font-size:1rem;margin:.25rem 0 0}
textarea{box-sizing:border-box;width:100%;min-height:6rem;font:inherit;padding:.5rem;border:1px solid #8a94a0;border-radius:.5rem;color:inherit;background:transparent}
button{display:block;width:100%;min-height:3rem;margin:1rem 0 0;padding:.75rem 1rem;font:inherit;font-weight:600;border:2px solid var(--fill);border-radius:.5rem;color:var(--on-fill);background:var(--fill);cursor:pointer}
button+button{color:var(--link);border-color:var(--link);background:transparent}
a{color:var(--link)}
:focus-visible{outline:3px solid #c26a00;outline-offset:2px}
@media (prefers-color-scheme:dark){:root{--link:${darkText}}body{color:${darkInk};background:${darkPaper}}.clinic,.ends{color:#b3bcc7}}
`;
}

/** Of two colours, from 1 to 21 (WCAG 2.2). */
export function contrast(one: string, other: string): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
