import t from 'tap';
import { createStatementNames, fewItems, manyRows } from '../../src/database/statement-names.ts';

t.test('a statement that comes again has a name, always the same and its own', async (t) => {
  const nameOf = createStatementNames();
  t.equal(nameOf('select $1', [1]), undefined);
  const name = nameOf('select $1', [2]);
  t.ok(name);
  t.equal(nameOf('select $1', [3]), name);
  nameOf('select $2', [1]);
  t.not(nameOf('select $2', [1]), name);
});

t.test('a statement without values, or over many rows, is planned each time', async (t) => {
  const many = Array.from({ length: fewItems + 1 }, () => 'x');
  for (const [text, values] of [
    ['select 1', []],
    ['select $1', ['x'.repeat(65_537)]],
    ['select $1', [many]],
    [`select ${manyRows} $1`, [1]],
  ] as const) {
    const nameOf = createStatementNames();
    nameOf(text, values);
    t.equal(nameOf(text, values), undefined, text);
  }
});

t.test('what is written dynamically does not take more than its room', async (t) => {
  const nameOf = createStatementNames();
  const names = new Set<string>();
  for (let index = 0; index < 5_000; index += 1) {
    nameOf(`select ${index}, $1`, [1]);
    const name = nameOf(`select ${index}, $1`, [1]);
    if (name !== undefined) names.add(name);
  }
  t.equal(names.size, 300);
});
