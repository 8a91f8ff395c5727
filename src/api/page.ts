import type { FastifyRequest } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { type CursorKey, readCursor, toSignedPage } from '../database/page.ts';
import { invalid } from '../errors.ts';
import { parseInstant } from '../local-time.ts';
import type { Secrets } from '../secrets.ts';

/** Lists come in pages; a cursor says where the last page of that list ended, and nobody can write one but us. */

export const pageLimitMax = 200;
const pageLimitDefault = 50;
const cursorCharsMax = 1_000;

export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: pageLimitMax,
      description: `How many at most; ${pageLimitDefault} if absent.`,
      examples: [50],
    }),
  ),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: cursorCharsMax,
      description: '`nextCursor` of the page before.',
    }),
  ),
};

/** A page of a list: `nextCursor` is null on the last. */
export const pageOf = <Item extends TSchema>(item: Item) =>
  Type.Object({
    data: Type.Array(item),
    nextCursor: Type.Union([Type.String(), Type.Null()], {
      description: 'Give it as `cursor` for the next page; null on the last.',
    }),
  });

/** For lists that are never longer than one page. */
export const wholeListOf = <Item extends TSchema>(item: Item) =>
  Type.Object({ data: Type.Array(item), nextCursor: Type.Null() });

export interface Pager {
  /** Where the page before ended; null for the first. */
  after: CursorKey | null;
  /** One more than is shown, so that the rows tell whether another page follows. */
  rowsWanted: number;
  toPage<Row, Item>(
    rows: readonly Row[],
    keyOf: (row: Row) => CursorKey,
    toItem: (row: Row) => Item,
  ): { data: Item[]; nextCursor: string | null };
}

interface PageQuery {
  limit?: number;
  cursor?: string;
}

/** @throws AppError a 400 for a cursor of another list, of other filters, or of another clinic. */
export function pager(
  { secrets }: { secrets: Secrets },
  request: FastifyRequest,
  /** The clinic's id; the operator's own lists say so. */
  clinicId: string,
): Pager {
  const { limit = pageLimitDefault, cursor, ...filters } = request.query as PageQuery;
  const list = `${request.routeOptions.url}?${JSON.stringify([request.params, filters])}`;
  const scope = { secrets, clinicId, list };
  return {
    after: readCursor(scope, cursor),
    rowsWanted: limit + 1,
    toPage: (rows, keyOf, toItem) => toSignedPage(scope, rows, limit, keyOf, toItem),
  };
}

/** @throws AppError a 400 that names the field. */
export function readInstant(text: string, timeZone: string, pointer: string): Temporal.Instant {
  const parsed = parseInstant(text, timeZone);
  if (typeof parsed === 'string') {
    throw invalid(pointer, parsed, 'This is no RFC 3339 date-time.');
  }
  return parsed.instant;
}
