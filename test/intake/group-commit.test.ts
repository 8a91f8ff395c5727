import t from 'tap';
import { createGroupCommit } from '../../src/intake/group-commit.ts';

const failure = (code: string) => Object.assign(new Error('no'), { code });

t.test('whoever comes while a transaction runs shares the next one', async (t) => {
  const groups: number[][] = [];
  const commit = createGroupCommit<number, number>({
    write: async (items) => {
      groups.push([...items]);
      await new Promise(setImmediate);
      return items.map((item) => item * 10);
    },
    poisoned: () => -1,
  });
  const answers = await Promise.all([
    commit.submit([1]),
    commit.submit([2, 3]),
    commit.submit([4]),
  ]);
  t.same(answers, [[10], [20, 30], [40]]);
  t.same(groups, [[1], [2, 3, 4]]);
  t.same(await commit.submit([5]), [50], 'and it runs again after it was idle');
});

t.test('a group is bounded, but one request is never torn', async (t) => {
  const sizes: number[] = [];
  const commit = createGroupCommit<number, number>({
    write: async (items) => {
      sizes.push(items.length);
      await new Promise(setImmediate);
      return [...items];
    },
    poisoned: () => -1,
  });
  const some = (length: number) => Array.from({ length }, (_, i) => i);
  await Promise.all([
    commit.submit(some(1)),
    commit.submit(some(900)),
    commit.submit(some(200)),
    commit.submit(some(1500)),
  ]);
  t.same(sizes, [1, 900, 200, 1500]);
});

t.test('a poisoned item stands alone in the end', async (t) => {
  const commit = createGroupCommit<number, string>({
    write: async (items) => {
      if (items.includes(7)) throw failure('22021');
      return items.map(() => 'kept');
    },
    poisoned: (item) => `poisoned ${item}`,
  });
  t.same(await commit.submit([5, 6, 7, 8]), ['kept', 'kept', 'poisoned 7', 'kept']);
});

t.test('contention is tried again, an outage is told to everyone as 503', async (t) => {
  let attempts = 0;
  const busy = createGroupCommit<number, number>({
    write: async (items) => {
      attempts += 1;
      if (attempts < 3) throw failure('40P01');
      return [...items];
    },
    poisoned: () => -1,
  });
  t.same(await busy.submit([1]), [1]);
  const away = createGroupCommit<number, number>({
    write: async () => {
      throw failure('ECONNREFUSED');
    },
    poisoned: () => -1,
  });
  await t.rejects(away.submit([1, 2]), { code: 'unavailable', retryAfterSeconds: 2 });
  await t.rejects(away.submit([3]), { code: 'unavailable' });
});
