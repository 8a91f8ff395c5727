import type { MessageTemplate } from '../channels/channel.ts';
import type { Fault } from '../errors.ts';
import { escapeHtml, htmlFromText } from './html-text.ts';
import {
  isTemplateName,
  oneLine,
  primaryPart,
  type TemplateFacts,
  templateValue,
  withoutControls,
} from './template-values.ts';

/**
 * A text with `{{name}}` or `{{name|fallback}}` in it and no logic at all: one pass, so a value is never
 * read as a template. What is wrong with a template is said when it is saved.
 */

export interface TemplateBody {
  subject?: string;
  text: string;
  html?: string;
}

/** By channel, then by language tag. */
export type TemplateBodies = Readonly<Record<string, Readonly<Record<string, TemplateBody>>>>;

interface Slot {
  readonly name: string;
  /** Null when the value is needed. */
  readonly fallback: string | null;
}

export type CompiledText = readonly (string | Slot)[];

export interface CompiledBody {
  readonly subject: CompiledText | null;
  readonly text: CompiledText;
  readonly html: CompiledText | null;
}

export interface TextProblem {
  code: 'unknown-name' | 'unclosed-name' | 'too-many-names';
  detail: string;
}

export const templateCharactersMax = 10_000;
/** Bounds what a text can grow to. */
const slotsMax = 100;

/** Reads a text once for many renderings, or tells everything that is wrong with it. */
export function parseText(text: string): CompiledText | { problems: TextProblem[] } {
  const parts: (string | Slot)[] = [];
  const problems: TextProblem[] = [];
  let at = 0;
  let slots = 0;
  for (let open = text.indexOf('{{'); open !== -1; open = text.indexOf('{{', at)) {
    const close = text.indexOf('}}', open);
    if (close === -1) {
      problems.push({ code: 'unclosed-name', detail: 'A {{ is not closed by }}.' });
      break;
    }
    if (open > at) parts.push(text.slice(at, open));
    const slot = parseSlot(text.slice(open + 2, close));
    if ('code' in slot) problems.push(slot);
    else parts.push(slot);
    slots += 1;
    at = close + 2;
  }
  if (at < text.length) parts.push(text.slice(at));
  if (slots > slotsMax) {
    problems.push({ code: 'too-many-names', detail: `A text takes at most ${slotsMax} names.` });
  }
  return problems.length > 0 ? { problems } : parts;
}

function parseSlot(inner: string): Slot | TextProblem {
  const bar = inner.indexOf('|');
  const name = (bar === -1 ? inner : inner.slice(0, bar)).trim();
  const fallback = bar === -1 ? null : inner.slice(bar + 1).trim();
  if (isTemplateName(name) && !fallback?.includes('{')) return { name, fallback };
  const shown = JSON.stringify(oneLine(inner).slice(0, 80));
  return { code: 'unknown-name', detail: `${shown} is no name that a template knows.` };
}

/** Faults of the bodies of a template that is being saved, each with its pointer from `/bodies` on. */
export function checkBodies(bodies: TemplateBodies): Fault[] {
  const faults: Fault[] = [];
  for (const [channel, languages] of Object.entries(bodies)) {
    for (const [language, body] of Object.entries(languages)) {
      const pointer = `/bodies/${pointerPart(channel)}/${pointerPart(language)}`;
      if (!isLanguageTag(language)) {
        faults.push({ pointer, code: 'language', detail: 'The key is no language tag.' });
      }
      faults.push(...checkBody(body, pointer));
    }
  }
  return faults;
}

function checkBody(body: TemplateBody, pointer: string): Fault[] {
  const faults: Fault[] = [];
  for (const field of ['subject', 'text', 'html'] as const) {
    const text = body[field];
    if (text !== undefined) faults.push(...checkText(text, `${pointer}/${field}`));
  }
  if (body.subject !== undefined && !isHeaderSafe(body.subject)) {
    const detail = 'A subject is one line.';
    faults.push({ pointer: `${pointer}/subject`, code: 'line-break', detail });
  }
  if (body.text.trim() === '') {
    faults.push({ pointer: `${pointer}/text`, code: 'empty', detail: 'The text is empty.' });
  }
  return faults;
}

function checkText(text: string, pointer: string): Fault[] {
  if (text.length > templateCharactersMax) {
    const detail = `A template takes at most ${templateCharactersMax} characters.`;
    return [{ pointer, code: 'over-limit', detail }];
  }
  const parsed = parseText(text);
  return 'problems' in parsed ? parsed.problems.map((problem) => ({ pointer, ...problem })) : [];
}

/** True for what may stand in a header: no line break can begin another one. */
export function isHeaderSafe(text: string): boolean {
  return !/[\r\n\u2028\u2029\0]/.test(text);
}

function isLanguageTag(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    // Intl knows no gentler way to ask.
    return false;
  }
}

function pointerPart(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** For bodies that were checked when they were saved; throws on others. */
export function compileBody(body: TemplateBody): CompiledBody {
  return {
    subject: body.subject === undefined ? null : compileText(body.subject),
    text: compileText(body.text),
    html: body.html === undefined ? null : compileText(body.html),
  };
}

function compileText(text: string): CompiledText {
  const parsed = parseText(text);
  if ('problems' in parsed) throw new Error(`A stored template has ${parsed.problems[0]?.code}`);
  return parsed;
}

/** Every name that a body uses, once. */
export function namesIn(body: CompiledBody): string[] {
  return [...new Set(slotsIn(body).map(({ name }) => name))];
}

/** The names without a fallback: a message cannot be rendered where one has no value. */
export function neededNamesIn(body: CompiledBody): string[] {
  const needed = slotsIn(body).filter(({ fallback }) => fallback === null);
  return [...new Set(needed.map(({ name }) => name))];
}

function slotsIn({ subject, text, html }: CompiledBody): Slot[] {
  return [...(subject ?? []), ...text, ...(html ?? [])].filter((part) => typeof part !== 'string');
}

export type Rendered =
  | {
      ok: true;
      subject: string | null;
      text: string;
      html: string | null;
      values: MessageTemplate['values'];
    }
  | { ok: false; reason: 'template-data'; missing: string[] };

export interface RenderTerms {
  channel: string;
  /** The tag of the body that was picked; dates and salutations follow it. */
  language: string;
}

/** An e-mail always has HTML; where the template brings none, it is made from the text. */
export function renderBody(body: CompiledBody, facts: TemplateFacts, terms: RenderTerms): Rendered {
  const values = new Map<string, string | null>();
  for (const name of namesIn(body)) values.set(name, templateValue(name, facts, terms.language));
  const missing = neededNamesIn(body).filter((name) => values.get(name) === null);
  if (missing.length > 0) return { ok: false, reason: 'template-data', missing };

  const text = tidy(
    fill(body.text, values, (value) => value),
    terms.channel,
  );
  const subject = body.subject && oneLine(fill(body.subject, values, (value) => value));
  const html = body.html && fill(body.html, values, escapeHtml);
  return {
    ok: true,
    subject,
    text,
    html: html ?? (terms.channel === 'email' ? htmlFromText(text) : null),
    values: valuesIn(body.text, values),
  };
}

/** What stands in the text for each of its names, in the order of their first use. */
function valuesIn(
  parts: CompiledText,
  values: ReadonlyMap<string, string | null>,
): MessageTemplate['values'] {
  const put = new Map<string, string>();
  for (const part of parts) {
    if (typeof part === 'string' || put.has(part.name)) continue;
    put.set(part.name, values.get(part.name) ?? part.fallback ?? '');
  }
  return [...put].map(([name, value]) => ({ name, value }));
}

function fill(
  parts: CompiledText,
  values: ReadonlyMap<string, string | null>,
  write: (value: string) => string,
): string {
  return parts
    .map((part) =>
      typeof part === 'string' ? part : write(values.get(part.name) ?? part.fallback ?? ''),
    )
    .join('');
}

/** A fallback of nothing may leave a space at a line's end; an SMS pays for it. */
function tidy(text: string, channel: string): string {
  const clean = channel === 'sms' ? withoutControls(text) : text;
  return clean
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .trim();
}

/**
 * The body's tag that suits a patient: their exact tag, its primary part, then the clinic's in the same
 * way; null when the template has none of them.
 */
export function pickLanguage(
  bodies: Readonly<Record<string, unknown>>,
  patientLanguage: string | null | undefined,
  clinicLanguage: string,
): string | null {
  const tags = new Map(Object.keys(bodies).map((tag) => [normalTag(tag), tag]));
  for (const language of [patientLanguage, clinicLanguage]) {
    if (!language) continue;
    const found = tags.get(normalTag(language)) ?? tags.get(primaryPart(language));
    if (found !== undefined) return found;
  }
  return null;
}

function normalTag(tag: string): string {
  return tag.replaceAll('_', '-').toLowerCase();
}
