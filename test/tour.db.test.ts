import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { testDatabase } from './support/postgres.ts';
import { servedOperatorKey, startService } from './support/service-process.ts';

const docs = path.join(import.meta.dirname, '../docs');
const tools = ['bash', 'curl'];
const missing = tools.filter((tool) => spawnSync(tool, ['--version']).error !== undefined);
const skip = missing.length > 0 && `The tour needs ${missing.join(' and ')}.`;

t.setTimeout(240_000);

t.test('the tour by curl shows what its page promises', { skip }, async (t) => {
  const { url: databaseUrl } = await testDatabase(t);
  const service = await startService(databaseUrl, { RETORNO_PUBLIC_URL: 'https://go.example.com' });
  t.teardown(() => service.end('SIGTERM'));
  await compareTour(t, service.url, { script: 'tour.sh', expected: 'expected.txt' });
});

t.test('the tour of replies hears what patients tap, write and press', { skip }, async (t) => {
  const { url: databaseUrl } = await testDatabase(t);
  const service = await startService(databaseUrl);
  t.teardown(() => service.end('SIGTERM'));
  const simulators = await startSimulators(t);
  const tour = { script: 'tour-of-replies.sh', expected: 'expected-replies.txt' };
  await compareTour(t, service.url, tour, simulators);
});

/** Takes a tour of `docs` and holds what it prints against its page, line by line. */
async function compareTour(
  t: Test,
  url: string,
  { script, expected }: { script: string; expected: string },
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const child = spawn('bash', [path.join(docs, script)], {
    env: {
      PATH: `${path.dirname(process.execPath)}:${process.env.PATH}`,
      RETORNO_URL: url,
      RETORNO_OPERATOR_KEY: servedOperatorKey,
      ...environment,
    },
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
  const [code] = await once(child, 'close');
  const printed = Buffer.concat(chunks).toString();
  t.equal(code, 0, 'it comes to its end');
  const page = await fs.readFile(path.join(docs, 'tour', expected), 'utf8');
  t.same(printed.split('\n'), page.split('\n'));
}

const simulated = ['smsc', 'sendgrid', 'webhook', 'whatsapp', 'twilio', 'telegram'] as const;

/** The simulators as a process of their own on free ports, and where the tour finds each of them. */
async function startSimulators(t: Test): Promise<Record<string, string>> {
  const main = path.join(import.meta.dirname, 'simulators/main.ts');
  const ports = [...simulated, 'smtp'].map((name) => `--${name}-port=0`);
  const child = spawn(process.execPath, [main, ...ports], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const told = JSON.parse(line) as Record<(typeof simulated)[number], { url: string }>;
  return Object.fromEntries(
    simulated.map((name) => [
      name === 'webhook' ? 'HOST_URL' : `${name.toUpperCase()}_URL`,
      new URL(told[name].url).origin,
    ]),
  );
}
