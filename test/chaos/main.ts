/**
 * `npm run chaos -- [--short] [--seed n] [--kills n] [--patients n]`: no message is sent twice and none is lost, while
 * dispatchers are killed, die at every named point, and people opt out at the same moment. Each proof goes
 * with a control, a sender of the ordinary kind, which must be caught. Fails when a goal is missed.
 */
import { parseArgs } from 'node:util';
import { connect } from '../../src/database/connect.ts';
import { migrateToLatest } from '../../src/database/migrate.ts';
import { createProgress } from '../../src/progress.ts';
import { formatTable } from '../../src/text-table.ts';
import { createDatabase, type Postgres, startPostgres } from '../support/postgres-server.ts';
import { sweepFaultPoints } from './fault-points.ts';
import { type Gate, gatesOfControl, gatesOfKills, gatesOfSweep } from './gates.ts';
import { type ChaosOptions, type ChaosResult, runChaos } from './kills.ts';
import { naive } from './naive-contestant.ts';
import { checkThenSend, dispatcher, type RaceResult, raceOptOuts } from './opt-out-race.ts';
import { outbox } from './outbox-contestant.ts';

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    seed: { type: 'string', default: process.env.RETORNO_SEED ?? '1' },
    kills: { type: 'string' },
    /** Of each kind of provider. */
    patients: { type: 'string' },
  },
});

interface Sizes {
  kills: number;
  patients: number;
  dispatchers: number;
  perSecond: number;
  factor: number;
  races: number;
}

const short: Sizes = {
  kills: 12,
  patients: 110,
  dispatchers: 2,
  perSecond: 8,
  factor: 120,
  races: 300,
};
const full: Sizes = {
  kills: 200,
  // Every fifth of them is dead: 10,000 messages to each kind.
  patients: 12_530,
  dispatchers: 3,
  perSecond: 40,
  // What providers call back waits behind four kinds' work on one machine: half an hour is a minute and a half here.
  factor: 20,
  races: 3_000,
};

const seed = Number(values.seed);
const sizes = {
  ...(values.short ? short : full),
  ...(values.kills && { kills: Number(values.kills) }),
  ...(values.patients && { patients: Number(values.patients) }),
};

process.stdout.write(`Seed ${seed}; repeat with --seed ${seed}.\n`);
const postgres = await startPostgres();
try {
  // Each part takes minutes: what is known is told at once.
  const gates: Gate[] = [];
  const tell = (more: readonly Gate[]) => {
    gates.push(...more);
    process.stdout.write(`\n${table(more)}\n`);
  };
  tell(gatesOfKills(await kill(outbox), sizes));
  tell(gatesOfControl(await kill(naive)));
  tell(gatesOfSweep(await sweep()));
  tell(gatesOfRaces(await race(dispatcher), await race(checkThenSend)));
  process.exitCode = gates.every(({ isReached }) => isReached) ? 0 : 1;
} finally {
  postgres.stop();
}

async function kill(contestant: ChaosOptions['contestant']): Promise<ChaosResult> {
  const progress = createProgress(contestant.name, process.stdout);
  const databaseUrl = await freshDatabase(postgres);
  const { report } = progress;
  const result = await runChaos({ ...sizes, contestant, databaseUrl, seed, report });
  const { kills, minutes, seconds } = result;
  progress.finish(
    `${kills} kills, ${minutes} minutes of business time in ${Math.round(seconds)} s`,
  );
  return result;
}

async function sweep(): ReturnType<typeof sweepFaultPoints> {
  const progress = createProgress('fault points', process.stdout);
  const databaseUrl = await freshDatabase(postgres);
  const swept = await sweepFaultPoints({ databaseUrl, seed, report: progress.report });
  progress.finish(`${swept.length} deaths`);
  return swept;
}

async function race(sender: typeof dispatcher): Promise<RaceResult> {
  const database = await connect({ url: await freshDatabase(postgres) });
  try {
    await migrateToLatest(database.db);
    return await raceOptOuts(database.db, { races: sizes.races, seed, sender });
  } finally {
    await database.close();
  }
}

function gatesOfRaces(ours: RaceResult, control: RaceResult): Gate[] {
  const sent = ours.violations.length;
  const caught = control.violations.length;
  return [
    {
      gate: 'Opt-outs: sent after the answer',
      figure: `${sent} of ${ours.races} (${ours.sentBefore} before, ${ours.stopped} stopped)`,
      goal: '0',
      isReached: sent === 0,
    },
    {
      gate: 'Control: check, then send',
      figure: `${caught} caught`,
      goal: '> 0',
      isReached: caught > 0,
    },
  ];
}

async function freshDatabase(server: Postgres): Promise<string> {
  return server.url(await createDatabase(server));
}

function table(gates: readonly Gate[]): string {
  const columns = [{ name: 'Gate' }, { name: 'Figure' }, { name: 'Goal' }, { name: '' }];
  return formatTable(
    columns,
    gates.map(({ gate, figure, goal, isReached }) => [
      gate,
      figure,
      goal,
      isReached ? 'reached' : 'MISSED',
    ]),
  );
}
