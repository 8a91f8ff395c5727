import { type RawBuilder, sql } from 'kysely';
import { type Static, type TSchema, Type } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import type { Fault } from '../../errors.ts';
import { escapePointer, schemaFaults } from '../../schema-faults.ts';
import { findContradictions } from './contradictions.ts';
import type { AsOf, Predicate } from './predicate.ts';
import { predicates } from './predicates.ts';

/**
 * Who may be written to: `all`, `any` and `not` over the predicates of the table, checked with pointers
 * and compiled to one SQL expression over the patient `p` and the candidate `c`.
 */

export const audienceDepthMax = 8;
/** Bounds the statement that an audience becomes. */
const nodesMax = 200;

const nested = Type.Object({}, { additionalProperties: true, description: 'An audience again.' });

export const audienceSchema = Type.Object(
  {
    all: Type.Optional(
      Type.Array(nested, { description: 'Every one holds.', examples: [[{ age: { gte: 35 } }]] }),
    ),
    any: Type.Optional(
      Type.Array(nested, { description: 'At least one holds.', examples: [[{ tags: ['vip'] }]] }),
    ),
    not: Type.Optional(
      Type.Object(
        {},
        {
          additionalProperties: true,
          description: 'It does not hold.',
          examples: [{ tags: ['debtor'] }],
        },
      ),
    ),
    ...optional(predicates),
  },
  {
    // Unknown names are refused by `checkAudience`, which can also say what is named but not built.
    additionalProperties: true,
    description:
      'Who may be written to. Several fields of one object must all hold. Depth up to 8.',
    examples: [{ all: [{ age: { gte: 35 } }, { not: { tags: ['debtor'] } }] }],
  },
);
export type Audience = Static<typeof audienceSchema>;

function optional(rows: Readonly<Record<string, Predicate>>): Record<string, TSchema> {
  return Object.fromEntries(
    Object.entries(rows).map(([name, { schema }]) => [name, Type.Optional(schema)]),
  );
}

/** Everything that is wrong with an audience, each with its pointer. */
export function checkAudience(audience: unknown, pointer = '/audience'): Fault[] {
  const budget = { nodes: 0 };
  const faults = checkNode(audience, pointer, 1, budget);
  if (budget.nodes <= nodesMax)
    return faults.length > 0 ? faults : findContradictions(audience, pointer);
  return [{ pointer, code: 'too-large', detail: `An audience has at most ${nodesMax} parts.` }];
}

function checkNode(
  node: unknown,
  pointer: string,
  depth: number,
  budget: { nodes: number },
): Fault[] {
  budget.nodes += 1;
  if (budget.nodes > nodesMax) return [];
  if (depth > audienceDepthMax) {
    return [fault(pointer, 'too-deep', `An audience is at most ${audienceDepthMax} deep.`)];
  }
  if (!isObject(node)) return [fault(pointer, 'type', 'An audience is an object.')];
  const entries = Object.entries(node);
  if (entries.length === 0) {
    return [fault(pointer, 'empty', 'It names no condition; leave it out to mean everybody.')];
  }
  return entries.flatMap(([name, value]) => {
    const at = `${pointer}/${escapePointer(name)}`;
    if (name === 'not') return checkNode(value, at, depth + 1, budget);
    if (name === 'all' || name === 'any') return checkList(value, at, depth, budget);
    return checkPredicate(name, value, at);
  });
}

function checkList(value: unknown, at: string, depth: number, budget: { nodes: number }): Fault[] {
  if (!Array.isArray(value)) return [fault(at, 'type', 'It is a list of audiences.')];
  if (value.length === 0) return [fault(at, 'empty', 'The list is empty.')];
  return value.flatMap((item, index) => checkNode(item, `${at}/${index}`, depth + 1, budget));
}

function checkPredicate(name: string, value: unknown, at: string): Fault[] {
  const row = find(name);
  if (row === undefined) {
    return [fault(at, 'unknown-predicate', 'There is no such predicate.')];
  }
  const validator = validatorOf(name, row);
  if (!validator.Check(value)) {
    return schemaFaults(validator.Errors(value), at);
  }
  const problem = row.check?.(value as never) ?? null;
  return problem === null ? [] : [fault(at, 'contradiction', problem)];
}

const validators = new Map<string, Validator>();

function validatorOf(name: string, row: Predicate): Validator {
  const known = validators.get(name);
  if (known) return known;
  const made: Validator = Compile(row.schema);
  validators.set(name, made);
  return made;
}

function find(name: string): Predicate | undefined {
  return Object.hasOwn(predicates, name) ? predicates[name] : undefined;
}

/** The SQL that is true for who fits; never null, so that `not` means what it says. */
export function compileAudience(audience: unknown, asOf: AsOf): RawBuilder<boolean> {
  if (audience === null || audience === undefined) return sql<boolean>`true`;
  return compileNode(audience as Record<string, unknown>, withSegments(asOf));
}

function withSegments(asOf: AsOf): AsOf {
  const { segments } = asOf;
  if (segments === undefined || segments.size === 0) return asOf;
  return {
    ...asOf,
    ofSegment: (name) =>
      segments.has(name) ? compileAudience(segments.get(name), asOf) : sql<boolean>`false`,
  };
}

export interface SegmentLeaf {
  name: string;
  pointer: string;
}

/** The segments that an audience names itself, each with its pointer. */
export function segmentLeaves(audience: unknown, pointer = '/audience'): SegmentLeaf[] {
  if (!isObject(audience)) return [];
  return Object.entries(audience).flatMap(([key, value]) => {
    const at = `${pointer}/${escapePointer(key)}`;
    if (key === 'not') return segmentLeaves(value, at);
    if ((key === 'all' || key === 'any') && Array.isArray(value))
      return value.flatMap((item, index) => segmentLeaves(item, `${at}/${index}`));
    return key === 'segment' && typeof value === 'string' ? [{ name: value, pointer: at }] : [];
  });
}

function compileNode(node: Record<string, unknown>, asOf: AsOf): RawBuilder<boolean> {
  const parts = Object.entries(node).map(([name, value]) => {
    if (name === 'not')
      return sql<boolean>`not ${compileNode(value as Record<string, unknown>, asOf)}`;
    if (name === 'all' || name === 'any') {
      const items = (value as Record<string, unknown>[]).map((item) => compileNode(item, asOf));
      return join(items, name === 'all' ? sql` and ` : sql` or `);
    }
    return sql<boolean>`coalesce(${compileLeaf(name, value, asOf)}, false)`;
  });
  return join(parts, sql` and `);
}

function compileLeaf(name: string, value: unknown, asOf: AsOf): RawBuilder<boolean> {
  const row = find(name);
  if (row === undefined) throw new Error(`A stored audience has the unknown predicate ${name}`);
  return row.where(value as never, asOf);
}

function join(parts: RawBuilder<boolean>[], by: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`(${sql.join(parts, by)})`;
}

export interface AudienceLeaf {
  /** Where it stands, such as `all/0/age`. */
  path: string;
  name: string;
  wanted: unknown;
  passed: RawBuilder<boolean>;
  seen: RawBuilder<unknown>;
}

/** Every predicate of an audience by itself, for explain; under a `not` it passes when it does not hold. */
export function audienceLeaves(audience: unknown, asOf: AsOf): AudienceLeaf[] {
  if (audience === null || audience === undefined) return [];
  return leavesOf(audience as Record<string, unknown>, withSegments(asOf), '', false);
}

function leavesOf(
  node: Record<string, unknown>,
  asOf: AsOf,
  path: string,
  isNegated: boolean,
): AudienceLeaf[] {
  return Object.entries(node).flatMap(([name, value]) => {
    if (name === 'not') {
      return leavesOf(value as Record<string, unknown>, asOf, `${path}not/`, !isNegated);
    }
    if (name === 'all' || name === 'any') {
      return (value as Record<string, unknown>[]).flatMap((item, index) =>
        leavesOf(item, asOf, `${path}${name}/${index}/`, isNegated),
      );
    }
    const holds = sql<boolean>`coalesce(${compileLeaf(name, value, asOf)}, false)`;
    const row = find(name);
    return [
      {
        path: path + name,
        name,
        wanted: isNegated ? { not: value } : value,
        passed: isNegated ? sql<boolean>`not ${holds}` : holds,
        seen: row?.seen(asOf, value as never) ?? sql`null`,
      },
    ];
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fault(pointer: string, code: string, detail: string): Fault {
  return { pointer, code, detail };
}
