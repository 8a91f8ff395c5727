import type { Fault } from '../../errors.ts';
import { escapePointer } from '../../schema-faults.ts';

/**
 * Conditions that cannot hold of one person together: an audience that nobody can be in would be a silent nothing.
 * Only what is certain is found: ranges that do not meet, one person's two sexes, a condition beside its opposite.
 */

interface Condition {
  name: string;
  value: unknown;
  pointer: string;
  isNegated: boolean;
}

export function findContradictions(audience: unknown, pointer: string): Fault[] {
  const together = conditionsOf(audience, pointer);
  const faults = together.flatMap((one, index) =>
    together
      .slice(0, index)
      .filter((other) => excludes(other, one))
      .slice(0, 1)
      .map((other) => ({
        pointer: one.pointer,
        code: 'contradiction',
        detail: `Nobody fits both this and ${other.pointer}.`,
      })),
  );
  return [...faults, ...insideAny(audience, pointer)];
}

/** All that must hold at once: the fields of an object, and the members of its `all`. */
function conditionsOf(audience: unknown, pointer: string): Condition[] {
  if (typeof audience !== 'object' || audience === null) return [];
  return Object.entries(audience).flatMap(([name, value]) => {
    const at = `${pointer}/${escapePointer(name)}`;
    if (name === 'any') return [];
    if (name === 'all')
      return listOf(value).flatMap((each, index) => conditionsOf(each, `${at}/${index}`));
    if (name !== 'not') return [{ name, value, pointer: at, isNegated: false }];
    const [only, ...more] = Object.entries(value ?? {});
    // Not both of two things says nothing of either.
    if (only === undefined || more.length > 0 || ['all', 'any', 'not'].includes(only[0])) return [];
    return [
      {
        name: only[0],
        value: only[1],
        pointer: `${at}/${escapePointer(only[0])}`,
        isNegated: true,
      },
    ];
  });
}

function insideAny(audience: unknown, pointer: string): Fault[] {
  if (typeof audience !== 'object' || audience === null) return [];
  return Object.entries(audience).flatMap(([name, value]) => {
    const at = `${pointer}/${name}`;
    if (name === 'all')
      return listOf(value).flatMap((each, index) => insideAny(each, `${at}/${index}`));
    if (name !== 'any') return [];
    return listOf(value).flatMap((each, index) => findContradictions(each, `${at}/${index}`));
  });
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Of which a person has one at a time. */
const single: readonly string[] = ['gender', 'city', 'payer', 'hasFutureAppointment'];
const ranges: readonly string[] = ['age', 'lastScore', 'balance'];

function excludes(one: Condition, other: Condition): boolean {
  if (one.name !== other.name) return false;
  if (one.isNegated !== other.isNegated)
    return JSON.stringify(one.value) === JSON.stringify(other.value);
  if (one.isNegated) return false;
  if (ranges.includes(one.name)) return !meet(one.value, other.value);
  return single.includes(one.name) && !share(one.value, other.value);
}

interface Range {
  gte?: unknown;
  lte?: unknown;
}

function meet(one: unknown, other: unknown): boolean {
  const [first, second] = [one as Range, other as Range];
  const from = Math.max(bound(first.gte, -Infinity), bound(second.gte, -Infinity));
  const until = Math.min(bound(first.lte, Infinity), bound(second.lte, Infinity));
  return from <= until;
}

function bound(value: unknown, open: number): number {
  return value === undefined ? open : Number(value);
}

function share(one: unknown, other: unknown): boolean {
  const [first, second] = [[one].flat(), [other].flat()];
  return first.some((value) => second.includes(value));
}
