import pg from 'pg';
import { connect } from '../src/database/connect.ts';
import { migrateToLatest } from '../src/database/migrate.ts';
import { planClinic } from '../src/rules/plan.ts';
import { createDatabase, type Postgres } from '../test/support/postgres-server.ts';
import {
  activeDay,
  type History,
  makePlanningClinic,
  planDeps,
  rules,
  startOf,
} from './planning-clinic.ts';
import { floorStatements } from './planning-floor.ts';
import { atMost, type BenchOptions, middle, type Row, step } from './row.ts';

/** Each a day that begins; the floor and the planner go first in turn. */
const measuredDays = 4;
const daysAhead = 3;

const sizes = {
  short: { patients: 50_000, visitsEach: 10 },
  full: { patients: 1_000_000, visitsEach: 10 },
};

/** A day begins: ten rules find who is due, against one hand-written statement each. */
export async function planning(postgres: Postgres, options: BenchOptions): Promise<Row> {
  const history = sizes[options.size];
  const { ours, floors, due } = await measure(postgres, history, true);
  const ratios = ours.map((seconds, day) => seconds / (floors[day] ?? Number.NaN));
  const visits = history.patients * history.visitsEach;
  return atMost(
    `planning: a day of ${number(history.patients)} patients, ${number(visits)} visits, ${rules.length} rules`,
    1.5,
    {
      floor: `${middle(floors).toFixed(2)} s`,
      ours: `${middle(ours).toFixed(2)} s for ${number(middle(due))} due`,
      ratio: middle(ratios),
    },
  );
}

/** The same patients and the same last visits, with ten times the visits before. */
export async function growth(postgres: Postgres, options: BenchOptions): Promise<Row> {
  const { patients } = sizes[options.size];
  const short = await measure(postgres, { patients, visitsEach: 1 }, false);
  const long = await measure(postgres, { patients, visitsEach: 10 }, false);
  return atMost(`growth: planning with ten times the history`, 1.3, {
    floor: `${middle(short.ours).toFixed(2)} s with ${number(patients)} visits`,
    ours: `${middle(long.ours).toFixed(2)} s with ${number(patients * 10)} visits`,
    ratio: middle(long.ours) / middle(short.ours),
  });
}

interface Measured {
  ours: number[];
  floors: number[];
  due: number[];
}

async function measure(
  postgres: Postgres,
  history: History,
  withFloor: boolean,
): Promise<Measured> {
  const url = postgres.url(await createDatabase(postgres));
  const database = await connect({ url });
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    await migrateToLatest(database.db);
    const made = await step(`writing ${number(history.patients * history.visitsEach)} visits`, () =>
      makePlanningClinic(database, url, history),
    );
    const { clinicId, ruleIds } = made.result;
    await step('planning the days that are ahead already', () =>
      planClinic(planDeps(database), clinicId, startOf(activeDay)),
    );
    await client.query('create table floor_journeys (like journeys including all)');
    await client.query('create table floor_messages (like messages including all)');
    await client.query('vacuum analyze');
    const measured: Measured = { ours: [], floors: [], due: [] };
    for (let day = 1; day <= measuredDays; day += 1) {
      const today = Temporal.PlainDate.from(activeDay).add({ days: day });
      const dueDay = today.add({ days: daysAhead - 1 }).toString();
      const ours = async () => {
        const plan = () => planClinic(planDeps(database), clinicId, startOf(today.toString()));
        measured.ours.push((await step(`day ${day}: the planner`, plan)).seconds);
      };
      const floor = async () => {
        if (!withFloor) return;
        const run = () => runFloor(client, clinicId, ruleIds, dueDay);
        measured.floors.push((await step(`day ${day}: by hand`, run)).seconds);
      };
      // Who comes second finds the pages in memory.
      if (day % 2 === 0) await floor();
      await ours();
      if (day % 2 === 1) await floor();
      measured.due.push(await compare(client, clinicId, dueDay, withFloor));
    }
    return measured;
  } finally {
    await client.end();
    await database.close();
  }
}

async function runFloor(
  client: pg.Client,
  clinicId: string,
  ruleIds: ReadonlyMap<string, string>,
  dueDay: string,
): Promise<void> {
  for (const { rule, text } of floorStatements(clinicId, dueDay)) {
    await client.query('begin');
    await client.query(text, [ruleIds.get(rule)]);
    await client.query('commit');
  }
}

/** The planner and the statements must have found the same. @returns how many are due on that day. */
async function compare(
  client: pg.Client,
  clinicId: string,
  dueDay: string,
  withFloor: boolean,
): Promise<number> {
  const from = startOf(dueDay);
  const until = startOf(Temporal.PlainDate.from(dueDay).add({ days: 1 }).toString());
  const due = (table: string) => `select rule_id, patient_id, occurrence, due_at from ${table}
    where clinic_id = '${clinicId}' and due_at >= '${from}' and due_at < '${until}'`;
  const { rows } = await client.query<{ due: number; missing: number; extra: number }>(`select
    (select count(*)::int from (${due('journeys')}) d) as due,
    (select count(*)::int from (${due('floor_journeys')} except ${due('journeys')}) d) as missing,
    (select count(*)::int from (${due('journeys')} except ${due('floor_journeys')}) d) as extra`);
  const [found] = rows;
  if (found === undefined) throw new Error('Nothing was compared.');
  if (withFloor && (found.missing > 0 || found.extra > 0))
    throw new Error(`The planner misses ${found.missing} and has ${found.extra} too many.`);
  return found.due;
}

function number(value: number): string {
  return value.toLocaleString('en');
}
