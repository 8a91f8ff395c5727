/**
 * Reads an answer of the API and prints a field of it, or a table.
 *   … | node show.mjs id                          one value
 *   … | node show.mjs . outcome,reason            a row of the answer itself
 *   … | node show.mjs data patientId,state,text   a row for each item of `data`, in the order of its fields
 * Times lose their seconds, links their tokens; what is absent is a dash.
 */
import { stdin } from 'node:process';

const chunks = [];
for await (const chunk of stdin) chunks.push(chunk);
const text = Buffer.concat(chunks).toString();
const [path, fields] = process.argv.slice(2);
const answer = text === '' ? null : JSON.parse(text);
if (answer?.code !== undefined && answer?.status >= 400) {
  console.log(`  refused: ${answer.code}`);
  for (const { pointer, code, detail } of answer.errors ?? [])
    console.log(`    ${pointer} ${code}: ${detail}`);
} else if (fields === undefined) console.log(shown(at(answer, path)));
else print(rowsOf(at(answer, path), fields.split(',')));

function at(value, way) {
  return way === '.' ? value : way.split('.').reduce((inner, name) => inner?.[name], value);
}

function rowsOf(items, names) {
  return [items]
    .flat()
    .map((item) => names.map((name) => shown(at(item, name))))
    .sort((one, other) => (one.join('\t') < other.join('\t') ? -1 : 1));
}

function print(rows) {
  const widths = [];
  for (const row of rows)
    for (const [index, cell] of row.entries())
      widths[index] = Math.max(widths[index] ?? 0, [...cell].length);
  for (const row of rows)
    console.log(
      `  ${row.map((cell, index) => cell + ' '.repeat(widths[index] - [...cell].length)).join('  ')}`.trimEnd(),
    );
  if (rows.length === 0) console.log('  (nobody)');
}

function shown(value) {
  if (value === null || value === undefined || value === '') return '-';
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value)
    .replace(/(\d{4}-\d\d-\d\dT\d\d:\d\d):\d\d(\.\d+)?Z/g, '$1')
    .replace(/https?:\/\/[^/\s]+\/l\/[\w-]+/g, 'https://…/l/…')
    .replaceAll('\n', ' / ');
}
