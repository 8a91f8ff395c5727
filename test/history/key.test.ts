import t from 'tap';
import { hashKey, isKey, mintKey } from '../../src/history/key.ts';

t.test('a key is told from every key with one character changed', async (t) => {
  const { key, hash, prefix } = mintKey('live');
  t.ok(isKey(key));
  t.ok(key.startsWith(`${prefix}_`));
  t.same(hashKey(key), hash);
  for (let at = 0; at < key.length; at += 1) {
    const other = key[at] === 'a' ? 'b' : 'a';
    t.notOk(isKey(key.slice(0, at) + other + key.slice(at + 1)), `at ${at}`);
  }
});

t.test('a test key cannot be taken for a live one', async (t) => {
  t.match(mintKey('test').key, /^rtn_test_/);
  t.notOk(isKey(mintKey('test').key.replace('rtn_test_', 'rtn_live_')));
});
