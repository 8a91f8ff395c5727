/** Windows-1251, SMSC.ru's charset wherever none is named. Node decodes it but does not encode it. */

export type Charset = 'utf-8' | 'windows-1251';

const decoder = new TextDecoder('windows-1251');
const byteByCharacter = new Map(
  Array.from({ length: 256 }, (_, byte) => [decoder.decode(Uint8Array.of(byte)), byte]),
);

/** What the charset lacks becomes a question mark. */
export function encodeCp1251(text: string): Buffer {
  return Buffer.from(Array.from(text, (character) => byteByCharacter.get(character) ?? 0x3f));
}

export function decodeBytes(bytes: Uint8Array, charset: Charset): string {
  return charset === 'utf-8' ? Buffer.from(bytes).toString('utf8') : decoder.decode(bytes);
}

/** The fields of a form or query in that charset; of two equal names the last counts. */
export function parseForm(form: string, charset: Charset): Record<string, string> {
  const fields: [string, string][] = [];
  for (const pair of form.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = equals === -1 ? pair : pair.slice(0, equals);
    const value = equals === -1 ? '' : pair.slice(equals + 1);
    fields.push([decodePercent(name, charset), decodePercent(value, charset)]);
  }
  return Object.fromEntries(fields);
}

function decodePercent(text: string, charset: Charset): string {
  const bytes = Buffer.from(text.replaceAll('+', ' '), 'latin1');
  let length = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const hex = bytes[at] === 0x25 ? bytes.toString('latin1', at + 1, at + 3) : '';
    if (/^[0-9a-f]{2}$/i.test(hex)) {
      bytes[length] = Number.parseInt(hex, 16);
      at += 2;
    } else {
      bytes[length] = bytes[at] ?? 0;
    }
    length += 1;
  }
  return decodeBytes(bytes.subarray(0, length), charset);
}
