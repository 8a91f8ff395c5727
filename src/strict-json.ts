import { type Fault, invalid } from './errors.ts';
import { escapePointer } from './schema-faults.ts';

/** JSON from outside: no field twice, nothing too deep or too large, and only text that can be stored. */

export const jsonDepthMax = 20;
/** Values, and so fields, in one body or one item of a batch. */
export const jsonNodesMax = 5_000;

/** @throws AppError a 400, when it is no JSON or gives a field twice. */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says of it repeats the input.
    throw invalid('', 'json', 'The body is not valid JSON.');
  }
  if (countFields(text) !== countKeys(value)) {
    throw invalid('', 'duplicate-field', 'An object gives the same field twice.');
  }
  return value;
}

const stringThenColon = /"(?:[^"\\]|\\.)*"(\s*:)?/gs;

/** How many fields are written. The text is valid JSON, so that every quote begins or ends a string. */
function countFields(text: string): number {
  let count = 0;
  for (const match of text.matchAll(stringThenColon)) if (match[1] !== undefined) count += 1;
  return count;
}

/** How many fields the parser kept: of two alike it keeps the last. */
function countKeys(value: unknown): number {
  let count = 0;
  const pending: unknown[] = [value];
  for (let next = pending.pop(); pending.length > 0 || next !== undefined; next = pending.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    const children = Object.values(next);
    if (!Array.isArray(next)) count += children.length;
    for (const child of children) if (typeof child === 'object') pending.push(child);
  }
  return count;
}

const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype']);

/** The first thing in a parsed value that no schema should have to think of; null when it is plain. */
export function findFault(value: unknown, pointer = ''): Fault | null {
  const pending: { value: unknown; pointer: string; depth: number }[] = [
    { value, pointer, depth: 0 },
  ];
  let nodes = 0;
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    nodes += 1;
    if (nodes > jsonNodesMax) return tooLarge(pointer);
    if (typeof next.value === 'string') {
      const fault = faultOfText(next.value, next.pointer);
      if (fault) return fault;
    }
    if (typeof next.value !== 'object' || next.value === null) continue;
    if (next.depth >= jsonDepthMax) return tooDeep(next.pointer);
    for (const [key, child] of Object.entries(next.value)) {
      const childPointer = `${next.pointer}/${escapePointer(key)}`;
      const fault = faultOfKey(key, childPointer);
      if (fault) return fault;
      pending.push({ value: child, pointer: childPointer, depth: next.depth + 1 });
    }
  }
  return null;
}

function faultOfText(text: string, pointer: string): Fault | null {
  if (!text.includes('\0') && text.isWellFormed()) return null;
  return {
    pointer,
    code: 'unstorable-text',
    detail: 'A NUL character or half a surrogate pair cannot be kept.',
  };
}

function faultOfKey(key: string, pointer: string): Fault | null {
  if (forbiddenKeys.has(key)) {
    return { pointer, code: 'forbidden-field', detail: 'A field may not have this name.' };
  }
  return faultOfText(key, pointer.toWellFormed().replaceAll('\0', '\ufffd'));
}

function tooDeep(pointer: string): Fault {
  return {
    pointer,
    code: 'too-deep',
    detail: `Values may be nested ${jsonDepthMax} deep at most.`,
  };
}

function tooLarge(pointer: string): Fault {
  return {
    pointer,
    code: 'too-many-values',
    detail: `One item may hold ${jsonNodesMax} values at most.`,
  };
}
