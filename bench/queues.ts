/** The two queues that a Node service would take in place of the outbox, each set up as fast as it goes. */
import { run } from 'graphile-worker';
import { PgBoss } from 'pg-boss';

export interface Job {
  /** A phone. */
  to: string;
  text: string;
}

export type Send = (job: Job) => Promise<void>;

/** Calls to the provider in flight at once, for every contender. */
export const concurrency = 64;
const chunk = 1_000;
const localQueueSize = 1_000;
const poolSize = 10;

/** Seconds from the first look at the queue until every job is done and recorded as done. */
export type Drain = (url: string, jobs: readonly Job[], send: Send) => Promise<number>;

export const drainGraphileWorker: Drain = async (url, jobs, send) => {
  let done = 0;
  const finished = Promise.withResolvers<void>();
  const { makeWorkerUtils } = await import('graphile-worker');
  const utils = await makeWorkerUtils({ connectionString: url, logger: await silent() });
  await utils.migrate();
  for (let from = 0; from < jobs.length; from += chunk)
    await utils.addJobs(
      jobs.slice(from, from + chunk).map((payload) => ({ identifier: 'send', payload })),
    );
  await utils.release();
  const started = performance.now();
  const runner = await run({
    connectionString: url,
    noHandleSignals: true,
    logger: await silent(),
    taskList: {
      send: async (payload) => {
        await send(payload as Job);
        done += 1;
        if (done === jobs.length) finished.resolve();
      },
    },
    preset: {
      worker: {
        concurrentJobs: concurrency,
        maxPoolSize: poolSize,
        pollInterval: 500,
        localQueue: { size: localQueueSize },
        completeJobBatchDelay: 5,
        failJobBatchDelay: 5,
      },
    },
  });
  await finished.promise;
  // It stops when what is done is recorded.
  await runner.stop();
  return (performance.now() - started) / 1000;
};

async function silent() {
  const { Logger } = await import('graphile-worker');
  return new Logger(() => () => {});
}

export const drainPgBoss: Drain = async (url, jobs, send) => {
  const boss = new PgBoss({
    connectionString: url,
    max: poolSize,
    supervise: false,
    schedule: false,
  });
  boss.on('error', (error) => {
    throw error;
  });
  await boss.start();
  await boss.createQueue('send');
  for (let from = 0; from < jobs.length; from += chunk)
    await boss.insert(
      'send',
      jobs.slice(from, from + chunk).map((data) => ({ data: { ...data } })),
    );
  let done = 0;
  const finished = Promise.withResolvers<void>();
  const started = performance.now();
  await boss.work<Job>(
    'send',
    {
      batchSize: concurrency,
      localConcurrency: 2,
      burstWhenBatchFull: true,
      pollingIntervalSeconds: 0.5,
    },
    async (batch) => {
      await Promise.all(batch.map(({ data }) => send(data)));
      done += batch.length;
      if (done === jobs.length) finished.resolve();
    },
  );
  await finished.promise;
  // It stops when what is done is recorded.
  await boss.stop({ graceful: true });
  return (performance.now() - started) / 1000;
};
