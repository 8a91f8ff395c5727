/**
 * Holds the one structural law (docs/adr/0002-rooms-and-ranks.md) and the single owners. Imports are
 * found by a regular expression: TypeScript has no stable compiler API, and each of ours ends in `.ts`.
 */
import path from 'node:path';
import t from 'tap';
import { type ProjectFile, projectFiles, readProjectFile } from './support/project-files.ts';

const groundRank = 0;
const rankOfRoom: Readonly<Record<string, number>> = {
  database: 1,
  history: 2,
  channels: 2,
  intake: 3,
  outbox: 3,
  loyalty: 3,
  rules: 4,
  replies: 4,
  reports: 5,
  api: 6,
};

/** They put the rooms together, so they alone may import everything. */
const compositionRoots = ['src/main.ts', 'src/demo.ts'];

/** What only some files may hold. `owners` are the starts of paths, or patterns of them. */
interface SingleOwner {
  what: string;
  pattern: RegExp;
  owners: readonly (string | RegExp)[];
  reason: string;
}

/** SQL outside `*-store.ts`: each entry needs a reason that a reviewer would accept. */
const sqlOwners = [
  /-store\.ts$/,
  // It opens the connections and owns the wall between clinics.
  'src/database/',
  // It compiles a clinic's filter into a condition: SQL is all it makes.
  'src/rules/audience/',
  // A trigger is the query that finds its anchors: a new one is one file.
  'src/rules/triggers/',
];

const singleOwners: readonly SingleOwner[] = [
  {
    what: 'the environment',
    pattern: /\bprocess\.env\b/,
    owners: ['src/config.ts'],
    reason: 'A setting that is read anywhere else is neither checked at the start nor documented.',
  },
  {
    what: 'the wall clock',
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bTemporal\.Now\b/,
    owners: ['src/clock.ts'],
    reason: 'Whoever decides by time is given a `now`: a test clinic lives at another one.',
  },
  {
    what: 'fastify',
    pattern: from('fastify', '@fastify/'),
    owners: ['src/api/', 'src/main.ts'],
    reason: 'Rooms below the API are used by loops and tests too, which have no request.',
  },
  {
    what: 'SQL',
    pattern: new RegExp(
      `${from('kysely', 'kysely/').source}|\\.(selectFrom|insertInto|updateTable|deleteFrom|executeQuery)\\(`,
    ),
    owners: sqlOwners,
    reason:
      'A query lives in a store, where it is one function with a name and is found by review.',
  },
  {
    what: 'the database drivers',
    pattern: from('pg', '@electric-sql/'),
    owners: ['src/database/'],
    reason: 'Only the room `database` knows which engine it is.',
  },
  {
    what: 'SendGrid',
    pattern: from('@sendgrid/'),
    owners: [/^src\/channels\/sendgrid/],
    reason: 'A provider is one adapter; the rest knows channels.',
  },
  {
    what: 'SMTP',
    pattern: from('nodemailer', 'nodemailer/'),
    owners: [/^src\/channels\/(smtp|email)/],
    reason: 'A provider is one adapter; the rest knows channels.',
  },
  {
    what: 'undici',
    pattern: from('undici'),
    owners: ['src/channels/'],
    reason: 'What leaves for the outside world leaves through a channel, which guards the address.',
  },
  {
    what: 'phone numbers',
    pattern: from('libphonenumber-js', 'libphonenumber-js/'),
    owners: ['src/phone.ts'],
    reason: 'One reading of a number, so that an opt-out meets the message it is to stop.',
  },
  {
    what: 'cron',
    pattern: from('node-cron'),
    owners: [/(^|\/)scheduler\.ts$/],
    reason: 'The alarm only rings; what is due is decided from the database.',
  },
];

const sources = projectFiles(['.ts'])
  .filter((file) => file.path.startsWith('src/'))
  .map((file) => ({ ...file, text: withoutComments(file.text) }));
const known = new Set(sources.map((file) => file.path));

t.test('a file imports from its own room or from a lower rank', async (t) => {
  const found = sources.flatMap((file) =>
    importsOf(file)
      .filter((imported) => !mayImport(file.path, imported))
      .map((imported) => `${describe(file.path)} imports ${describe(imported)}`),
  );
  t.same(found, [], 'Rooms of equal or higher rank are not seen: put what both need below them.');
});

t.test('every room has a rank', async (t) => {
  const rooms = new Set(sources.map(({ path }) => roomOf(path)).filter((room) => room !== null));
  const unranked = [...rooms].filter((room) => !(room in rankOfRoom));
  t.same(unranked, [], 'A new room is a decision: rank it in docs/adr/0002 and here.');
});

t.test('what is imported exists', async (t) => {
  const missing = sources.flatMap((file) =>
    importsOf(file)
      .filter((imported) => imported.startsWith('src/') && !known.has(imported))
      .map((imported) => `${file.path} imports ${imported}`),
  );
  t.same(missing, []);
});

t.test('what the service runs on is installed in production', async (t) => {
  const { dependencies } = JSON.parse(readProjectFile('package.json')) as { dependencies: object };
  const missing = sources.flatMap((file) =>
    packagesOf(file)
      .filter((name) => !(name in dependencies))
      .map((name) => `${file.path} imports ${name}`),
  );
  t.same(missing, [], 'An image leaves out devDependencies: move the package to dependencies.');
});

t.test('no file imports itself in a circle', async (t) => {
  t.same(
    circles(),
    [],
    'Files in a circle are one file in pieces: move what both need to a third.',
  );
});

for (const { what, pattern, owners, reason } of singleOwners) {
  t.test(`${what} has one owner`, async (t) => {
    const found = sources
      .filter((file) => pattern.test(file.text) && !isOwner(file.path, owners))
      .map((file) => file.path);
    t.same(found, [], reason);
  });
}

t.test('migrations stand alone', async (t) => {
  const found = projectFiles(['.ts'])
    .filter((file) => file.path.startsWith('migrations/') && /from '\.\.?\//.test(file.text))
    .map((file) => file.path);
  t.same(found, [], 'A migration is frozen; what it would import is not.');
});

function from(...packages: string[]): RegExp {
  const names = packages.map((name) => (name.endsWith('/') ? `${name}[^']*` : name));
  return new RegExp(`(?:from|import\\() ?'(?:${names.join('|')})'`);
}

function isOwner(file: string, owners: SingleOwner['owners']): boolean {
  return owners.some((owner) =>
    typeof owner === 'string' ? file.startsWith(owner) : owner.test(file),
  );
}

function mayImport(importer: string, imported: string): boolean {
  if (compositionRoots.includes(importer)) return true;
  if (compositionRoots.includes(imported)) return false;
  const room = roomOf(importer);
  return room === roomOf(imported) || rankOf(imported) < rankOf(importer);
}

/** Null for the ground, which is the files of `src` itself. */
function roomOf(file: string): string | null {
  return /^src\/([^/]+)\//.exec(file)?.[1] ?? null;
}

function rankOf(file: string): number {
  const room = roomOf(file);
  return room === null ? groundRank : (rankOfRoom[room] ?? Number.NaN);
}

function describe(file: string): string {
  return `${file} (rank ${rankOf(file)})`;
}

/** Our own files that a file imports, types included, as paths from the project's root. */
function importsOf(file: ProjectFile): string[] {
  const matches = file.text.matchAll(/(?:from|import|import\() ?'(\.{1,2}\/[^']+)'/g);
  return [...matches].map((match) =>
    path.posix.join(path.posix.dirname(file.path), match[1] ?? ''),
  );
}

/** Types are erased before anything runs, so they cannot close a circle. */
function runTimeImportsOf(file: ProjectFile): string[] {
  return importsOf({ ...file, text: withoutTypeImports(file.text) });
}

/** The packages that a file imports for more than their types. */
function packagesOf(file: ProjectFile): string[] {
  const matches = withoutTypeImports(file.text).matchAll(
    /(?:^(?:import|export)\b[^'`;\n]* from |^\} from |^import |import\()'((?:@[^/']+\/)?[a-z][^/':]*)[^']*'(?:;|\))/gm,
  );
  return [...matches].map((match) => match[1] ?? '').filter((name) => name !== 'node');
}

function withoutTypeImports(text: string): string {
  return text.replace(/^(?:import|export) type [^;]*;/gm, '');
}

function circles(): string[] {
  const imports = new Map(sources.map((file) => [file.path, runTimeImportsOf(file)]));
  const finished = new Set<string>();
  const found: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file);
    if (start >= 0) found.push([...trail.slice(start), file].join(' -> '));
    if (start >= 0 || finished.has(file)) return;
    for (const imported of imports.get(file) ?? []) visit(imported, [...trail, file]);
    finished.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return found;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}
