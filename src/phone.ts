import {
  type CountryCode,
  getCountryCallingCode,
  isSupportedCountry,
  ParseError,
  parsePhoneNumberWithError,
} from 'libphonenumber-js/max';

/**
 * Reads a phone number as people write it. Numbers that a country has since renumbered, or that its
 * people write with a prefix nobody may dial from abroad, are repaired; what stays invalid is refused.
 */

export type LineType = 'mobile' | 'fixed-line' | 'fixed-line-or-mobile' | 'other';

export const phoneProblems = [
  'empty',
  'not-a-number',
  'too-short',
  'too-long',
  'no-country',
  'invalid',
] as const;

export type PhoneProblem = (typeof phoneProblems)[number];

export interface Phone {
  ok: true;
  e164: string;
  /** ISO 3166; null for numbers of no country, such as +800. */
  country: string | null;
  lineType: LineType;
  /** False for lines that take no SMS, as far as the numbering plan tells. */
  canSms: boolean;
}

export type ParsedPhone = Phone | { ok: false; reason: PhoneProblem };

/** Longer than any number with its extension and remarks. */
const charactersMax = 60;

/** `country` is the one whose national numbers are meant when no calling code is given. */
export function parsePhone(raw: string, country?: string): ParsedPhone {
  if (raw.length > charactersMax) return { ok: false, reason: 'too-long' };
  const text = plainNumber(raw);
  if (text === '') return { ok: false, reason: 'empty' };
  if (!plainForm.test(text)) return { ok: false, reason: 'not-a-number' };
  const home = country !== undefined && isSupportedCountry(country) ? country : undefined;
  const dialled = repair(text, home);
  return commonMobile(dialled) ?? parseByPlan(dialled, home);
}

/** How numbers of a country begin, such as +55; null for a country without a numbering plan. */
export function callingCode(country: string): string | null {
  return isSupportedCountry(country) ? `+${getCountryCallingCode(country)}` : null;
}

const plainForm = /^\+?[0-9]+$/;

/** Full-width and Arabic digits become ours; ornaments, an extension and a remark behind it go. */
function plainNumber(raw: string): string {
  if (plainForm.test(raw)) return raw;
  return raw
    .normalize('NFKC')
    .replace(foreignDigit, asciiDigit)
    .trim()
    .replace(/^tel:/i, '')
    .replace(extension, '')
    .replace(remark, '')
    .replace(ornaments, '');
}

const foreignDigit = /(?![0-9])\p{Nd}/gu;
const extension =
  /[\s,;(]*(?:;ext=|ext\b|extn?\.|x|#|доб|вн|ramal|int(?:erno)?\b)[\s.:]*\d{1,10}\s*\)?$/iu;
const remark = /[\s,;(]+\p{L}[^\d]*$/u;
const ornaments =
  /[\s().\-/\u00ad\u2010-\u2015\u2212\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+/g;

/** Unicode lays out each script's digits in order, so the zero is where the run of digits begins. */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0) ?? 0;
  let value = 0;
  while (value < 9 && /\p{Nd}/u.test(String.fromCodePoint(code - value - 1))) value += 1;
  return String(value);
}

interface Repair {
  /** The country whose national numbers it repairs; with a calling code it works anywhere. */
  country: CountryCode;
  form: RegExp;
  to: string;
}

const repairs: readonly Repair[] = [
  // Mexico gave up the 1 of mobiles in 2019 and the prefixes 01, 044 and 045 with it.
  { country: 'MX', form: /^(?:\+52|52)(?:1|01|044|045)(\d{10})$/, to: '+52$1' },
  { country: 'MX', form: /^(?:1|01|044|045)(\d{10})$/, to: '+52$1' },
  // Brazil put a 9 before the eight digits of mobiles, which began with 6 to 9.
  { country: 'BR', form: /^(?:\+55|55)([1-9]\d)([6-9]\d{7})$/, to: '+55$19$2' },
  { country: 'BR', form: /^(?:0(?:\d\d)?)?([1-9]\d)([6-9]\d{7})$/, to: '+55$19$2' },
  // Russia and Kazakhstan share +7 and dial 8 inside; people write either, or neither.
  { country: 'RU', form: /^[78]([3-9]\d{9})$/, to: '+7$1' },
  { country: 'KZ', form: /^[78]([3-9]\d{9})$/, to: '+7$1' },
  { country: 'RU', form: /^(9\d{9})$/, to: '+7$1' },
];

function repair(text: string, home: CountryCode | undefined): string {
  // Written for abroad with a prefix that works in most countries, not in all.
  const dialled = text.replace(/^00(?=[1-9]\d{6})/, '+');
  for (const { country, form, to } of repairs) {
    if ((country === home || dialled.startsWith('+')) && form.test(dialled)) {
      return dialled.replace(form, to);
    }
  }
  return dialled;
}

/** The bulk of what our countries send, spared the plan's dozens of patterns. */
const commonMobiles: readonly { country: CountryCode; form: RegExp }[] = [
  { country: 'RU', form: /^\+79(?!300)\d{9}$/ },
  { country: 'CO', form: /^\+573(?:0[0-5]|1\d|2[0-3]|5[01])\d{7}$/ },
  { country: 'BR', form: /^\+55(?:1[1-9]|[2-9]1)9[6-9]\d{7}$/ },
  { country: 'KZ', form: /^\+77(?:0[0-25-8]|47|7[15-8])\d{7}$/ },
];

function commonMobile(dialled: string): Phone | null {
  for (const { country, form } of commonMobiles) {
    if (form.test(dialled)) {
      return { ok: true, e164: dialled, country, lineType: 'mobile', canSms: true };
    }
  }
  return null;
}

function parseByPlan(dialled: string, home: CountryCode | undefined): ParsedPhone {
  try {
    const number = parsePhoneNumberWithError(dialled, {
      ...(home === undefined ? {} : { defaultCountry: home }),
      extract: false,
    });
    const type = number.getType();
    if (type === undefined) return { ok: false, reason: 'invalid' };
    const lineType = lineTypes[type] ?? 'other';
    const canSms = lineType === 'mobile' || lineType === 'fixed-line-or-mobile';
    const country = number.country ?? null;
    return { ok: true, e164: number.number, country, lineType, canSms };
  } catch (error) {
    if (error instanceof ParseError) {
      return { ok: false, reason: problems[error.message] ?? 'invalid' };
    }
    throw error;
  }
}

const lineTypes: Readonly<Partial<Record<string, LineType>>> = {
  MOBILE: 'mobile',
  FIXED_LINE: 'fixed-line',
  FIXED_LINE_OR_MOBILE: 'fixed-line-or-mobile',
};

const problems: Readonly<Partial<Record<string, PhoneProblem>>> = {
  NOT_A_NUMBER: 'not-a-number',
  INVALID_COUNTRY: 'no-country',
  TOO_SHORT: 'too-short',
  TOO_LONG: 'too-long',
};
