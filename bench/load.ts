import { Pool } from 'undici';
import { quantile } from './row.ts';

export interface LoadResult {
  requests: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  /** Answers that were no 2xx. */
  refused: number;
}

export interface Load {
  url: string;
  path: string;
  key: string;
  connections: number;
  bodies: Iterator<string>;
}

/** Sends one body a request over so many connections, each waiting for its answer, until there are no more. */
export async function drive({ url, path, key, connections, bodies }: Load): Promise<LoadResult> {
  const pool = new Pool(url, { connections, pipelining: 1 });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const times: number[] = [];
  let refused = 0;
  const work = async () => {
    for (let next = bodies.next(); !next.done; next = bodies.next()) {
      const started = performance.now();
      const answer = await pool.request({ path, method: 'POST', headers, body: next.value });
      const text = await answer.body.text();
      times.push(performance.now() - started);
      if (answer.statusCode >= 300) {
        refused += 1;
        if (refused === 1) process.stderr.write(`  ${answer.statusCode}: ${text.slice(0, 300)}\n`);
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: connections }, work));
  const seconds = (performance.now() - started) / 1000;
  await pool.close();
  return {
    requests: times.length,
    seconds,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    refused,
  };
}

/** The next so many of a longer row. */
export function* take<T>(source: Iterator<T>, count: number): Generator<T> {
  for (let taken = 0; taken < count; taken += 1) {
    const next = source.next();
    if (next.done) return;
    yield next.value;
  }
}
