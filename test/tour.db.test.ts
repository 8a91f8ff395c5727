import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
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
  const child = spawn('bash', [path.join(docs, 'tour.sh')], {
    env: {
      PATH: `${path.dirname(process.execPath)}:${process.env.PATH}`,
      RETORNO_URL: service.url,
      RETORNO_OPERATOR_KEY: servedOperatorKey,
    },
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
  const [code] = await once(child, 'close');
  const printed = Buffer.concat(chunks).toString();
  t.equal(code, 0, 'it comes to its end');
  const expected = await fs.readFile(path.join(docs, 'tour/expected.txt'), 'utf8');
  t.same(printed.split('\n'), expected.split('\n'));
});
