import { httpClient } from '../src/channels/http.ts';
import { smscAdapter } from '../src/channels/smsc/smsc.ts';
import { createLog } from '../src/log.ts';
import { uuidv7 } from '../src/uuid.ts';
import { createDatabase, type Postgres } from '../test/support/postgres-server.ts';
import { call } from './clinic-api.ts';
import { locales } from './locales.ts';
import { noon, openOutbox } from './outbox-clinic.ts';
import { type Drain, drainGraphileWorker, drainPgBoss, type Job, type Send } from './queues.ts';
import { atLeast, type BenchOptions, middle, perSecond, type Row, step } from './row.ts';
import { peakMemoryOf, type ServerProcess, startProvider } from './server-process.ts';

const rounds = 3;
const jobsOf = { short: 10_000, full: 50_000 };
const batch = 100;

/** One message a call, against two queues with the same handler, each contender in turn. */
export async function dispatch(postgres: Postgres, options: BenchOptions): Promise<Row> {
  const jobs = makeJobs(jobsOf[options.size]);
  const provider = await startProvider();
  const sender = openSender(provider.url);
  const seconds = { graphile: [] as number[], boss: [] as number[], ours: [] as number[] };
  const queue = (drain: Drain) =>
    createDatabase(postgres).then((name) => drain(postgres.url(name), jobs, sender.send));
  try {
    for (let round = 1; round <= rounds; round += 1)
      await step(`round ${round} of ${rounds}`, async () => {
        seconds.graphile.push(await queue(drainGraphileWorker));
        seconds.boss.push(await queue(drainPgBoss));
        seconds.ours.push(await drainOurs(postgres, provider, jobs, 1));
      });
    await expectCount(provider, jobs.length * rounds * 3);
  } finally {
    await sender.close();
    await provider.stop();
  }
  const ratios = seconds.ours.map(
    (ours, round) =>
      Math.min(seconds.graphile[round] ?? Number.NaN, seconds.boss[round] ?? Number.NaN) / ours,
  );
  const speed = (values: number[]) => perSecond(jobs.length, middle(values));
  return atLeast('dispatch: one message a call', 1.5, {
    floor: `graphile-worker ${speed(seconds.graphile)}, pg-boss ${speed(seconds.boss)}`,
    ours: speed(seconds.ours),
    ratio: middle(ratios),
  });
}

/** A hundred a call, against one a call. */
export async function batches(postgres: Postgres, options: BenchOptions): Promise<Row> {
  const jobs = makeJobs(jobsOf[options.size]);
  const provider = await startProvider();
  const single: number[] = [];
  const batched: number[] = [];
  try {
    for (let round = 1; round <= rounds; round += 1)
      await step(`round ${round} of ${rounds}`, async () => {
        single.push(await drainOurs(postgres, provider, jobs, 1));
        batched.push(await drainOurs(postgres, provider, jobs, batch));
      });
    await expectCount(provider, jobs.length * rounds * 2);
  } finally {
    await provider.stop();
  }
  const ratios = batched.map((ours, round) => (single[round] ?? Number.NaN) / ours);
  return atLeast(`batches: ${batch} messages a call`, 8, {
    floor: `one a call: ${perSecond(jobs.length, middle(single))}`,
    ours: perSecond(jobs.length, middle(batched)),
    ratio: middle(ratios),
  });
}

const drainedOf = { short: 100_000, full: 1_000_000 };
const fillMax = 50_000;
const memoryMax = 300 * 1024 * 1024;

/** The process's high-water mark while messages drain; run alone, since other rows raise it too. */
export async function memory(postgres: Postgres, options: BenchOptions): Promise<Row> {
  const messages = drainedOf[options.size];
  const provider = await startProvider();
  const outbox = await openOutbox(postgres.url(await createDatabase(postgres)), {
    baseUrl: provider.url,
    batch,
  });
  try {
    await step(`writing ${messages} messages`, async () => {
      for (let from = 0; from < messages; from += fillMax)
        await outbox.fill(makeJobs(Math.min(fillMax, messages - from), from));
    });
    globalThis.gc?.();
    const { seconds } = await step(`draining ${messages} messages`, () => outbox.drain(messages));
    const peak = await peakMemoryOf(process.pid);
    return {
      what: `memory: the highest while ${messages} messages drain`,
      floor: 'none',
      ours:
        peak === null
          ? 'not told by this system'
          : `${Math.round(peak / 1024 / 1024)} MB, ${perSecond(messages, seconds)}`,
      ratio: null,
      goal: 'under 300 MB',
      isReached: peak !== null && peak < memoryMax,
      note: 'the whole process of the benchmark, writing the messages included',
    };
  } finally {
    await outbox.close();
    await provider.stop();
  }
}

async function drainOurs(
  postgres: Postgres,
  provider: ServerProcess,
  jobs: readonly Job[],
  batchSize: number,
): Promise<number> {
  const url = postgres.url(await createDatabase(postgres));
  const outbox = await openOutbox(url, { baseUrl: provider.url, batch: batchSize });
  try {
    await outbox.fill(jobs);
    return await outbox.drain(jobs.length);
  } finally {
    await outbox.close();
  }
}

function makeJobs(count: number, from = 0): Job[] {
  return Array.from({ length: count }, (_, index) => ({
    to: locales.ru.phone(from + index),
    text: 'Здравствуйте! Ждём Вас завтра в 10:00.',
  }));
}

/** The queues' handler is the adapter that the outbox uses. */
function openSender(baseUrl: string): { send: Send; close(): Promise<void> } {
  const http = httpClient({ allowPrivate: true });
  const config = {
    credentials: { login: 'bench', password: 'bench' },
    options: { baseUrl, batch: 1 },
    callbackUrl: baseUrl,
  };
  const context = {
    http,
    signal: new AbortController().signal,
    deadline: noon.add({ hours: 12 }),
    log: createLog('warn'),
    now: () => noon,
  };
  return {
    send: async ({ to, text }) => {
      const id = uuidv7(noon);
      const message = smscAdapter.prepare(
        {
          ...{ id, clientRef: id, purpose: 'transactional', to },
          ...{ content: { text }, expiresAt: context.deadline },
        },
        config,
      );
      const [outcome] = await smscAdapter.send([message], config, context);
      if (outcome?.kind !== 'accepted') throw new Error('The provider did not take a message.');
    },
    close: () => http.close(),
  };
}

async function expectCount(provider: ServerProcess, messages: number): Promise<void> {
  const count = await call<{ messages: number }>(provider.url, 'none', 'GET', '/count');
  if (count.messages !== messages)
    throw new Error(`The provider took ${count.messages} messages, not ${messages}.`);
}
