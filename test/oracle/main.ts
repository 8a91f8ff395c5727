/**
 * `npm run oracle -- [--seed n] [--seeds n] [--days n] [--patients n] [--short]`: three schedulers at once, killed in the
 * middle of their work, their clocks apart, ten days of outage, in clinics of six zones over 400 days. Fails when an
 * occurrence is missing, extra, doubled, early, late or past its limit, and when a control is not found out.
 */
import { parseArgs } from 'node:util';
import { connect } from '../../src/database/connect.ts';
import { migrateToLatest } from '../../src/database/migrate.ts';
import { createProgress } from '../../src/progress.ts';
import { formatTable } from '../../src/text-table.ts';
import { createDatabase, dropDatabase, startPostgres } from '../support/postgres-server.ts';
import { caseFile } from './case-file.ts';
import { controls, isFoundOut } from './controls.ts';
import { faultNames, faultsOf } from './judge.ts';
import { type PlayOptions, type PlayResult, playWorld } from './replicas.ts';

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    seed: { type: 'string', default: process.env.RETORNO_SEED ?? '1' },
    seeds: { type: 'string' },
    days: { type: 'string' },
    patients: { type: 'string' },
  },
});

const tier = values.short
  ? { seeds: 1, days: 60, patients: 20 }
  : { seeds: 10, days: 400, patients: 20 };
const size = {
  days: Number(values.days ?? tier.days),
  patients: Number(values.patients ?? tier.patients),
};
const firstSeed = Number(values.seed);
const seeds = Number(values.seeds ?? tier.seeds);
/** Some forty deaths a seed. */
const shares = { killShare: 0.008, cutShare: 0.03 };
const faultsShown = 20;

const postgres = await startPostgres();
const rows: string[][] = [];
let isGood = true;
try {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
    const result = await run(`seed ${seed}`, { ...size, ...shares, seed });
    const faults = faultsOf(result.verdict);
    for (const zone of result.zones)
      for (const fault of faultsOf(zone.verdict).slice(0, faultsShown)) {
        const lines = caseFile(zone, fault).map((line) => `    ${line}\n`);
        process.stdout.write(`  ${zone.zone}: ${fault}\n${lines.join('')}`);
      }
    if (faults.length > 0) isGood = false;
    rows.push(rowOf(String(seed), result));
  }
  for (const control of controls) {
    const result = await run(`control: ${control.name}`, { ...control.options, seed: firstSeed });
    if (!isFoundOut(control, result.verdict)) {
      process.stdout.write(`  The control was not found out: ${control.name}\n`);
      isGood = false;
    }
    rows.push(rowOf(control.name, result));
  }
} finally {
  postgres.stop();
}
const columns = ['Seed', 'Kills', 'At work', 'Cuts', 'Must go', 'Open', 'Went', ...faultNames].map(
  (name, at) => ({ name, align: at === 0 ? 'left' : 'right' }) as const,
);
process.stdout.write(`\n${formatTable(columns, rows)}\n\n`);
process.stdout.write(`Repeat a seed with --seed n --seeds 1 and the same days and patients.\n`);
process.exitCode = isGood ? 0 : 1;

async function run(name: string, options: Omit<PlayOptions, 'databaseUrl'>): Promise<PlayResult> {
  const progress = createProgress(name, process.stdout);
  const database = await createDatabase(postgres);
  const databaseUrl = postgres.url(database);
  const { db, close } = await connect({ url: databaseUrl });
  await migrateToLatest(db).finally(close);
  const result = await playWorld({ ...options, databaseUrl, report: progress.report });
  await dropDatabase(postgres, database);
  const { verdict, seconds } = result;
  progress.finish(
    `${verdict.sent} went, ${faultsOf(verdict).length} faults, ${Math.round(seconds)} s`,
  );
  return result;
}

function rowOf(name: string, { verdict, kills, struck, cuts }: PlayResult): string[] {
  const { expected, optional, sent, faults } = verdict;
  const found = faultNames.map((fault) => faults[fault].length);
  return [name, ...[kills, struck, cuts, expected, optional, sent, ...found].map(String)];
}
