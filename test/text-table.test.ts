import t from 'tap';
import { formatTable } from '../src/text-table.ts';

t.test('a table is as wide as its words, whatever their letters', async (t) => {
  const table = formatTable(
    [{ name: 'Rule' }, { name: 'Sent', align: 'right' }],
    [
      ['Приглашение', '120'],
      ['São', '7'],
    ],
  );
  t.equal(
    table,
    ['Rule         Sent', '───────────  ────', 'Приглашение   120', 'São             7'].join('\n'),
  );
});
