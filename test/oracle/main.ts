/**
 * `npm run oracle -- [--seeds n] [--days n] [--patients n]`: three schedulers at once, cut off at random, clocks apart, ten
 * days of outage, over 400 days in six zones by turns. Fails when an occurrence is missing, extra, doubled, early or too
 * late, and when the control is not found out.
 */
import { parseArgs } from 'node:util';
import { formatTable } from '../../src/text-table.ts';
import { runZone, type Verdict } from './replicas.ts';
import { zones } from './world.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10' },
    days: { type: 'string', default: '400' },
    patients: { type: 'string', default: '20' },
  },
});
const size = { days: Number(values.days), patients: Number(values.patients) };
const findings = ['missing', 'extra', 'doubled', 'early', 'afterLimit'] as const;
const rows: string[][] = [];
let isGood = true;

for (let seed = 1; seed <= Number(values.seeds); seed += 1) {
  const zone = zones[seed % zones.length] ?? 'UTC';
  const verdict = await runIn(zone, seed, false);
  const faults = findings.flatMap((name) => verdict[name].map((key) => `${name} ${key}`));
  if (faults.length > 0) isGood = false;
  for (const fault of faults.slice(0, 20)) process.stdout.write(`seed ${seed}: ${fault}\n`);
  rows.push(row(String(seed), zone, verdict));
  process.stdout.write(`seed ${seed}, ${zone}: ${verdict.sent} sent, ${faults.length} faults\n`);
}
const control = await runIn(zones[0], 1, true);
if (control.missing.length === 0) isGood = false;
rows.push(row('control', zones[0], control));
const names = ['Seed', 'Zone', 'Expected', 'Sent', 'Cuts', ...findings];
const columns = names.map(
  (name, index) => ({ name, align: index < 2 ? 'left' : 'right' }) as const,
);
process.stdout.write(`\n${formatTable(columns, rows)}\n`);
process.exit(isGood ? 0 : 1);

function row(seed: string, zone: string, verdict: Verdict): string[] {
  const { expected, sent, kills } = verdict;
  const counts = [expected, sent, kills, ...findings.map((name) => verdict[name].length)];
  return [seed, zone, ...counts.map(String)];
}

async function runIn(zone: string, seed: number, forgets: boolean): Promise<Verdict> {
  const endings: (() => unknown)[] = [];
  const t = { teardown: (end: () => unknown) => void endings.unshift(end) };
  try {
    const killShare = forgets ? 0 : 0.15;
    return await runZone(
      t as never,
      zone,
      { seed, forgets, killShare },
      forgets ? { ...size, days: 40 } : size,
    );
  } finally {
    for (const end of endings) await end();
  }
}
