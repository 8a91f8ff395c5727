import { pageStyle } from './page-style.ts';

/**
 * The page behind a link: one small file without scripts, pictures or requests to anybody, that a screen
 * reader reads in order and a thumb can use. Pure.
 */

export interface LinkPage {
  language: string;
  clinicName: string | null;
  /** The clinic's, as `#rrggbb`. */
  color?: string | undefined;
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

/** What every answer of `/l/{token}` carries beside its body. */
export function linkPageHeaders(color: string | undefined): Readonly<Record<string, string>> {
  const { hash } = pageStyle(color);
  return {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
    // The address is the key: it is told to nobody.
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-robots-tag': 'noindex, nofollow',
  };
}

export function renderLinkPage({
  language,
  clinicName,
  color,
  title,
  lines,
  form,
}: LinkPage): string {
  const documentTitle = clinicName === null ? title : `${title} · ${clinicName}`;
  return `<!doctype html>
<html lang="${escaped(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(documentTitle)}</title>
<link rel="icon" href="data:,">
<style>${pageStyle(color).css}</style>
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
