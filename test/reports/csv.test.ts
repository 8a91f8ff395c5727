import fc from 'fast-check';
import t from 'tap';
import { toCsv } from '../../src/reports/csv.ts';

t.test('a report is quoted CSV with a line of names', async (t) => {
  const csv = toCsv(['name', 'messages', 'roi'], [{ name: 'Say "ah"', messages: 2, roi: null }]);
  t.equal(csv, '"name","messages","roi"\r\n"Say ""ah""","2",""\r\n');
});

for (const name of [
  '=cmd|calc',
  '+1+1',
  '-1+1',
  '@SUM(A1)',
  '\t=1',
  '\r=1',
  '\tharmless',
  ' =1',
  '\n=1',
  '\u200b=1',
  '＝1',
  '＋1',
  '－1',
  '＠1',
]) {
  t.test(`a rule called ${JSON.stringify(name)} is text for a spreadsheet`, async (t) => {
    t.equal(toCsv(['name'], [{ name }]), `"name"\r\n"'${name}"\r\n`);
  });
}

t.test('a negative figure stays a figure', async (t) => {
  t.equal(
    toCsv(['roi', 'cost'], [{ roi: -0.5, cost: '-12.50' }]),
    '"roi","cost"\r\n"-0.5","-12.50"\r\n',
  );
});

t.test('any text comes back as it was, but for the apostrophe', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const cell = toCsv(['a'], [{ a: text }]).slice('"a"\r\n"'.length, -'"\r\n'.length);
      const read = cell.replaceAll('""', '"');
      return read === text || read === `'${text}`;
    }),
  );
});
