/**
 * `npm run fuzz -- [--requests n] [--seed n]`: requests made of the OpenAPI document, as it asks, one step
 * beside it, and far off, against a service on a PostgreSQL of its own. Fails on an answer of 5xx, one that takes
 * over two seconds, one that is not what the document says, a patient in a log or an error, or the end of the process.
 */
import { parseArgs } from 'node:util';
import { createProgress } from '../../src/progress.ts';
import { createDatabase, startPostgres } from '../support/postgres-server.ts';
import { type Finding, fuzz } from './fuzz.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '5000' },
    seed: { type: 'string', default: process.env.RETORNO_SEED ?? '1' },
  },
});
const [requests, seed] = [Number(values.requests), Number(values.seed)];

process.stdout.write(`Seed ${seed}; repeat with --seed ${seed}.\n`);
const postgres = await startPostgres();
try {
  const databaseUrl = postgres.url(await createDatabase(postgres));
  const progress = createProgress('Requests', process.stdout);
  const result = await fuzz({ databaseUrl, requests, seed, report: progress.report });
  progress.finish(`${requests} requests`);
  const { findings, answers, neverDone } = result;
  for (const kind of Object.keys(answers).sort()) {
    process.stdout.write(`  ${kind}: ${answers[kind]}\n`);
  }
  if (neverDone.length > 0) process.stdout.write(`Never done: ${neverDone.join(', ')}\n`);
  for (const finding of findings) process.stdout.write(`\n${describe(finding)}\n`);
  process.stdout.write(
    `\n${findings.length === 0 ? 'Nothing found.' : `${findings.length} faults.`}\n`,
  );
  process.exitCode = findings.length === 0 ? 0 : 1;
} finally {
  postgres.stop();
}

function describe({ fault, request, status, text, count }: Finding): string {
  if (request === null) return `The service ${fault} (${count} times)`;
  const { operationId, method, path, headers, body = '' } = request;
  const { authorization: _, ...shown } = headers;
  return [
    `${operationId} ${fault} (${count} times, as ${request.kind})`,
    `  ${method} ${path.slice(0, 300)} ${JSON.stringify(shown).slice(0, 300)}`,
    `  ${String(body).slice(0, 600)}`,
    `  -> ${status} ${text.slice(0, 500)}`,
  ].join('\n');
}
