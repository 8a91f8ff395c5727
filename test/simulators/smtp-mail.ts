/** Reads a mail as its recipient's program would, apart from the library that wrote it. */

export interface ReadMail {
  clientRef: string;
  headers: Record<string, string>;
  text: string;
  html: string | null;
}

/** @param raw as bytes in latin1, with dots still doubled at the start of lines. */
export function readMail(raw: string): ReadMail {
  const part = readPart(raw.replaceAll(/^\.\./gm, '.'));
  const parts = partsOf(part);
  const ofType = (type: string) =>
    parts.find(({ headers }) => (headers['content-type'] ?? 'text/plain').startsWith(type));
  const text = ofType('text/plain');
  const html = ofType('text/html');
  const reference = /^<([^@]+)@/.exec(part.headers['message-id'] ?? '');
  return {
    clientRef: reference?.[1] ?? '',
    headers: Object.fromEntries(
      Object.entries(part.headers).map(([name, value]) => [name, decodeWords(value)]),
    ),
    text: text ? decodeBody(text) : '',
    html: html ? decodeBody(html) : null,
  };
}

interface Part {
  headers: Record<string, string>;
  body: string;
}

function readPart(raw: string): Part {
  const at = raw.indexOf('\r\n\r\n');
  const head = raw.slice(0, at).replaceAll(/\r\n[ \t]+/g, ' ');
  const headers = Object.fromEntries(
    head.split('\r\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { headers, body: raw.slice(at + 4) };
}

function partsOf(part: Part): Part[] {
  const boundary = /boundary="?([^";]+)"?/.exec(part.headers['content-type'] ?? '')?.[1];
  if (boundary === undefined) return [part];
  return part.body
    .split(`--${boundary}`)
    .slice(1, -1)
    .flatMap((each) => partsOf(readPart(each.replace(/^\r\n/, '').replace(/\r\n$/, ''))));
}

function decodeBody({ headers, body }: Part): string {
  const encoding = headers['content-transfer-encoding'] ?? '7bit';
  const bytes =
    encoding === 'base64'
      ? Buffer.from(body, 'base64')
      : Buffer.from(encoding === 'quoted-printable' ? unquoted(body) : body, 'latin1');
  return bytes.toString('utf8').replaceAll('\r\n', '\n');
}

function unquoted(text: string): string {
  return text.replaceAll(/=\r\n/g, '').replaceAll(/=([0-9A-F]{2})/gi, (_, hex) => byte(hex));
}

function byte(hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}

/** RFC 2047: words in a header that are not ASCII. */
function decodeWords(value: string): string {
  return value
    .replaceAll(/\?=\s+=\?/g, '?==?')
    .replaceAll(/=\?utf-8\?([BQ])\?([^?]*)\?=/gi, (_, kind: string, text: string) =>
      kind.toUpperCase() === 'B'
        ? Buffer.from(text, 'base64').toString('latin1')
        : unquoted(text.replaceAll('_', ' ')),
    )
    .replaceAll(/[\u0080-\u00ff]+/g, (bytes) => Buffer.from(bytes, 'latin1').toString('utf8'));
}
