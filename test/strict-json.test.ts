import fc from 'fast-check';
import t from 'tap';
import { AppError } from '../src/errors.ts';
import { findFault, jsonDepthMax, jsonNodesMax, parseJson } from '../src/strict-json.ts';

function codeOf(text: string): string | undefined {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof AppError) return error.faults[0]?.code;
    throw error;
  }
  return undefined;
}

t.test('whatever JSON writes is read as it is', async () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      return JSON.stringify(parseJson(text)) === JSON.stringify(JSON.parse(text));
    }),
    { numRuns: 300 },
  );
});

t.test('a field given twice is refused wherever it stands', async (t) => {
  t.equal(codeOf('{"a":1,"a":2}'), 'duplicate-field');
  t.equal(codeOf('{"x":[{"a":{"b":1 ,"b" :2}}]}'), 'duplicate-field');
  t.equal(codeOf('{"a":1,"\\u0061":2}'), 'duplicate-field', 'written otherwise');
  t.equal(codeOf('{"a":"\\"a\\":1","b":"a:"}'), undefined, 'a text that looks like a field');
  t.equal(codeOf('[{"a":1},{"a":1}]'), undefined, 'in two objects');
  t.equal(codeOf('{"a":'), 'json');
});

t.test('what no schema should think of is found', async (t) => {
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
  t.equal(findFault(nested(jsonDepthMax)), null);
  t.match(findFault(nested(jsonDepthMax + 1)), { code: 'too-deep' });
  t.equal(findFault(Array.from({ length: jsonNodesMax - 1 }, () => 1)), null);
  t.match(findFault(Array.from({ length: jsonNodesMax }, () => 1)), { code: 'too-many-values' });
  t.match(findFault(JSON.parse('{"a":{"__proto__":1}}')), { pointer: '/a/__proto__' });
  t.match(findFault({ a: ['x\0'] }), { pointer: '/a/0', code: 'unstorable-text' });
  t.match(findFault({ 'a\ud800': 1 }), { code: 'unstorable-text' });
});
