import { createDatabase, type Postgres } from '../test/support/postgres-server.ts';
import { makeClinic, patientEvents, streamEvents, visitEvents } from './clinic-api.ts';
import type { GeneratorOptions } from './generator.ts';
import { drive, type LoadResult, take } from './load.ts';
import { atLeast, type BenchOptions, middle, perSecond, type Row, step } from './row.ts';
import { startFloor, startRetorno } from './server-process.ts';

const connections = 64;
const rounds = 3;
const sizes = {
  short: { patients: 4_000, warmUp: 2_000, requests: 6_000 },
  full: { patients: 40_000, warmUp: 5_000, requests: 40_000 },
};

/** Events accepted and stored, 64 connections, one event a request; the floor and the service take turns. */
export async function intake(postgres: Postgres, options: BenchOptions): Promise<Row> {
  const size = sizes[options.size];
  const histories = generator(options.seed, size.patients);
  const floor = await startFloor(postgres.url(await createDatabase(postgres)));
  const retorno = await startRetorno(postgres.url(await createDatabase(postgres)), 'api');
  try {
    const { key } = await makeClinic(retorno, histories.language);
    await step(`loading ${size.patients} patients`, () =>
      streamEvents(retorno.url, key, patientEvents(histories)),
    );
    const load = { path: '/v1/events', connections };
    const floorEvents = visitEvents(histories);
    const ourEvents = visitEvents(histories);
    const toFloor = (count: number) =>
      drive({ ...load, url: floor.url, key: 'none', bodies: take(floorEvents, count) });
    const toRetorno = (count: number) =>
      drive({ ...load, url: retorno.url, key, bodies: take(ourEvents, count) });
    await step('warming up', async () => {
      await toFloor(size.warmUp);
      await toRetorno(size.warmUp);
    });
    const floors: LoadResult[] = [];
    const ours: LoadResult[] = [];
    for (let round = 1; round <= rounds; round += 1)
      await step(`round ${round} of ${rounds}`, async () => {
        floors.push(await toFloor(size.requests));
        ours.push(await toRetorno(size.requests));
      });
    return toRow(floors, ours);
  } finally {
    await retorno.stop();
    await floor.stop();
  }
}

function toRow(floors: LoadResult[], ours: LoadResult[]): Row {
  const refused = ours.reduce((sum, result) => sum + result.refused, 0);
  if (refused > 0) throw new Error(`${refused} events were refused.`);
  const ratios = ours.map((result, round) => rate(result) / rate(floors[round]));
  return atLeast('intake: events a second, 64 connections, one event a request', 1.5, {
    floor: describe(floors),
    ours: describe(ours),
    ratio: middle(ratios),
  });
}

function rate(result: LoadResult | undefined): number {
  return result === undefined ? Number.NaN : result.requests / result.seconds;
}

function describe(results: LoadResult[]): string {
  const speed = perSecond(middle(results.map(rate)), 1);
  const p50 = middle(results.map(({ p50Ms }) => p50Ms)).toFixed(1);
  return `${speed} (p50 ${p50} ms, p99 ${middle(results.map(({ p99Ms }) => p99Ms)).toFixed(1)} ms)`;
}

export function generator(seed: number, patients: number): GeneratorOptions {
  return {
    seed,
    language: 'ru',
    from: Temporal.Instant.from('2023-01-01T00:00:00Z'),
    until: Temporal.Instant.from('2026-01-01T00:00:00Z'),
    patients,
  };
}
