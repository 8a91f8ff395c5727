import { invalid } from '../errors.ts';
import { equalBytes, type Secrets } from '../secrets.ts';

/**
 * A cursor is where a page of one list of one clinic ended, signed: another list's, another clinic's or
 * a made-up one is refused.
 */
export interface CursorScope {
  secrets: Secrets;
  clinicId: string;
  /** The list with its filters, such as `patients?tag=vip`. */
  list: string;
}

/** The values that order the list, of the last row shown. */
export type CursorKey = readonly string[];

const macBytes = 12;

export function writeCursor(scope: CursorScope, key: CursorKey): string {
  const body = Buffer.from(JSON.stringify(key));
  return Buffer.concat([signature(scope, body), body]).toString('base64url');
}

/** @throws AppError a 400 that points at `/cursor`. */
export function readCursor(scope: CursorScope, cursor: string | undefined): CursorKey | null {
  if (cursor === undefined) return null;
  const bytes = Buffer.from(cursor, 'base64url');
  const body = bytes.subarray(macBytes);
  const isOurs =
    bytes.length > macBytes &&
    bytes.toString('base64url') === cursor &&
    equalBytes(signature(scope, body), bytes.subarray(0, macBytes));
  if (!isOurs) {
    throw invalid('/cursor', 'wrong-cursor', 'This cursor was not given by this list.');
  }
  return JSON.parse(body.toString()) as CursorKey;
}

function signature(scope: CursorScope, body: Buffer): Buffer {
  const signed = JSON.stringify([scope.clinicId, scope.list, body.toString('base64url')]);
  return scope.secrets.mac('cursor', signed).subarray(0, macBytes);
}

/** @param rows one more than the limit, so that they tell whether another page follows. */
export function toSignedPage<Row, Item>(
  scope: CursorScope,
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => CursorKey,
  toItem: (row: Row) => Item,
): { data: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextCursor =
    rows.length > limit && last !== undefined ? writeCursor(scope, keyOf(last)) : null;
  return { data: shown.map(toItem), nextCursor };
}
