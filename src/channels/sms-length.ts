/**
 * How many parts a text costs (3GPP TS 23.038 and 23.040). A part of a longer text loses room to the
 * header that joins the parts; a two-unit character is never split over two of them.
 */

export interface SmsLength {
  encoding: 'gsm7' | 'ucs2';
  segments: number;
  /** Septets or UTF-16 units. */
  units: number;
}

const gsm7 = { single: 160, part: 153 } as const;
const ucs2 = { single: 70, part: 67 } as const;

const basicCharacters =
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?' +
  '¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà';
const extensionCharacters = '^{}\\[~]|€\f';

/** Septets by UTF-16 unit; 0: not in the alphabet. All of it lies in the basic plane. */
const septets = new Uint8Array(0x10000);
for (const character of basicCharacters) septets[character.charCodeAt(0)] = 1;
for (const character of extensionCharacters) septets[character.charCodeAt(0)] = 2;

export function smsLength(text: string): SmsLength {
  let units = 0;
  for (let at = 0; at < text.length; at += 1) {
    const cost = septets[text.charCodeAt(at)] ?? 0;
    if (cost === 0) return ucs2Length(text);
    units += cost;
  }
  if (units <= gsm7.single) return { encoding: 'gsm7', segments: 1, units };
  return { encoding: 'gsm7', segments: gsm7Parts(text), units };
}

/** Whether all of it can be written in the short alphabet. */
export function isGsm7(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    if (septets[text.charCodeAt(at)] === 0) return false;
  }
  return true;
}

function gsm7Parts(text: string): number {
  let parts = 1;
  let filled = 0;
  for (let at = 0; at < text.length; at += 1) {
    const cost = septets[text.charCodeAt(at)] ?? 0;
    if (filled + cost > gsm7.part) {
      parts += 1;
      filled = 0;
    }
    filled += cost;
  }
  return parts;
}

function ucs2Length(text: string): SmsLength {
  const units = text.length;
  if (units <= ucs2.single) return { encoding: 'ucs2', segments: 1, units };
  let segments = 0;
  for (let at = 0; at < units; at += ucs2.part) {
    segments += 1;
    const next = at + ucs2.part;
    if (next < units && splitsPair(text, next)) at -= 1;
  }
  return { encoding: 'ucs2', segments, units };
}

function splitsPair(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1);
  const after = text.charCodeAt(at);
  return before >= 0xd800 && before < 0xdc00 && after >= 0xdc00 && after < 0xe000;
}
