import { isGsm7 } from './sms-length.ts';

/**
 * Ways to write a text so that it costs fewer parts. One letter outside the short alphabet more than
 * halves the room of a part, and several carriers in Latin America strip accents anyway.
 */

export const textTransforms = ['none', 'gsm7-fold', 'translit-ru'] as const;

export type TextTransform = (typeof textTransforms)[number];

export function transformText(text: string, transform: TextTransform): string {
  switch (transform) {
    case 'none':
      return text;
    case 'gsm7-fold':
      return foldToGsm7(text);
    case 'translit-ru':
      return foldToGsm7(text.replace(/[\u0400-\u04ff]/g, transliterate));
  }
}

/** Letters lose accents that the short alphabet lacks, typography becomes plain; the rest stays as it is. */
export function foldToGsm7(text: string): string {
  let folded = '';
  for (const character of text.normalize('NFC')) folded += foldCharacter(character);
  return folded;
}

/** Whether folding alone would bring all of it into the short alphabet; cheap for a text that it would not. */
export function isFoldable(text: string): boolean {
  for (const character of text.normalize('NFC')) {
    if (!isGsm7(foldCharacter(character))) return false;
  }
  return true;
}

function foldCharacter(character: string): string {
  if (isGsm7(character)) return character;
  const plain = plainTypography[character];
  if (plain !== undefined) return plain;
  const base = character.normalize('NFD').replace(/\p{M}+/gu, '');
  return base !== '' && isGsm7(base) ? base : character;
}

const plainTypography: Readonly<Record<string, string>> = {
  '\u00a0': ' ',
  '\u202f': ' ',
  '\u2009': ' ',
  '\t': ' ',
  '\u200b': '',
  '\u00ad': '',
  '`': "'",
  '´': "'",
  '‘': "'",
  '’': "'",
  '‚': "'",
  '“': '"',
  '”': '"',
  '„': '"',
  '«': '"',
  '»': '"',
  '‐': '-',
  '‑': '-',
  '–': '-',
  '—': '-',
  '−': '-',
  '…': '...',
  '•': '*',
  '№': 'No.',
  º: 'o',
  ª: 'a',
  '°': 'o',
};

const latinByCyrillic: Readonly<Record<string, string>> = {
  а: 'a',
  б: 'b',
  в: 'v',
  г: 'g',
  д: 'd',
  е: 'e',
  ё: 'e',
  ж: 'zh',
  з: 'z',
  и: 'i',
  й: 'y',
  к: 'k',
  л: 'l',
  м: 'm',
  н: 'n',
  о: 'o',
  п: 'p',
  р: 'r',
  с: 's',
  т: 't',
  у: 'u',
  ф: 'f',
  х: 'kh',
  ц: 'ts',
  ч: 'ch',
  ш: 'sh',
  щ: 'shch',
  ъ: '',
  ы: 'y',
  ь: '',
  э: 'e',
  ю: 'yu',
  я: 'ya',
};

function transliterate(letter: string): string {
  const lower = letter.toLowerCase();
  const latin = latinByCyrillic[lower];
  if (latin === undefined) return letter;
  return letter === lower ? latin : latin.slice(0, 1).toUpperCase() + latin.slice(1);
}
