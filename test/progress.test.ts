import t from 'tap';
import { createProgress } from '../src/progress.ts';

t.test('a terminal sees a bar that grows on one line', async (t) => {
  let shown = '';
  const progress = createProgress('Loading', {
    isTTY: true,
    write: (text) => {
      shown += text;
    },
  });
  progress.report(1, 2, 'half');
  progress.finish('done');
  t.match(shown, /\r.*Loading \[█{14}░{14}\] {2}50 % half/);
  t.ok(shown.endsWith('Loading: done\n'));
});

t.test('a file sees a line a quarter', async (t) => {
  const written: string[] = [];
  const progress = createProgress('Loading', { write: (text) => written.push(text) });
  for (let done = 1; done <= 100; done += 1) progress.report(done, 100, '');
  progress.finish('done');
  t.equal(written.length, 4);
});
