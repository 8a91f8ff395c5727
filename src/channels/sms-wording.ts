import { type Static, Type } from 'typebox';
import { smsLength } from './sms-length.ts';
import {
  foldToGsm7,
  isFoldable,
  type TextTransform,
  textTransforms,
  transformText,
} from './sms-transform.ts';

/** What a text becomes as an SMS, whoever carries it: rewritten to cost less, and never longer than allowed. */

/** The options that every SMS provider of ours takes. */
export const smsOptions = {
  textTransform: Type.Optional(
    Type.Enum(textTransforms, {
      description:
        'How a text is rewritten to cost fewer parts. Unless told, accents that cost parts are folded for numbers of Latin America, and nothing elsewhere.',
    }),
  ),
  maxParts: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 10,
      description:
        'A longer text is cut to so many parts; links and words such as STOP are kept. Not at all unless told.',
    }),
  ),
};

const shape = Type.Object(smsOptions);
export type SmsOptions = Static<typeof shape>;

export interface SmsWording {
  text: string;
  encoding: 'gsm7' | 'ucs2';
  segments: number;
  warnings: string[];
}

/** A text is dear from here on. */
const partsAdvised = 3;

/** @param to as +E.164, or as much of it as is known. */
export function wordSms(
  content: string,
  to: string,
  { textTransform, maxParts }: SmsOptions,
): SmsWording {
  const lines = content.replace(/\r\n?/g, '\n');
  const whole = transformText(lines, textTransform ?? usualTransform(lines, to));
  const text = maxParts === undefined ? whole : shortenSms(whole, maxParts);
  const { encoding, segments } = smsLength(text);
  const isDear =
    encoding === 'ucs2' && isFoldable(text) && smsLength(foldToGsm7(text)).segments < segments;
  const warnings = [
    ...(text === whole ? [] : ['shortened']),
    ...(isDear ? ['accents-cost-parts'] : []),
    ...(segments > partsAdvised ? ['many-parts'] : []),
  ];
  return { text, encoding, segments, warnings };
}

/**
 * Calling codes where folding pays: accents there more than double the price of a text, and several
 * carriers strip them, or deliver no Unicode, anyway.
 */
const foldingCodes = /^\+(52|53|54|55|56|57|58|51|50[2-7]|59[1358]|1809|1829|1849)/;

/** Accents stay where they cost nothing. */
function usualTransform(text: string, to: string): TextTransform {
  if (!foldingCodes.test(to) || !isFoldable(text)) return 'none';
  return smsLength(foldToGsm7(text)).segments < smsLength(text).segments ? 'gsm7-fold' : 'none';
}

/**
 * Leaves out words from the end until the text fits, with an ellipsis where they stood. Links, and words in
 * capitals such as STOP, stay: a cut link leads nowhere, and a text must tell how to stop it. A text of
 * nothing else may still be longer.
 */
export function shortenSms(text: string, maxParts: number): string {
  if (smsLength(text).segments <= maxParts) return text;
  const tokens = text.split(/(?<=\s)(?=\S)/);
  const words = tokens.filter((token) => !isKept(token)).length;
  let [fits, exceeds] = [0, words];
  while (exceeds - fits > 1) {
    const middle = Math.floor((fits + exceeds) / 2);
    if (smsLength(keepWords(tokens, middle)).segments <= maxParts) fits = middle;
    else exceeds = middle;
  }
  return keepWords(tokens, fits);
}

function isKept(token: string): boolean {
  return /^https?:\/\//i.test(token) || /^\p{P}*\p{Lu}{4,}\p{P}*\s*$/u.test(token);
}

function keepWords(tokens: readonly string[], most: number): string {
  let words = 0;
  let isCut = false;
  let text = '';
  let last = '';
  for (const token of tokens) {
    const isWord = !isKept(token);
    if (isWord) words += 1;
    if (isWord && words > most) {
      // Dots that touch a link would become part of it.
      if (!isCut) text = `${text.trimEnd()}${isKept(last) ? ' ' : ''}... `;
      isCut = true;
      continue;
    }
    text += token;
    last = token;
  }
  return text.trim();
}
