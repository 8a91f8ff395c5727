import { sql } from 'kysely';
import type { Test } from 'tap';
import { random } from '../../bench/random.ts';
import { connect, type Database } from '../../src/database/connect.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { planClinic } from '../../src/rules/plan.ts';
import { type Client, type TestApi, testApi } from '../support/api.ts';
import { expectedOf, rules, ticksOf } from './expect.ts';
import { firstDay, makeWorld, type Size, type World } from './world.ts';

/**
 * Three schedulers at once whose clocks differ, whose connections are cut in the middle of their work, and who are all
 * away for ten days: what they sent is compared with what the oracle says.
 */

export interface Verdict {
  expected: number;
  sent: number;
  kills: number;
  missing: string[];
  extra: string[];
  doubled: string[];
  early: string[];
  afterLimit: string[];
}

export interface ReplicaOptions {
  seed: number;
  /** Seconds that each scheduler's clock is off. */
  skews?: readonly number[];
  /** A control: changed patients are forgotten before each tick. */
  forgets?: boolean;
  /** Of ticks in which a connection is cut. */
  killShare?: number;
}

const usualSkews = [-90, 0, 90];

/** A live clinic in that zone, from its first day to its last. */
export async function runZone(
  t: Pick<Test, 'teardown'>,
  timeZone: string,
  options: ReplicaOptions,
  size: Size,
): Promise<Verdict> {
  const api = await testApi(t, { now: `${firstDay}T00:00:00Z` });
  const wish = { mode: 'live', now: undefined, timeZone, country: 'KZ', language: 'en' };
  const owner = await api.clinic(wish);
  return runReplicas(api, owner, makeWorld(options.seed, timeZone, size), options);
}

async function runReplicas(
  api: TestApi,
  owner: Client & { id: string },
  world: World,
  { seed, skews = usualSkews, killShare = 0.15, forgets = false }: ReplicaOptions,
): Promise<Verdict> {
  const dice = random(seed, 'replicas');
  const names = await switchOn(api, owner);
  // Else what is about an appointment would go before its hour where that is closed.
  await owner.patch('/v1/clinic', { sendWindow: { start: '00:00', end: '24:00' } });
  const replicas = await Promise.all(
    skews.map(async (seconds) => ({ seconds, database: await openReplica(api.database.url) })),
  );
  const { outage, told } = world;
  let kills = 0;
  let next = 0;
  try {
    for (const tick of ticksOf(world)) {
      for (let event = told[next]; event && event.arrivesAt < tick.toString(); event = told[next]) {
        api.clock.set(Temporal.Instant.from(event.arrivesAt));
        const { arrivesAt: _arrivesAt, ...body } = event;
        const answer = await owner.post('/v1/events', body);
        if (answer.status !== 202) throw new Error(answer.text);
        next += 1;
      }
      if (tick.toString() >= outage.from && tick.toString() < outage.until) continue;
      api.clock.set(tick);
      if (forgets)
        await withClinic(api.database.db, owner.id, (trx) =>
          sql`delete from replan where clinic_id = ${owner.id}`.execute(trx),
        );
      const isKilling = dice.chance(killShare);
      // Those that are cut off fail: nobody waits for them.
      const work = Promise.allSettled(
        replicas.map(async ({ seconds, database }) =>
          tickOnce(api, database, owner.id, tick.add({ seconds })),
        ),
      );
      if (isKilling) kills += await cutOne(api, dice.next());
      await work;
      // Whoever was killed is started again, and the clocks come to the instant that all have passed.
      if (isKilling) {
        const again = tick.add({ seconds: Math.max(...skews) });
        for (const { database } of replicas)
          await tickOnce(api, database, owner.id, again).catch(() => {});
      }
    }
  } finally {
    await Promise.all(replicas.map(({ database }) => database.close()));
  }
  return { kills, ...(await judge(api, owner.id, names, world)) };
}

function openReplica(url: string): Promise<Database> {
  return connect({ url, poolSize: 2 });
}

async function switchOn(api: TestApi, owner: Client): Promise<Map<string, string>> {
  api.clock.set(Temporal.Instant.from(`${firstDay}T00:00:00Z`));
  const bodies = { inbox: { en: { text: 'Hello' } } };
  const names = new Map<string, string>();
  for (const purpose of ['care', 'transactional'])
    await owner.put(`/v1/templates/${purpose}`, { purpose, bodies });
  for (const rule of rules) {
    const steps = [{ channel: 'inbox', template: rule.purpose }];
    const made = await owner.post('/v1/rules', {
      ...rule,
      unlessBooked: false,
      stopOn: ['opted-out'],
      steps,
    });
    if (made.status !== 201) throw new Error(made.text);
    const on = await owner.post(`/v1/rules/${made.body.id}/activate`);
    if (on.status !== 200) throw new Error(on.text);
    names.set(String(made.body.id), rule.name);
  }
  return names;
}

/** Errors are what a killed process has: it is tried again at the next tick. */
async function tickOnce(
  { deps }: TestApi,
  database: Database,
  clinicId: string,
  now: Temporal.Instant,
): Promise<void> {
  const own = { ...deps, db: database.db };
  await planClinic(own, clinicId, now);
  await dispatchClinic(own, clinicId, now);
}

async function cutOne({ database }: TestApi, which: number): Promise<number> {
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle' and backend_type = 'client backend'`.execute(
    database.db,
  );
  const victim = rows[Math.floor(which * rows.length)];
  if (victim === undefined) return 0;
  await sql`select pg_terminate_backend(${victim.pid})`.execute(database.db);
  return 1;
}

async function judge(
  { database }: TestApi,
  clinicId: string,
  names: ReadonlyMap<string, string>,
  world: World,
): Promise<Omit<Verdict, 'kills'>> {
  const rows = await withClinic(database.db, clinicId, async (trx) => {
    const found = await sql<{
      ruleId: string;
      patientId: string;
      occurrence: string;
      sentAt: Temporal.Instant;
    }>`
      select m.rule_id as "ruleId", p.external_id as "patientId", m.occurrence, m.sent_at as "sentAt"
      from messages m join patients p on p.clinic_id = ${clinicId} and p.id = m.patient_id
      where m.clinic_id = ${clinicId} and m.sent_at is not null`.execute(trx);
    return found.rows;
  });
  const expected = expectedOf(world);
  const keys = rows.map((row) => ({
    key: `${names.get(row.ruleId)} ${row.patientId} ${row.occurrence}`,
    at: row.sentAt,
  }));
  const seen = new Map<string, Temporal.Instant[]>();
  for (const { key, at } of keys) seen.set(key, [...(seen.get(key) ?? []), at]);
  const late = Temporal.Duration.from({ seconds: 90 });
  const compare = Temporal.Instant.compare;
  return {
    expected: expected.size,
    sent: rows.length,
    missing: [...expected.keys()].filter((key) => !seen.has(key)),
    extra: [...seen.keys()].filter((key) => !expected.has(key)),
    doubled: [...seen].filter(([, times]) => times.length > 1).map(([key]) => key),
    early: keys
      .filter(({ key, at }) => compare(at, expected.get(key)?.dueAt ?? at) < 0)
      .map(({ key }) => key),
    afterLimit: keys
      .filter(({ key, at }) => {
        const wanted = expected.get(key);
        return (
          wanted !== undefined &&
          (compare(at, wanted.expiresAt) >= 0 || compare(at, wanted.goesAt.add(late)) > 0)
        );
      })
      .map(({ key }) => key),
  };
}
