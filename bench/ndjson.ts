import { createWriteStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { createDatabase, type Postgres } from '../test/support/postgres-server.ts';
import { makeClinic, patientEvents, streamEvents, visitEvents } from './clinic-api.ts';
import { type GeneratorOptions, generateHistories } from './generator.ts';
import { generator } from './intake.ts';
import { take } from './load.ts';
import { atLeast, type BenchOptions, perSecond, type Row, step } from './row.ts';
import { startRetorno } from './server-process.ts';

const visitsOf = { short: 100_000, full: 1_000_000 };
/** The generator gives a patient more visits than this, on average. */
const visitsOfPatient = 5;
const memoryMax = 300 * 1024 * 1024;

/** A million visits as one stream, against COPY of the same rows into one table; and the memory it takes. */
export async function ndjson(postgres: Postgres, options: BenchOptions): Promise<Row[]> {
  const visits = visitsOf[options.size];
  const histories = generator(options.seed, Math.ceil(visits / visitsOfPatient));
  const database = await createDatabase(postgres);
  const retorno = await startRetorno(postgres.url(database), 'api');
  try {
    const { key } = await makeClinic(retorno, histories.language);
    await step(`loading ${histories.patients} patients`, () =>
      streamEvents(retorno.url, key, patientEvents(histories)),
    );
    const floor = await copyVisits(postgres.url(database), histories, visits);
    const ours = await step(`streaming ${visits} visits`, () =>
      streamEvents(retorno.url, key, take(visitEvents(histories), visits)),
    );
    if (ours.result.accepted !== visits)
      throw new Error(`Only ${ours.result.accepted} of ${visits} visits were accepted.`);
    const row = atLeast(`ndjson: ${visits} visits as one stream`, 0.3, {
      floor: perSecond(visits, floor),
      ours: perSecond(visits, ours.seconds),
      ratio: floor / ours.seconds,
    });
    return [row, toMemoryRow(visits, await retorno.peakMemory())];
  } finally {
    await retorno.stop();
  }
}

function toMemoryRow(visits: number, peak: number | null): Row {
  return {
    what: `memory: the service's highest while ${visits} lines stream in`,
    floor: 'none',
    ours: peak === null ? 'not told by this system' : `${Math.round(peak / 1024 / 1024)} MB`,
    ratio: null,
    goal: 'under 300 MB',
    isReached: peak !== null && peak < memoryMax,
  };
}

/** Seconds that the server itself takes to read the visits from a file into a table with a primary key. */
async function copyVisits(
  url: string,
  histories: GeneratorOptions,
  visits: number,
): Promise<number> {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'retorno-bench-'));
  const file = path.join(directory, 'visits.csv');
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    // The server may run as somebody else.
    await fs.chmod(directory, 0o755);
    await pipeline(Readable.from(take(csvLines(histories), visits)), createWriteStream(file));
    await client.query(`create table floor_visits (source text, external_id text, patient_id text, appointment_id text,
      status text, started_at timestamptz, ended_at timestamptz, practitioner_id text, practitioner_name text,
      services jsonb, service_ids text[], amount_minor bigint, currency text, primary key (source, external_id))`);
    const { seconds } = await step(`copying ${visits} visits`, () =>
      client.query(`copy floor_visits from '${file}' with (format csv)`),
    );
    return seconds;
  } finally {
    await client.end();
    await fs.rm(directory, { recursive: true, force: true });
  }
}

function* csvLines(histories: GeneratorOptions): Generator<string> {
  for (const { stays } of generateHistories(histories))
    for (const { visit } of stays) {
      if (visit === undefined) continue;
      const { id, patientId, appointmentId, start, end, practitioner, services, amount } = visit;
      const cells = [
        ...['mis', id, patientId, appointmentId ?? '', visit.status, start, end],
        ...[practitioner.id, practitioner.name, JSON.stringify(services)],
        `{${services.map((service) => service.id).join(',')}}`,
        ...[amount.replace('.', ''), visit.currency],
      ];
      yield `${cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(',')}\n`;
    }
}
