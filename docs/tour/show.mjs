/**
 * Reads an answer of the API and prints a field of it, or a table with a heading.
 *   … | node show.mjs id                                          one value
 *   … | node show.mjs . outcome,reason                            a row of the answer itself
 *   … | node show.mjs data patientId,state,text                   a row for each item of `data`, sorted
 *   … | node show.mjs data patientId,text channel=sms state=sent  of those items alone
 *   … | node show.mjs data:id patientId=elena                     one value of the first such item
 *   … | node show.mjs refused                                     nothing, unless it was refused
 *   … | node show.mjs page                                        what a page in HTML says, and its buttons
 * Times lose their seconds, links their tokens; what is absent is a dash. A refusal is told, and is an exit of 1.
 * TOUR_HIDES holds lines of `what=word`: what differs each day is shown as that word.
 */
import { env, stdin } from 'node:process';

const chunks = [];
for await (const chunk of stdin) chunks.push(chunk);
const text = Buffer.concat(chunks).toString();
const [path, ...rest] = process.argv.slice(2);
const fields = rest[0]?.includes('=') ? undefined : rest.shift();
const wanted = rest.map((condition) => condition.split('='));
const hidden = (env.TOUR_HIDES ?? '')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => line.split('='));
const answer = text === '' || path === 'page' ? null : JSON.parse(text);

if (path === 'page') printPage(text);
else if (answer?.code !== undefined && answer?.status >= 400) {
  console.log(`  refused: ${answer.status} ${answer.code}`);
  for (const { pointer, code, detail } of answer.errors ?? [])
    console.log(`    ${pointer} ${code}: ${detail}`);
  process.exitCode = 1;
} else if (path === 'refused') {
  for (const { problem } of answer?.rejected ?? [])
    console.log(`  refused: ${JSON.stringify(problem)}`);
  if (answer?.rejected?.length > 0) process.exitCode = 1;
} else if (fields !== undefined) print(fields.split(','), at(answer, path));
else {
  const [list, field] = path.split(':');
  console.log(
    shown(field === undefined ? at(answer, path) : at(chosen(at(answer, list))[0], field)),
  );
}

function at(value, way) {
  return way === '.' ? value : way.split('.').reduce((inner, name) => inner?.[name], value);
}

function chosen(items) {
  return [items]
    .flat()
    .filter((item) => wanted.every(([name, value]) => shown(at(item, name)) === value));
}

function print(names, items) {
  const rows = chosen(items)
    .map((item) => names.map((name) => shown(at(item, name))))
    .sort((one, other) => (one.join('\t') < other.join('\t') ? -1 : 1));
  if (rows.length === 0) return console.log('  (none)');
  const table = [names, ...rows];
  const widths = names.map((_, index) => Math.max(...table.map((row) => [...row[index]].length)));
  for (const row of table) {
    const cells = row.map((cell, index) => cell + ' '.repeat(widths[index] - [...cell].length));
    console.log(`  ${cells.join('  ')}`.trimEnd());
  }
}

function printPage(html) {
  const [, language] = /<html lang="([^"]*)"/.exec(html) ?? [];
  const parts = html.matchAll(/<(h1|p|button)\b[^>]*>(.*?)<\/\1>/g);
  console.log(`  language: ${language}`);
  for (const [, tag, inner] of parts) {
    const words = shown(inner.replace(/<[^>]*>/g, ''));
    console.log(`  ${tag === 'button' ? `[ ${words} ]` : words}`);
  }
}

function shown(value) {
  if (value === null || value === undefined || value === '') return '-';
  if (value.currency !== undefined && value.amount !== undefined)
    return `${value.amount} ${value.currency}`;
  const line = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return hidden
    .reduce((shorter, [what, word]) => shorter.replaceAll(what, word), line)
    .replace(/(\d{4}-\d\d-\d\dT\d\d:\d\d):\d\d(\.\d+)?Z/g, '$1Z')
    .replace(/https?:\/\/[^/\s]+\/l\/[\w-]+/g, 'https://…/l/…')
    .replaceAll('\n', ' / ');
}
