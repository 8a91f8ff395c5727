/** Plain text as HTML, with no tag in it but our own. */

/** A plain page of a rendered text: paragraphs, line breaks and links. */
export function htmlFromText(text: string): string {
  return text
    .split(/\n{2,}/)
    .map((paragraph) => `<p>${withLinks(paragraph).replaceAll('\n', '<br>\n')}</p>`)
    .join('\n');
}

function withLinks(text: string): string {
  return text
    .split(/(https?:\/\/[^\s<>"']+)/)
    .map((part, index) => (index % 2 === 0 ? escapeHtml(part) : link(part)))
    .join('');
}

function link(part: string): string {
  let end = part.length;
  // The full stop after an address ends the sentence.
  while ('.,;:!?)'.includes(part.charAt(end - 1))) end -= 1;
  const address = escapeHtml(part.slice(0, end));
  return `<a href="${address}">${address}</a>${escapeHtml(part.slice(end))}`;
}

const htmlEscapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => htmlEscapes[character] ?? character);
}
