import { type TSchema, Type } from 'typebox';
import { invalid } from '../errors.ts';

/** Lists come in pages; a cursor is opaque, and names no more than where the last page ended. */

export const pageLimitMax = 200;
const pageLimitDefault = 50;
const cursorCharsMax = 500;

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

export const limitOf = (query: { limit?: number }): number => query.limit ?? pageLimitDefault;

/** A page of a list: `nextCursor` is null on the last. */
export const pageOf = <Item extends TSchema>(item: Item) =>
  Type.Object({
    data: Type.Array(item),
    nextCursor: Type.Union([Type.String(), Type.Null()], {
      description: 'Give it as `cursor` for the next page; null on the last.',
    }),
  });

/** @param rows one more than the limit, so that they tell whether another page follows. */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => string,
  toItem: (row: Row) => Item,
): { data: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextCursor = rows.length > limit && last ? writeCursor(keyOf(last)) : null;
  return { data: shown.map(toItem), nextCursor };
}

function writeCursor(key: string): string {
  return Buffer.from(key).toString('base64url');
}

/** @throws AppError a 400 for what this service did not write. */
export function readCursor(
  cursor: string | undefined,
  isKey: (key: string) => boolean,
): string | null {
  if (cursor === undefined) return null;
  const key = Buffer.from(cursor, 'base64url').toString();
  if (writeCursor(key) !== cursor || !isKey(key)) {
    throw invalid('/cursor', 'wrong-cursor', 'This cursor was not given by this list.');
  }
  return key;
}
