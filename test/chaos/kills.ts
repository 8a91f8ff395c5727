/**
 * Dispatchers are killed at random moments while they drain messages to four kinds of providers that fail
 * in every way. Whoever sends is a contestant; the providers' own count judges.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import { connect, type Db } from '../../src/database/connect.ts';
import { migrateToLatest } from '../../src/database/migrate.ts';
import { type Faults, seededRandom } from '../simulators/control.ts';
import { receiveCallbacks } from './callbacks.ts';
import { makeChaosClinic } from './chaos-clinic.ts';
import { type Child, startChild } from './child.ts';
import { judge, type ProviderName, providerNames, type Told, type Verdict } from './judge.ts';
import { startProviders } from './providers.ts';
import { scaledClock, timeScale } from './scaled-clock.ts';

/** What sends. */
export interface Contestant {
  name: string;
  /** A file of this folder, run with the settings of a dispatcher. */
  program: string;
  /** Holds `id`, `lease_until` and `held_by`, the name of the connection that set the lease. */
  table: 'messages' | 'naive_messages';
  prepare(db: Db): Promise<void>;
  tell(db: Db): Promise<Told[]>;
  /** How many messages have still to be sent or given up. */
  open(db: Db): Promise<number>;
}

export interface ChaosOptions {
  contestant: Contestant;
  /** An empty database. */
  databaseUrl: string;
  seed: number;
  kills: number;
  /** Of each provider. */
  patients: number;
  dispatchers: number;
  /** Of each provider. */
  perSecond: number;
  /** How much faster business time runs. */
  factor: number;
  report?: (done: number, total: number, note: string) => void;
}

export interface ChaosResult {
  verdicts: Record<ProviderName, Verdict>;
  kills: number;
  /** Kills that found messages claimed or on the wire. */
  struck: number;
  /** Messages whose sending a kill interrupted. */
  interrupted: number;
  /** Business time that passed. */
  minutes: number;
  seconds: number;
}

/** By business time a call lasts at most a minute: shorter than the 90 seconds until the first question. */
const callBusinessMs = 60_000;
const lateBusinessMs = 80_000;
/** A process lives that long at most once it works: long enough to get something done. */
const workMsMax = 2_000;
/** What is still open then is counted as stuck. */
const drainMsMax = 1_800_000;
const lookMs = 100;

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { contestant, seed, factor } = options;
  const scale = timeScale(factor);
  const clock = scaledClock(scale);
  const random = seededRandom(seed);
  const database = await connect({ url: options.databaseUrl });
  const { db } = database;
  const providers = await startProviders(seed, clock);
  const callbacks = await receiveCallbacks(db, clock);
  let fleet: Fleet | null = null;
  try {
    await migrateToLatest(db);
    let messages = 0;
    for (const provider of providerNames) {
      const clinic = await makeChaosClinic(db, { ...options, providers, provider, clock });
      providers.callBack(provider, callbacks.url, clinic.id);
      messages += clinic.messages;
      options.report?.(messages, options.patients * providerNames.length, 'messages planned');
    }
    await contestant.prepare(db);
    providers.faults((provider) => faultsOf(provider, factor));
    const settings = { scale, callTimeoutMs: callBusinessMs / factor };
    fleet = createFleet(options, db, settings, random);
    const started = performance.now();
    const counts = await fleet.killAll();
    await drain(options, db, messages);
    await fleet.end();
    await providers.settled();
    const told = await contestant.tell(db);
    const taken = providers.taken();
    const verdictOn = (name: ProviderName) =>
      judge(
        told.filter(({ provider }) => provider === name),
        taken.filter(({ provider }) => provider === name),
      );
    return {
      ...counts,
      verdicts: {
        smsc: verdictOn('smsc'),
        sendgrid: verdictOn('sendgrid'),
        webhook: verdictOn('webhook'),
        smtp: verdictOn('smtp'),
      },
      minutes: Math.round((clock.now().epochMilliseconds - scale.shownMs) / 60_000),
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    await fleet?.end();
    await Promise.all([providers.close(), callbacks.close()]);
    await database.close();
  }
}

function faultsOf(provider: ProviderName, factor: number): Faults {
  return {
    // A mail server's 5xx is its last word, and the mail rightly given up.
    ...{
      http5xx: provider === 'smtp' ? 0 : 0.03,
      http429: 0.02,
      acceptThenDropReply: 0.03,
      dropBeforeAccept: 0.02,
    },
    ...{ late: 0.01, lateMs: lateBusinessMs / factor, latencyMs: [20, 120] },
    ...{ callbackDelayMs: [0, 100], callbackDuplicate: 0.05, callbackReorder: 0.05 },
  };
}

interface Fleet {
  killAll(): Promise<Pick<ChaosResult, 'kills' | 'struck' | 'interrupted'>>;
  end(): Promise<void>;
}

function createFleet(options: ChaosOptions, db: Db, settings: object, random: () => number): Fleet {
  const { contestant, databaseUrl } = options;
  const start = () => startChild({ program: contestant.program, settings, databaseUrl });
  const fleet = Array.from({ length: options.dispatchers }, start);
  const counts = { kills: 0, struck: 0, interrupted: 0 };

  const killOne = async (place: number) => {
    const victim = fleet[place];
    if (victim === undefined) return;
    await victim.ready;
    await pause(Math.floor(random() * workMsMax));
    await victim.kill();
    fleet[place] = start();
    const lost = await endLeases(db, contestant.table, victim);
    counts.struck += lost.length > 0 ? 1 : 0;
    counts.interrupted += lost.filter(({ state }) => state === 'sending').length;
  };

  const killInTurn = async (place: number) => {
    while (counts.kills < options.kills) {
      counts.kills += 1;
      options.report?.(counts.kills, options.kills, `kills of ${contestant.name}`);
      await killOne(place);
    }
  };

  return {
    killAll: async () => {
      await Promise.all(fleet.map((_, place) => killInTurn(place)));
      return counts;
    },
    end: async () => {
      await Promise.all(fleet.map((child) => child.kill()));
    },
  };
}

/**
 * A dead process keeps its leases until they end, by the database's clock, which nobody can hurry: they
 * are moved back as if that time had passed. Its connections must be gone first: what they had been sent
 * may still commit.
 */
export async function endLeases(
  db: Db,
  table: Contestant['table'],
  { name }: Child,
): Promise<{ state: string }[]> {
  for (let open = 1; open > 0; ) {
    const { rows } = await sql<{ open: number }>`
      select count(*)::int as open from pg_stat_activity where application_name = ${name}`.execute(
      db,
    );
    open = rows[0]?.open ?? 0;
    if (open > 0) await pause(10);
  }
  const { rows } = await sql<{ state: string }>`
    with held as (
      select id from ${sql.table(table)} where held_by = ${name} and lease_until is not null
      order by id for no key update
    )
    update ${sql.table(table)} m set lease_until = clock_timestamp()
    from held where m.id = held.id and m.lease_until is not null
    returning m.state`.execute(db);
  return rows;
}

export async function drain(
  options: Pick<ChaosOptions, 'contestant' | 'report'>,
  db: Db,
  messages: number,
): Promise<void> {
  const deadline = performance.now() + drainMsMax;
  while (performance.now() < deadline) {
    const open = await options.contestant.open(db);
    options.report?.(messages - open, messages, `messages of ${options.contestant.name} settled`);
    if (open === 0) return;
    await pause(lookMs);
  }
}
