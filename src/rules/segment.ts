import type { Fault } from '../errors.ts';
import { checkAudience, type SegmentLeaf, segmentLeaves } from './audience/audience.ts';

/** A saved audience under a name, that rules and other segments speak of. Pure. */
export interface Segment {
  name: string;
  description: string | null;
  audience: unknown;
  createdAt: Temporal.Instant;
  updatedAt: Temporal.Instant;
}

export const segmentsPerClinicMax = 200;
export const segmentNameForm = '^[a-z0-9][a-z0-9._-]{0,62}$';

/** By name, what each segment asks. */
export type Segments = ReadonlyMap<string, unknown>;

/** What is wrong with a segment beyond its own parts: it leads to itself, to nothing, or too far. */
export function checkSegment(name: string, audience: unknown, segments: Segments): Fault[] {
  const faults = checkAudience(audience);
  if (faults.length > 0) return faults;
  const changed = new Map([...segments, [name, audience]]);
  const leading = segmentLeaves(audience).filter((leaf) => reaches(leaf.name, name, changed));
  if (leading.length > 0) {
    return leading.map(({ pointer }) => ({
      pointer,
      code: 'cycle',
      detail: `The segment ${name} would be part of itself.`,
    }));
  }
  const dependents = [...changed].filter(([other]) => reaches(other, name, changed));
  const isTooLarge = dependents.some(([, of]) => checkAudience(expand(of, changed)).length > 0);
  return [...checkNamed(audience, changed), ...(isTooLarge ? [tooLarge] : [])];
}

/** Whether the segments that an audience names exist, and what they make of it stays within bounds. */
export function checkNamed(audience: unknown, segments: Segments): Fault[] {
  const unknown = segmentLeaves(audience).filter(({ name }) => !segments.has(name));
  if (unknown.length > 0) {
    return unknown.map(({ pointer }: SegmentLeaf) => ({
      pointer,
      code: 'unknown-segment',
      detail: 'There is no such segment.',
    }));
  }
  if (segmentLeaves(audience).length === 0) return [];
  return checkAudience(expand(audience, segments)).length > 0 ? [tooLarge] : [];
}

const tooLarge: Fault = {
  pointer: '/audience',
  code: 'too-large',
  detail: 'With its segments it is larger or deeper than an audience may be.',
};

/** Whether the first is the second, or leads to it. */
export function reaches(from: string, to: string, segments: Segments): boolean {
  const seen = new Set<string>();
  const waiting = [from];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (name === to) return true;
    if (seen.has(name)) continue;
    seen.add(name);
    waiting.push(...segmentLeaves(segments.get(name)).map((leaf) => leaf.name));
  }
  return false;
}

/** The audience with its segments written out; there are no cycles among them. */
function expand(node: unknown, segments: Segments): unknown {
  if (Array.isArray(node)) return node.map((item) => expand(item, segments));
  if (typeof node !== 'object' || node === null) return node;
  const { segment, all, any, not, ...rest } = node as Record<string, unknown>;
  const list = [
    ...(Array.isArray(all) ? (expand(all, segments) as unknown[]) : []),
    ...(typeof segment === 'string' ? [expand(segments.get(segment), segments)] : []),
  ];
  return {
    ...rest,
    ...(list.length > 0 && { all: list }),
    ...(any !== undefined && { any: expand(any, segments) }),
    ...(not !== undefined && { not: expand(not, segments) }),
  };
}
