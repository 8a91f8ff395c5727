import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { ConfigError, configSchema, readConfig, requireKeys } from '../src/config.ts';

const key = Buffer.alloc(32, 7).toString('base64');

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    requireKeys(readConfig(environment));
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

t.test('an empty environment starts on the embedded database', async (t) => {
  const config = readConfig({});
  t.match(config, { host: '127.0.0.1', port: 8080, databaseUrl: null, privateUrls: 'allow' });
  t.ok(Object.isFrozen(config));
});

t.test('a misspelt variable is named with the one that was meant', async (t) => {
  t.same(problemsOf({ RETORNO_PROT: '1' }), [
    'RETORNO_PROT is no variable of Retorno: did you mean RETORNO_PORT?',
  ]);
  t.same(problemsOf({ RETORNO_COLOUR_OF_THE_SKY: 'blue' }), [
    'RETORNO_COLOUR_OF_THE_SKY is no variable of Retorno.',
  ]);
});

t.test('a wrong value is named with what was expected, and never shown', async (t) => {
  const problems = problemsOf({
    RETORNO_PORT: 'eighty',
    RETORNO_LOG_LEVEL: 'loud',
    RETORNO_SECRET_KEY: 'too-short-and-secret',
    RETORNO_TRUST_PROXY: '10.0.0.0/8, the-proxy',
    RETORNO_PUBLIC_URL: 'retorno.example.org',
    DATABASE_URL: 'mysql://somewhere',
  });
  t.equal(problems.length, 6);
  t.ok(problems.some((problem) => problem.includes('a whole number from 0 to 65535')));
  t.notMatch(problems.join(), /too-short-and-secret|mysql/);
});

t.test('with a database of its own it needs both keys', async (t) => {
  const DATABASE_URL = 'postgres://localhost/retorno';
  t.same(problemsOf({ DATABASE_URL }), [
    'RETORNO_OPERATOR_KEY is required with DATABASE_URL.',
    'RETORNO_SECRET_KEY is required with DATABASE_URL.',
  ]);
  t.same(problemsOf({ DATABASE_URL, RETORNO_OPERATOR_KEY: 'op', RETORNO_SECRET_KEY: key }), []);
  t.equal(readConfig({ DATABASE_URL }).privateUrls, 'deny');
});

t.test('docs/configuration.md tells of every variable what the schema tells', async (t) => {
  const page = readFileSync(path.join(import.meta.dirname, '../docs/configuration.md'), 'utf8');
  for (const [name, schema] of Object.entries(configSchema.properties)) {
    const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\` |`));
    t.ok(row?.includes('description' in schema ? String(schema.description) : '?'), name);
    if ('default' in schema) t.ok(row?.includes(`| \`${schema.default}\` |`), `${name} default`);
  }
  const listed = [...page.matchAll(/^\| `([A-Z_]+)`/gm)].map((match) => match[1]);
  t.same(listed, Object.keys(configSchema.properties));
});
