/** The whole HTTP side on a database of the test's own, and short words for asking it. */
import type { InjectOptions } from 'fastify';
import type { Test } from 'tap';
import { buildApp } from '../../src/api/app.ts';
import type { App } from '../../src/api/app-types.ts';
import { type AppDeps, createDeps } from '../../src/api/deps.ts';
import { type FixedClock, fixedClock } from '../../src/clock.ts';
import { createLog } from '../../src/log.ts';
import { createSecrets } from '../../src/secrets.ts';
import { checkAnswer } from './answer-check.ts';
import { type TestDatabase, testDatabase } from './postgres.ts';

export const operatorKey = 'the-operator-of-the-tests';

export interface Answer {
  status: number;
  // A test says itself what it expects of an answer.
  body: Record<string, unknown> & { errors?: { pointer: string; code: string }[] };
  text: string;
  headers: Record<string, unknown>;
}

/** Asks with one key. */
export interface Client {
  get(url: string, headers?: Record<string, string>): Promise<Answer>;
  post(url: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  put(url: string, body: unknown): Promise<Answer>;
  patch(url: string, body: unknown): Promise<Answer>;
  delete(url: string): Promise<Answer>;
  send(options: InjectOptions): Promise<Answer>;
}

export interface TestApi {
  app: App;
  deps: AppDeps;
  database: TestDatabase;
  clock: FixedClock;
  /** Every line that was logged. */
  logLines: string[];
  operator: Client;
  as(key: string): Client;
  /** A clinic and its first key's client. */
  clinic(wish?: Record<string, unknown>): Promise<Client & { id: string; key: string }>;
}

export async function testApi(
  t: Pick<Test, 'teardown'>,
  options: {
    engine?: 'postgres' | 'pglite';
    now?: string;
    requestsPerSecond?: number;
    deps?: (deps: AppDeps) => AppDeps;
  } = {},
): Promise<TestApi> {
  const database = await testDatabase(t, { engine: options.engine ?? 'postgres' });
  const clock = fixedClock(options.now ?? '2026-03-02T15:00:00Z');
  const logLines: string[] = [];
  const log = createLog('trace', { write: (line) => void logLines.push(line) });
  const base = createDeps({
    database,
    clock,
    secrets: createSecrets(Buffer.alloc(32, 7)),
    log,
    operatorKey,
    publicUrl: 'http://localhost:8080',
    privateUrls: 'allow',
    requestsPerSecond: options.requestsPerSecond ?? 100_000,
    trustProxy: [],
    fault: null,
    ticks: true,
  });
  const deps = options.deps?.(base) ?? base;
  const app = await buildApp(deps);
  deps.health.ticked();
  await app.ready();
  t.teardown(async () => {
    await app.close();
    await deps.http.close();
  });
  const as = (key: string) => client(app, key);
  const operator = as(operatorKey);
  return {
    app,
    deps,
    database,
    clock,
    logLines,
    operator,
    as,
    clinic: async (wish = {}) => {
      const made = await operator.post('/v1/clinics', { ...usualClinic, ...wish });
      if (made.status !== 201) throw new Error(`No clinic was made: ${made.text}`);
      const { id, key } = made.body as { id: string; key: string };
      return { ...as(key), id, key };
    },
  };
}

const usualClinic = {
  name: 'Clínica Sonrisa',
  timeZone: 'America/Bogota',
  country: 'CO',
  language: 'es',
  currency: 'COP',
  mode: 'test',
  now: '2026-03-02T15:00:00Z',
};

function client(app: App, key: string): Client {
  const send = async (options: InjectOptions): Promise<Answer> => {
    const headers = { authorization: `Bearer ${key}`, ...options.headers };
    const answer = await app.inject({ ...options, headers });
    const type = answer.headers['content-type'];
    const hasJson = isJson(type) && answer.body !== '';
    if (hasJson) {
      const { method = 'GET', url } = options;
      await checkAnswer(method, String(url), answer.statusCode, answer.json());
    }
    return {
      status: answer.statusCode,
      body: hasJson ? answer.json() : {},
      text: answer.body,
      headers: answer.headers,
    };
  };
  const withBody =
    (method: 'POST' | 'PUT' | 'PATCH') =>
    (url: string, body?: unknown, headers: Record<string, string> = {}) =>
      send({
        method,
        url,
        headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
        ...(body !== undefined && { payload: JSON.stringify(body) }),
      });
  return {
    send,
    get: (url, headers = {}) => send({ method: 'GET', url, headers }),
    post: withBody('POST'),
    put: withBody('PUT'),
    patch: withBody('PATCH'),
    delete: (url) => send({ method: 'DELETE', url }),
  };
}

function isJson(type: unknown): boolean {
  return /^application\/([a-z-]+\+)?json/.test(String(type));
}
