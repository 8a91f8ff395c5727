import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Random } from '../../bench/random.ts';
import type { Db } from '../../src/database/connect.ts';
import { type Child, startChild } from '../chaos/child.ts';
import type { Looked } from './replica.ts';

/** Schedulers that are processes of their own, which die in the middle of their work and are started again. */

export interface Fleet {
  /** All look at that instant, and again a little later until nothing is left to do. */
  look(tickMs: number): Promise<void>;
  killAll(): Promise<void>;
  counts: FleetCounts;
}

export interface FleetCounts {
  /** Processes ended by SIGKILL, and those of them that were at work. */
  kills: number;
  struck: number;
  /** Connections that the database ended under somebody's hands. */
  cuts: number;
}

export interface FleetWish {
  db: Db;
  databaseUrl: string;
  dice: Random;
  skewsMs: readonly number[];
  /** Of the ticks at which there is work, the share at which somebody is killed, or a connection cut. */
  killShare: number;
  cutShare: number;
}

interface Place {
  skewMs: number;
  child: Child | null;
}

/** Between two looks of one tick, as between two rings of the alarm. */
export const lookEveryMs = 15_000;
export const looksMax = 10;
const strikeMsMax = 50;

export function createFleet(wish: FleetWish): Fleet {
  const { db, dice, databaseUrl } = wish;
  const counts: FleetCounts = { kills: 0, struck: 0, cuts: 0 };
  const places: Place[] = wish.skewsMs.map((skewMs) => ({ skewMs, child: null }));
  const start = ({ skewMs }: Place) =>
    startChild({ program: '../oracle/replica.ts', settings: { skewMs }, databaseUrl });

  const revive = async () => {
    await Promise.all(
      places.map(async (place) => {
        if (place.child !== null) return;
        place.child = start(place);
        await place.child.ready;
      }),
    );
  };

  /** @returns whether something was left undone. */
  const lookOnce = async (atMs: number, isFirst: boolean): Promise<boolean> => {
    await revive();
    // Who has nothing to do dies without a word.
    const isBusy = isFirst && (await isWorkLeft(db, atMs));
    const looks = places.map(({ child }) => ask(child, atMs));
    const isKilling = isBusy && dice.chance(wish.killShare);
    const isCutting = isBusy && dice.chance(wish.cutShare);
    if (isKilling) await strike(places[dice.whole(0, places.length - 1)], looks);
    if (isCutting) counts.cuts += await cutOne(db, dice);
    const answers = await Promise.all(looks);
    return isKilling || answers.some((answer) => answer === null || answer.isBroken);
  };

  const strike = async (place: Place | undefined, looks: readonly Promise<unknown>[]) => {
    if (place?.child == null) return;
    const victim = place.child;
    const look = looks[places.indexOf(place)];
    await pause(Math.floor(dice.next() * strikeMsMax));
    const isAtWork = await Promise.race([look?.then(() => false), pause(0).then(() => true)]);
    place.child = null;
    await victim.kill();
    counts.kills += 1;
    counts.struck += isAtWork === true ? 1 : 0;
    await connectionsGone(db, victim.name);
  };

  return {
    counts,
    look: async (tickMs) => {
      for (let look = 0; look < looksMax; look += 1) {
        const isUndone = await lookOnce(tickMs + look * lookEveryMs, look === 0);
        if (!isUndone && !(await isWorkLeft(db, tickMs + Math.max(...wish.skewsMs)))) return;
      }
      throw new Error(`The work of ${new Date(tickMs).toISOString()} comes to no end.`);
    },
    killAll: async () => {
      await Promise.all(places.map(({ child }) => child?.kill()));
      for (const place of places) place.child = null;
    },
  };
}

/** Null where it died before it was done. */
async function ask(child: Child | null, atMs: number): Promise<Looked | null> {
  if (child === null) return null;
  const answer = new Promise<Looked>((resolve) => {
    child.process.once('message', resolve);
  });
  child.process.send(atMs, () => {});
  return Promise.race([answer, child.ended.then(() => null)]);
}

async function cutOne(db: Db, dice: Random): Promise<number> {
  await pause(Math.floor(dice.next() * strikeMsMax));
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_stat_activity
    where datname = current_database() and application_name like 'chaos-%' and state <> 'idle'
    order by pid`.execute(db);
  const victim = rows[Math.floor(dice.next() * rows.length)];
  if (victim === undefined) return 0;
  await sql`select pg_terminate_backend(${victim.pid})`.execute(db);
  return 1;
}

/** What a dead process had asked for may still commit. */
async function connectionsGone(db: Db, name: string): Promise<void> {
  for (;;) {
    const { rows } = await sql`
      select from pg_stat_activity where application_name = ${name}`.execute(db);
    if (rows.length === 0) return;
    await pause(5);
  }
}

async function isWorkLeft(db: Db, untilMs: number): Promise<boolean> {
  const until = Temporal.Instant.fromEpochMilliseconds(untilMs);
  const { rows } = await sql`
    select from clinic_work where kind in ('plan', 'dispatch') and next_at <= ${until} limit 1`.execute(
    db,
  );
  return rows.length > 0;
}
