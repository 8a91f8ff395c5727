/**
 * `npm run bench -- [row …] [--short | --full] [--seed n]`: the figures of the design, each beside a floor
 * that is measured in the same run. Without a row all are measured; see docs/performance.md.
 */
import { parseArgs } from 'node:util';
import { type Postgres, startPostgres } from '../test/support/postgres-server.ts';
import { batches, dispatch, memory } from './dispatch.ts';
import { intake } from './intake.ts';
import { ndjson } from './ndjson.ts';
import { growth, planning } from './planning.ts';
import { type BenchOptions, printRow, type Row } from './row.ts';

const benchmarks: Readonly<
  Record<string, (postgres: Postgres, options: BenchOptions) => Promise<Row | Row[]>>
> = { intake, ndjson, planning, growth, dispatch, batches, memory };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: 'boolean' },
    full: { type: 'boolean' },
    seed: { type: 'string', default: '1' },
  },
});

const unknown = positionals.filter((name) => !(name in benchmarks));
if (unknown.length > 0) {
  console.error(
    `There is no row ${unknown.join(', ')}; there are ${Object.keys(benchmarks).join(', ')}.`,
  );
  process.exit(2);
}

const options: BenchOptions = { size: values.full ? 'full' : 'short', seed: Number(values.seed) };
// Commits reach the disk, for the floors as for the service.
const postgres = await startPostgres({ durable: true });
try {
  for (const [name, measure] of Object.entries(benchmarks)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    for (const row of [await measure(postgres, options)].flat()) printRow(row);
  }
} finally {
  postgres.stop();
}
