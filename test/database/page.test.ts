import t from 'tap';
import {
  type CursorScope,
  readCursor,
  toSignedPage,
  writeCursor,
} from '../../src/database/page.ts';
import { createSecrets } from '../../src/secrets.ts';

const scope: CursorScope = {
  secrets: createSecrets(Buffer.alloc(32, 7)),
  clinicId: 'c-1',
  list: 'patients?tag=vip',
};
const key = ['2026-03-28T12:00:00Z', '0190'];

t.test('a cursor leads back to where its page ended', async (t) => {
  t.same(readCursor(scope, writeCursor(scope, key)), key);
  t.equal(readCursor(scope, undefined), null);
});

t.test("another clinic's cursor, another list's, and a forged one are refused", async (t) => {
  const cursor = writeCursor(scope, key);
  const forged = Buffer.from(JSON.stringify(['2000-01-01T00:00:00Z', '0190'])).toString(
    'base64url',
  );
  const flipped = `${cursor.slice(0, -2)}${cursor.at(-2) === 'A' ? 'B' : 'A'}${cursor.at(-1)}`;
  const attempts: [CursorScope, string][] = [
    [{ ...scope, clinicId: 'c-2' }, cursor],
    [{ ...scope, list: 'patients' }, cursor],
    [{ ...scope, secrets: createSecrets(Buffer.alloc(32, 8)) }, cursor],
    [scope, forged],
    [scope, flipped],
    [scope, `${cursor}=`],
    [scope, ''],
    [scope, 'ñ'],
  ];
  for (const [from, text] of attempts) {
    t.throws(() => readCursor(from, text), {
      code: 'validation',
      faults: [{ pointer: '/cursor', code: 'wrong-cursor' }],
    });
  }
});

t.test('a page has a cursor only if another follows', async (t) => {
  const page = (rows: string[]) =>
    toSignedPage(
      scope,
      rows,
      2,
      (row) => [row],
      (row) => row,
    );
  t.same(page(['a', 'b']), { data: ['a', 'b'], nextCursor: null });
  const { data, nextCursor } = page(['a', 'b', 'c']);
  t.same(data, ['a', 'b']);
  t.same(readCursor(scope, nextCursor ?? undefined), ['b']);
});
