import { isIP } from 'node:net';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

/**
 * The only reader of the environment. A variable that is wrong, misspelt or missing stops the start and
 * is named, with what was expected. `docs/configuration.md` lists the same variables; a test compares.
 */

/** Each variable with its default and meaning; texts become numbers where a number is wanted. */
export const configSchema = Type.Object({
  DATABASE_URL: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://',
      description:
        'PostgreSQL 15 or later, as `postgres://user:password@host:port/database`. Without it the data stay in `RETORNO_DATA_DIR` on the embedded database.',
    }),
  ),
  RETORNO_HOST: Type.String({
    minLength: 1,
    default: '127.0.0.1',
    description: 'The address to listen on; `0.0.0.0` for all of them.',
  }),
  RETORNO_PORT: Type.Integer({
    minimum: 0,
    maximum: 65_535,
    default: 8080,
    description: 'The port to listen on; 0 takes a free one.',
  }),
  RETORNO_DATA_DIR: Type.String({
    minLength: 1,
    default: './.retorno',
    description: 'The folder of the embedded database and of the keys made on the first start.',
  }),
  RETORNO_OPERATOR_KEY: Type.Optional(
    Type.String({
      pattern: '^[!-~]{1,255}$',
      description:
        'The key for `/v1/clinics`, of visible ASCII characters. Made and printed on the first start of the embedded database; required with `DATABASE_URL`.',
    }),
  ),
  RETORNO_SECRET_KEY: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9+/]{43}=$',
      description:
        '32 bytes in base64, as `openssl rand -base64 32` prints them. It encrypts provider credentials and signs links; without it they cannot be read again. Made on the first start of the embedded database; required with `DATABASE_URL`.',
    }),
  ),
  RETORNO_PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#\\s]+(/[^?#\\s]*)?$',
      description:
        'Where links in messages and callbacks of providers point, such as `https://retorno.example.org`. The default is the address listened on.',
    }),
  ),
  RETORNO_PRIVATE_URLS: Type.Optional(
    Type.Union([Type.Literal('allow'), Type.Literal('deny')], {
      description:
        'Whether providers and webhooks may be reached over plain http and at private addresses. The default is `allow` on the embedded database and `deny` with `DATABASE_URL`.',
    }),
  ),
  RETORNO_DATA_REGION: Type.Optional(
    Type.String({
      pattern: '^[A-Z]{2}$',
      description:
        'The country where the database lies, as two letters such as `RU`. Live clinics of countries that keep data at home are refused elsewhere; without it there is a warning ([policy](policy.md)).',
    }),
  ),
  RETORNO_LOG_LEVEL: Type.Union(
    (['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const).map((level) =>
      Type.Literal(level),
    ),
    { default: 'info', description: 'The least severe log line to write.' },
  ),
  RETORNO_POOL_SIZE: Type.Integer({
    minimum: 2,
    maximum: 200,
    default: 10,
    description: 'Connections to PostgreSQL each process may hold.',
  }),
  RETORNO_REQUESTS_PER_SECOND: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 1_000,
    description: 'Requests a second one key may make of one process.',
  }),
  RETORNO_TRUST_PROXY: Type.Optional(
    Type.String({
      description:
        'Addresses of proxies whose `X-Forwarded-For` is believed, as a comma-separated list of CIDR ranges such as `10.0.0.0/8`. None by default.',
    }),
  ),
  RETORNO_FAULT: Type.Optional(
    Type.String({
      pattern: '^[a-z_-]+:[1-9][0-9]*$',
      description:
        'For tests only: `name:hit` kills the process the nth time it passes the named fault point.',
    }),
  ),
});

export interface Config {
  readonly databaseUrl: string | null;
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  readonly operatorKey: string | null;
  readonly secretKey: Uint8Array | null;
  /** Without a slash at its end. */
  readonly publicUrl: string | null;
  readonly privateUrls: 'allow' | 'deny';
  /** An ISO country; null where nobody said. */
  readonly dataRegion: string | null;
  readonly logLevel: Static<typeof configSchema>['RETORNO_LOG_LEVEL'];
  readonly poolSize: number;
  readonly requestsPerSecond: number;
  readonly trustProxy: readonly string[];
  readonly fault: { name: string; hit: number } | null;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Every variable that is wrong, each with what was expected; never with the value, which may be secret. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** @throws ConfigError */
export function readConfig(environment: Environment = process.env): Config {
  const given = givenVariables(environment);
  const values = Value.Default(configSchema, given);
  const problems = [
    ...unknownVariables(environment),
    ...wrongVariables(values),
    ...wrongProxies(given.RETORNO_TRUST_PROXY),
  ];
  if (problems.length > 0 || !Value.Check(configSchema, values)) throw new ConfigError(problems);
  const withoutSlash = values.RETORNO_PUBLIC_URL?.replace(/\/+$/, '');
  const [faultName, faultHit] = values.RETORNO_FAULT?.split(':') ?? [];
  return Object.freeze({
    databaseUrl: values.DATABASE_URL ?? null,
    host: values.RETORNO_HOST,
    port: values.RETORNO_PORT,
    dataDir: values.RETORNO_DATA_DIR,
    operatorKey: values.RETORNO_OPERATOR_KEY ?? null,
    secretKey: values.RETORNO_SECRET_KEY ? Buffer.from(values.RETORNO_SECRET_KEY, 'base64') : null,
    publicUrl: withoutSlash ?? null,
    privateUrls: values.RETORNO_PRIVATE_URLS ?? (values.DATABASE_URL ? 'deny' : 'allow'),
    dataRegion: values.RETORNO_DATA_REGION ?? null,
    logLevel: values.RETORNO_LOG_LEVEL,
    poolSize: values.RETORNO_POOL_SIZE,
    requestsPerSecond: values.RETORNO_REQUESTS_PER_SECOND,
    trustProxy: Object.freeze(listOf(values.RETORNO_TRUST_PROXY)),
    fault: faultName ? { name: faultName, hit: Number(faultHit) } : null,
  });
}

/**
 * With `DATABASE_URL` several processes share one database, so none may invent a key of its own.
 * @throws ConfigError
 */
export function requireKeys(config: Config): void {
  if (config.databaseUrl === null) return;
  const missing = [
    ...(config.operatorKey === null ? ['RETORNO_OPERATOR_KEY'] : []),
    ...(config.secretKey === null ? ['RETORNO_SECRET_KEY'] : []),
  ];
  if (missing.length > 0) {
    throw new ConfigError(missing.map((name) => `${name} is required with DATABASE_URL.`));
  }
}

const names = Object.keys(configSchema.properties);

/** An empty variable counts as not given, as compose files leave them. */
function givenVariables(environment: Environment): Record<string, string | number> {
  const given: Record<string, string | number> = {};
  for (const [name, schema] of Object.entries(configSchema.properties)) {
    const text = environment[name];
    if (text === undefined || text === '') continue;
    given[name] = 'type' in schema && schema.type === 'integer' ? wholeNumber(text) : text;
  }
  return given;
}

/** What is no whole number stays a text, so that the schema names it. */
function wholeNumber(text: string): string | number {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

function unknownVariables(environment: Environment): string[] {
  return Object.keys(environment)
    .filter((name) => name.toUpperCase().startsWith('RETORNO_') && !names.includes(name))
    .map((name) => `${name} is no variable of Retorno${suggestion(name)}`);
}

const suggestionDistanceMax = 4;

function suggestion(name: string): string {
  const [nearest] = names
    .map((known) => ({ known, distance: editDistance(name.toUpperCase(), known) }))
    .sort((a, b) => a.distance - b.distance);
  return nearest && nearest.distance <= suggestionDistanceMax
    ? `: did you mean ${nearest.known}?`
    : '.';
}

/** How many letters must be put in, left out or changed to make one word of the other. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (const [column, wanted] of [...to].entries()) {
      const changed = (row[column] ?? 0) + (letter === wanted ? 0 : 1);
      next.push(Math.min(changed, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

function wrongVariables(values: unknown): string[] {
  const wrong = new Set(
    Value.Errors(configSchema, values).map((error) => error.instancePath.slice(1)),
  );
  return Object.entries(configSchema.properties)
    .filter(([name]) => wrong.has(name))
    .map(([name, schema]) => `${name} is wrong: expected ${expectation(schema)}.`);
}

interface Constraints {
  type?: string;
  minimum?: number;
  maximum?: number;
  anyOf?: { const?: unknown }[];
  description?: string;
}

function expectation(schema: Constraints): string {
  if (schema.anyOf) return schema.anyOf.map((literal) => String(literal.const)).join(', ');
  if (schema.type === 'integer') {
    return `a whole number from ${schema.minimum} to ${schema.maximum}`;
  }
  return schema.description?.split(/[.;] /)[0]?.replace(/\.$/, '') ?? 'a text';
}

function wrongProxies(list: string | number | undefined): string[] {
  return listOf(list === undefined ? undefined : String(list)).every(isCidr)
    ? []
    : ['RETORNO_TRUST_PROXY is wrong: expected addresses or CIDR ranges separated by commas.'];
}

function isCidr(range: string): boolean {
  const [address = '', bits, ...rest] = range.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return (
    bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
  );
}

function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
