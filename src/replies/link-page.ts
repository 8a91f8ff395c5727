import { createHash } from 'node:crypto';

/**
 * The page behind a link: one small file without scripts, pictures or requests to anybody, that a screen
 * reader reads in order and a thumb can use. Pure.
 */

export interface LinkPage {
  language: string;
  clinicName: string | null;
  title: string;
  /** What stands under the title, one paragraph each. */
  lines: readonly Line[];
  form?: PageForm;
}

/** A line in another language than the page says so; a telephone can be tapped. */
export type Line = string | { text: string; language: string } | { label: string; phone: string };

export interface PageForm {
  /** One of five, by radio buttons. */
  rating?: { legend: string; worst: string; best: string };
  note?: { label: string };
  /** The first is the one that most people want. */
  buttons: readonly { answer: string; label: string }[];
}

/** Longer than anybody types with a thumb. */
export const noteCharsMax = 1_000;

const style = `
:root{color-scheme:light dark}
body{margin:0;font:1.125rem/1.5 system-ui,sans-serif;color:#1b1f24;background:#fff}
main{max-width:32rem;margin:0 auto;padding:2rem 1rem 3rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0 1rem}
.clinic{margin:0;color:#4a5563}
fieldset{border:0;margin:1.5rem 0;padding:0}
legend,label.note{display:block;font-weight:600;margin-bottom:.5rem}
.scale{display:flex;gap:.5rem}
.scale label{flex:1;min-height:3rem;display:flex;flex-direction:column;align-items:center;justify-content:center;border:1px solid #8a94a0;border-radius:.5rem;padding:.25rem}
.ends{display:flex;justify-content:space-between;color:#4a5563;font-size:1rem;margin:.25rem 0 0}
textarea{box-sizing:border-box;width:100%;min-height:6rem;font:inherit;padding:.5rem;border:1px solid #8a94a0;border-radius:.5rem;color:inherit;background:transparent}
button{display:block;width:100%;min-height:3rem;margin:1rem 0 0;padding:.75rem 1rem;font:inherit;font-weight:600;border:2px solid #0b57a4;border-radius:.5rem;color:#fff;background:#0b57a4;cursor:pointer}
button+button{color:#0b57a4;background:transparent}
a{color:#0b57a4}
:focus-visible{outline:3px solid #c26a00;outline-offset:2px}
@media (prefers-color-scheme:dark){body{color:#e8eaed;background:#15191e}.clinic,.ends{color:#b3bcc7}button+button,a{color:#8ec1ff}button+button{border-color:#8ec1ff}}
`;

const styleHash = createHash('sha256').update(style).digest('base64');

/** What every answer of `/l/{token}` carries beside its body. */
export const linkPageHeaders: Readonly<Record<string, string>> = Object.freeze({
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  // The address is the key: it is told to nobody.
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-robots-tag': 'noindex, nofollow',
});

export function renderLinkPage({ language, clinicName, title, lines, form }: LinkPage): string {
  const documentTitle = clinicName === null ? title : `${title} · ${clinicName}`;
  return `<!doctype html>
<html lang="${escaped(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(documentTitle)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
${clinicName === null ? '' : `<p class="clinic">${escaped(clinicName)}</p>`}
<h1>${escaped(title)}</h1>
${lines.map(renderLine).join('\n')}
${form ? renderForm(form) : ''}
</main>
</body>
</html>
`;
}

function renderLine(line: Line): string {
  if (typeof line === 'string') return `<p>${escaped(line)}</p>`;
  if ('phone' in line) return renderPhone(line);
  return `<p lang="${escaped(line.language)}">${escaped(line.text)}</p>`;
}

function renderPhone({ label, phone }: { label: string; phone: string }): string {
  const dialled = phone.replace(/[^+\d]/g, '');
  return `<p>${escaped(label)} <a href="tel:${dialled}">${escaped(phone)}</a></p>`;
}

/** Without an address of its own, a form goes to where the page came from. */
function renderForm({ rating, note, buttons }: PageForm): string {
  return [
    '<form method="post">',
    ...(rating ? [renderRating(rating)] : []),
    ...(note ? [renderNote(note)] : []),
    ...buttons.map(
      ({ answer, label }) =>
        `<button name="answer" value="${escaped(answer)}">${escaped(label)}</button>`,
    ),
    '</form>',
  ].join('\n');
}

function renderRating({ legend, worst, best }: NonNullable<PageForm['rating']>): string {
  const scale = [1, 2, 3, 4, 5].map(
    (score) => `<label><input type="radio" name="score" value="${score}" required>${score}</label>`,
  );
  return `<fieldset>
<legend>${escaped(legend)}</legend>
<div class="scale">${scale.join('')}</div>
<p class="ends"><span>1: ${escaped(worst)}</span><span>5: ${escaped(best)}</span></p>
</fieldset>`;
}

function renderNote({ label }: NonNullable<PageForm['note']>): string {
  return `<label class="note" for="note">${escaped(label)}</label>
<textarea id="note" name="note" maxlength="${noteCharsMax}"></textarea>`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
