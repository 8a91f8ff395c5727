/** The documents tell what the code does, and the code does what they tell. */
import t from 'tap';
import { configSchema } from '../src/config.ts';
import type { Purpose } from '../src/database/tables.ts';
import { errorCodes } from '../src/errors.ts';
import {
  type CountryPolicy,
  countryPolicies,
  countryPolicy,
  type Hours,
} from '../src/history/country-policy.ts';
import { finalStates, messageStates, transitions } from '../src/outbox/message.ts';
import { projectFiles, readProjectFile } from './support/project-files.ts';

t.test(
  'docs/errors.md lists every error code with its status and title, and no other',
  async (t) => {
    const listed = rows('docs/errors.md').map(([code, status, title]) => [code, status, title]);
    const real = Object.entries(errorCodes).map(([code, { status, title }]) => [
      code,
      String(status),
      title,
    ]);
    t.same(listed, real);
  },
);

t.test('docs/configuration.md lists every variable, and no other', async (t) => {
  const listed = rows('docs/configuration.md').map(([name]) => name);
  t.same(listed, Object.keys(configSchema.properties));
});

t.test('no document names a variable that does not exist', async (t) => {
  const real = new Set(Object.keys(configSchema.properties));
  const found = projectFiles(['.md', 'Dockerfile', 'compose.yaml']).flatMap((file) =>
    [...file.text.matchAll(/\bRETORNO_[A-Z_]*[A-Z]\b/g)]
      .map(([name]) => name)
      .filter((name) => !real.has(name))
      .map((name) => `${file.path}: ${name}`),
  );
  t.same(found, []);
});

t.test('docs/message-states.md tells every state and where it may lead', async (t) => {
  const listed = rows('docs/message-states.md').map(([state, , , next]) => [state, next]);
  const real = messageStates.map((state) => [state, transitions[state].join(', ') || '–']);
  t.same(listed, real);
});

t.test('docs/message-states.md marks the final states', async (t) => {
  const marked = rows('docs/message-states.md')
    .filter(([, meaning]) => meaning?.startsWith('Final: '))
    .map(([state]) => state);
  t.same(marked, finalStates);
});

t.test('docs/policy.md has the row of every country, and no other', async (t) => {
  const real = [...countryPolicies.values(), countryPolicy('')].map(policyCells);
  t.same(rows('docs/policy.md'), real);
});

t.test('every command in a document exists', async (t) => {
  const targets = new Set(
    [...readProjectFile('Makefile').matchAll(/^([a-z-]+):/gm)].map((match) => match[1]),
  );
  const scripts = Object.keys(
    (JSON.parse(readProjectFile('package.json')) as { scripts: object }).scripts,
  );
  const found = projectFiles(['.md']).flatMap((file) =>
    commandsIn(file.text)
      .filter(({ tool, name }) => (tool === 'make' ? !targets.has(name) : !scripts.includes(name)))
      .map(({ tool, name }) => `${file.path}: ${tool} ${name}`),
  );
  t.same(found, []);
});

/** The cells of a document's tables, row by row, for rows that begin with a code word. */
function rows(document: string): string[][] {
  return readProjectFile(document)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim().replaceAll('`', '')));
}

/** A country's row as docs/policy.md writes it. */
function policyCells(row: CountryPolicy): string[] {
  const consent = Object.entries(row.needsConsent).flatMap(([purpose, needs]) =>
    needs ? [purpose] : [],
  );
  const demanded = Object.entries(row.mustInclude).flatMap(([purpose, demands]) =>
    demands.length > 0 ? [`${purpose}: ${demands.join(', ')}`] : [],
  );
  return [
    row.country ?? 'others',
    hoursCell(row),
    row.isLaw ? 'law' : 'default',
    consent.join(', '),
    demanded.join('; ') || '–',
    row.marketingNeedsApprover ? 'yes' : 'no',
    row.dataRegion ?? '–',
    row.source,
  ];
}

/** Purposes with the same hours are written once. */
function hoursCell({ allowedHours }: CountryPolicy): string {
  const byText = Map.groupBy(Object.keys(allowedHours) as Purpose[], (purpose) => {
    const [weekday = null, , , , , saturday, sunday] = allowedHours[purpose];
    const days = [weekday, saturday ?? null, sunday ?? null].map(hoursText);
    return `Mon–Fri ${days[0]}, Sat ${days[1]}, Sun ${days[2]}`;
  });
  if (byText.size === 1) return [...byText.keys()].join();
  return [...byText].map(([text, purposes]) => `${purposes.join(', ')}: ${text}`).join('; ');
}

function hoursText(hours: Hours | null): string {
  return hours === null ? 'closed' : `${hours.start}–${hours.end}`;
}

/** `make x`, `npm start` and `npm run x` where they stand as code: a line of a block, or in backticks. */
function commandsIn(text: string): { tool: string; name: string }[] {
  const matches = text.matchAll(/(?:^\$? ?|`|&& )(make|npm run|npm(?= start)) ([a-z-]+)/gm);
  return [...matches].map((match) => ({ tool: match[1] ?? '', name: match[2] ?? '' }));
}
