/** Small things that a reviewer should not have to say twice. Each failure tells why. */
import path from 'node:path';
import t from 'tap';
import { projectFiles } from './support/project-files.ts';

const code = projectFiles(['.ts']);
const documents = projectFiles(['.md']);

t.test('no file is named for what it is not', async (t) => {
  const avoided = /(^|-)(utils?|helpers?|common|misc|managers?|stuff)(-|$)|^(data|info|types)$/;
  const found = code
    .map((file) => file.path)
    .filter((name) => avoided.test(path.basename(name).split('.')[0] ?? ''));
  t.same(found, [], 'These words mean that a noun is missing: name the thing it is about.');
});

t.test('no export is named handle or process', async (t) => {
  const avoided =
    /export (?:async )?(?:function|const|class) ((?:handle|process)[A-Z]\w*|\w+(?:Manager|Helper|Utils?))\b/g;
  const found = code.flatMap((file) =>
    [...file.text.matchAll(avoided)].map((match) => `${file.path}: ${match[1]}`),
  );
  t.same(found, [], 'Say what it does: record, claim, settle, withdraw.');
});

t.test('exports have names', async (t) => {
  const found = code
    .filter((file) => /^export default\b/m.test(file.text))
    .map((file) => file.path);
  t.same(found, [], 'A default export is called something else in every file that imports it.');
});

t.test('migrations are numbered without a gap', async (t) => {
  const names = code
    .filter((file) => file.path.startsWith('migrations/'))
    .map((file) => path.basename(file.path));
  t.not(names.length, 0);
  for (const [index, name] of names.entries()) {
    t.match(name, /^\d{4}_[a-z0-9_]+\.ts$/, 'A name is NNNN_what_it_adds.ts.');
    t.equal(Number(name.slice(0, 4)), index + 1, `${name}: numbers have no gap and no double.`);
  }
});

t.test('every document has one title', async (t) => {
  const found = documents
    .map((file) => ({ ...file, titles: proseOf(file.text).match(/^# .+$/gm)?.length ?? 0 }))
    .filter((file) => file.titles !== 1)
    .map((file) => `${file.path}: ${file.titles}`);
  t.same(found, [], 'One `# ` line says what the document is about.');
});

t.test('every link between documents leads somewhere', async (t) => {
  const existing = new Set(projectFiles(['']).map((file) => file.path));
  const isThere = (target: string): boolean =>
    existing.has(target) || [...existing].some((file) => file.startsWith(`${target}/`));
  const broken = documents.flatMap((file) =>
    [...proseOf(file.text).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)]
      .map((match) => path.posix.join(path.posix.dirname(file.path), match[1] ?? ''))
      .filter((target) => !isThere(target.replace(/\/$/, '')))
      .map((target) => `${file.path} links to ${target}`),
  );
  t.same(broken, []);
});

t.test('nothing tells where or how the code was written', async (t) => {
  // Put together from pieces, so that this file does not find itself.
  const avoided = [
    `(^|[\\s"'\`(=])/(${'work'}|${'root'})/`,
    `${'registry'}\\.${'npmjs'}\\.org`,
    `${'pypi'}\\.org`,
    `${'deb'}\\.${'debian'}\\.org`,
    `\\b(this|a|the|my) (coding )?${'sess'}ion(s|'s)? (wrote|made|started|helper)`,
    `\\b(${'lan'}guage ${'mod'}el|${'sub'}-?${'agent'}|${'L'}${'L'}${'M'})\\b`,
  ].map((pattern) => new RegExp(pattern, 'm'));
  const texts = projectFiles(['.ts', '.md', '.yaml', '.yml', 'Makefile', 'Dockerfile', '/run']);
  const found = texts.flatMap((file) =>
    avoided
      .filter((pattern) => pattern.test(file.text))
      .map((pattern) => `${file.path} matches ${pattern}`),
  );
  t.same(found, [], 'Who reads this has another machine.');
});

function proseOf(text: string): string {
  return text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '');
}
