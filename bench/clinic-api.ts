/** The calls of the API that the benchmarks share. */
import { Readable } from 'node:stream';
import { request } from 'undici';
import { type GeneratorOptions, generateHistories } from './generator.ts';
import { locales } from './locales.ts';
import type { Retorno } from './server-process.ts';

export interface BenchClinic {
  id: string;
  key: string;
}

export async function makeClinic(
  { url, operatorKey }: Pick<Retorno, 'url' | 'operatorKey'>,
  language: GeneratorOptions['language'],
): Promise<BenchClinic> {
  const { clinic: name, country, currency, timeZone } = locales[language];
  const { id, key } = await call<BenchClinic>(url, operatorKey, 'POST', '/v1/clinics', {
    ...{ name, country, currency, timeZone },
    language: locales[language].language,
    mode: 'live',
  });
  return { id, key };
}

export async function call<T>(
  url: string,
  key: string,
  method: 'GET' | 'POST' | 'PUT' | 'PATCH',
  path: string,
  body?: unknown,
): Promise<T> {
  const answer = await request(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.body.text();
  if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
  return JSON.parse(text) as T;
}

export interface StreamAnswer {
  accepted: number;
  duplicates: number;
  stale: number;
  rejected: { index: number; problem: unknown }[];
}

/** Streams events as NDJSON; throws if any was refused. */
export async function streamEvents(
  url: string,
  key: string,
  lines: Iterable<string>,
): Promise<StreamAnswer> {
  const answer = await request(`${url}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/x-ndjson' },
    body: Readable.from(chunks(lines), { objectMode: false }),
    bodyTimeout: 0,
    headersTimeout: 0,
  });
  const text = await answer.body.text();
  if (answer.statusCode >= 300) throw new Error(`POST /v1/events: ${answer.statusCode} ${text}`);
  const result = JSON.parse(text) as StreamAnswer;
  if (result.rejected.length > 0) throw new Error(`Refused: ${JSON.stringify(result.rejected[0])}`);
  return result;
}

const linesOfChunk = 200;

function* chunks(lines: Iterable<string>): Generator<Buffer> {
  let chunk: string[] = [];
  for (const line of lines) {
    chunk.push(line);
    if (chunk.length < linesOfChunk) continue;
    yield Buffer.from(`${chunk.join('\n')}\n`);
    chunk = [];
  }
  if (chunk.length > 0) yield Buffer.from(`${chunk.join('\n')}\n`);
}

export function* patientEvents(options: GeneratorOptions): Generator<string> {
  for (const { patient } of generateHistories(options))
    yield JSON.stringify({
      id: `e-${patient.id}`,
      type: 'patient.upserted',
      occurredAt: options.from.toString(),
      data: patient,
    });
}

export function* visitEvents(options: GeneratorOptions): Generator<string> {
  for (const { stays } of generateHistories(options))
    for (const { visit } of stays) {
      if (visit === undefined) continue;
      yield JSON.stringify({
        id: `e-${visit.id}`,
        type: 'visit.upserted',
        occurredAt: visit.end,
        data: visit,
      });
    }
}
