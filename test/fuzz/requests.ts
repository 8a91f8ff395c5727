/** Requests made of the OpenAPI document: some as it asks, most one step beside it, some far off. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc, { type Arbitrary } from 'fast-check';
import { eventTypeNames, findEventType } from '../../src/intake/event-types.ts';
import { fitting, hostileNames, hostileValues, type Schema } from './values.ts';
import type { World } from './world.ts';

export interface FuzzRequest {
  operationId: string;
  kind: 'fitting' | 'mutated' | 'hostile';
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string | Buffer;
  /** The body ends before the length that was announced. */
  isCutOff?: boolean;
}

export interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

interface Operation {
  operationId: string;
  parameters?: { in: string; name: string; required?: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  security?: object[];
}

const methods = ['HEAD', 'OPTIONS', 'TRACE', 'PATCH', 'DELETE', 'PUT', 'POST', 'GET'];

export function requestsOf(document: Document, world: World): Arbitrary<FuzzRequest> {
  const each = Object.entries(document.paths).flatMap(([url, operations]) =>
    Object.entries(operations).map(([method, operation]) =>
      requestOf({ url, method: method.toUpperCase(), operation, document, world }),
    ),
  );
  return fc.oneof(...each);
}

interface Site {
  url: string;
  method: string;
  operation: Operation;
  document: Document;
  world: World;
}

function requestOf(site: Site): Arbitrary<FuzzRequest> {
  const { operationId } = site.operation;
  const fitted = fc.record({
    path: pathOf(site, fittingSegment),
    query: queryOf(site),
    body: bodyOf(site),
    key: ownKeyOf(site),
  });
  const asAsked = fitted.map(({ path, query, body, key }): FuzzRequest => {
    const [type, value] = body;
    return {
      operationId,
      kind: 'fitting',
      method: site.method,
      path: path + query,
      headers: { ...key, ...(type !== null && { 'content-type': type }) },
      ...(type !== null && { body: type.includes('ndjson') ? String(value) : toJson(value) }),
    };
  });
  return fc.oneof(
    { weight: 3, arbitrary: asAsked },
    { weight: 4, arbitrary: bodyMutation(site, asAsked, fitted) },
    { weight: 4, arbitrary: hostile(site, asAsked) },
  );
}

/** One field, one value, one name is not what it should be. */
function bodyMutation(
  site: Site,
  asAsked: Arbitrary<FuzzRequest>,
  fitted: Arbitrary<{ body: readonly [string | null, unknown] }>,
): Arbitrary<FuzzRequest> {
  if (site.operation.requestBody === undefined) return queryMutation(site, asAsked);
  return fc
    .tuple(asAsked, fitted, fc.nat(), fc.constantFrom(...hostileValues), mutationKind, hostileName)
    .map(([request, { body }, at, value, kind, name]) => {
      const [type, given] = body;
      const text =
        kind === 'twice'
          ? withFieldTwice(toJson(given), at)
          : toJson(mutate(given, at, kind, value, name));
      return {
        ...request,
        kind: 'mutated',
        headers: { ...request.headers, 'content-type': type ?? 'application/json' },
        body: text,
      };
    });
}

const mutationKind = fc.constantFrom(
  'replace' as const,
  'replace' as const,
  'remove' as const,
  'add' as const,
  'wrap' as const,
  'twice' as const,
);
const hostileName = fc.constantFrom(...hostileNames);

function mutate(
  given: unknown,
  at: number,
  kind: 'replace' | 'remove' | 'add' | 'wrap',
  value: unknown,
  name: string,
): unknown {
  const copy = structuredClone(given);
  const places = placesIn(copy);
  const place = places[at % Math.max(places.length, 1)];
  if (place === undefined) return value;
  const [holder, key] = place;
  if (kind === 'remove') delete holder[key];
  else if (kind === 'add') holder[name] = value;
  else holder[key] = kind === 'wrap' ? [holder[key]] : value;
  return copy;
}

type Holder = Record<string, unknown>;

function placesIn(value: unknown): [Holder, string][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]): [Holder, string][] => [
    [value as Holder, key],
    ...placesIn(child),
  ]);
}

function withFieldTwice(json: string, at: number): string {
  const fields = [...json.matchAll(/"(\w+)":/g)];
  const field = fields[at % Math.max(fields.length, 1)];
  if (!field) return `{"a":1,"a":2}`;
  return `${json.slice(0, field.index)}"${field[1]}":null,${json.slice(field.index)}`;
}

function queryMutation(site: Site, asAsked: Arbitrary<FuzzRequest>): Arbitrary<FuzzRequest> {
  const names = [
    ...(site.operation.parameters ?? []).filter(({ in: where }) => where === 'query'),
    { name: 'unknown' },
  ].map(({ name }) => name);
  const values = [
    ...['', '%00', '%ED%A0%80', '%', '%E0%A4%A', '-1', '0', '1e9', 'NaN', 'null', 'true', '[]'],
    ...['2026-02-30', '9999-12-31', '-271821-04-20', '+275760-09-13', '0000-00-00', '24:00'],
    ...['..%2F..', '%F0%9F%A6%B7', '1;drop', "'", '%22', '%5C', 'a'.repeat(9_000)],
    ...site.world.cursors.flatMap((cursor) => [cursor, `${cursor}x`, cursor.slice(0, -2)]),
    ...site.world.cursors.map((cursor) => cursor.toUpperCase()),
  ];
  const pair = fc
    .tuple(fc.constantFrom(...names), fc.constantFrom('', '[]', '[a]', '%00'), value(values))
    .map(([name, bracket, text]) => `${name}${bracket}=${text}`);
  return fc.tuple(asAsked, fc.array(pair, { minLength: 1, maxLength: 3 })).map(
    ([request, pairs]): FuzzRequest => ({
      ...request,
      kind: 'mutated',
      path: `${request.path}${request.path.includes('?') ? '&' : '?'}${pairs.join('&')}`,
    }),
  );
}

const value = (values: string[]) => fc.constantFrom(...values);

/** Paths, methods, keys, content types and bodies that no client of ours would send. */
function hostile(site: Site, asAsked: Arbitrary<FuzzRequest>): Arbitrary<FuzzRequest> {
  const { keys } = site.world;
  const twist: Arbitrary<Partial<FuzzRequest>> = fc.oneof(
    pathOf(site, hostileSegment).map((path) => ({ path })),
    fc.constantFrom(...methods).map((method) => ({ method })),
    fc
      .constantFrom(...Object.values(keys), 'x', 'rtn_test_', `${keys.test.slice(0, -1)}!`, '')
      .map((key) => ({ headers: { authorization: `Bearer ${key}` } })),
    fc
      .constantFrom('', 'Basic eA==', `bearer ${keys.test}`, `Bearer  ${keys.test}`, 'Bearer é')
      .map((authorization) => ({ headers: { authorization } })),
    fc.constantFrom(...contentTypes).map((type) => ({ headers: { 'content-type': type } })),
    fc.constantFrom(...oddHeaders).map((headers) => ({ headers })),
    fc.constantFrom(...hostileBodies).map((body) => ({ body })),
    fc
      .constantFrom(...hostileBodies)
      .map((body) => ({ body, headers: { 'content-type': 'application/x-ndjson' } })),
    fc.constant({ isCutOff: true }),
  );
  return fc.tuple(asAsked, twist).map(([request, change]): FuzzRequest => {
    const headers = { ...request.headers, ...change.headers };
    const hasBody = change.body !== undefined && headers['content-type'] === undefined;
    return {
      ...request,
      ...change,
      kind: 'hostile',
      headers: { ...headers, ...(hasBody && { 'content-type': 'application/json' }) },
    };
  });
}

const contentTypes = [
  '',
  ' application/json',
  'application/json\ta',
  'application/json garbage',
  'application/json; charset=utf-16',
  'application/json;',
  'APPLICATION/JSON',
  'Application/X-NDJSON',
  'application/x-ndjson; charset=utf-8',
  'application/x-ndjsonx',
  'application/fhir+json',
  'application/fhir+xml',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
  'text/plain',
  'multipart/form-data',
  'application/x-www-form-urlencoded',
  'a'.repeat(5_000),
];

const oddHeaders: Record<string, string>[] = [
  { 'idempotency-key': '' },
  { 'idempotency-key': 'same' },
  { 'idempotency-key': 'a'.repeat(256) },
  { 'idempotency-key': 'é' },
  { 'x-forwarded-for': '1.2.3.4, evil' },
  { 'x-forwarded-host': 'evil.example.org', 'x-forwarded-proto': 'gopher' },
  { accept: 'text/csv' },
  { accept: 'text/html;q=nonsense' },
  { 'content-encoding': 'gzip' },
  { expect: '100-continue' },
  { 'x-http-method-override': 'DELETE' },
  { 'ce-specversion': '1.0', 'ce-id': 'c-1', 'ce-source': '/', 'ce-type': 'visit.upserted' },
  { 'ce-specversion': '1.0', 'ce-id': '', 'ce-type': '%00', 'ce-time': '2026-02-30' },
  { 'if-none-match': '*' },
  { range: 'bytes=0-' },
  { cookie: '__proto__=1' },
  { upgrade: 'h2c', connection: 'Upgrade' },
  { 'accept-version': '9.9.9' },
];

const hostileBodies: (string | Buffer)[] = [
  '',
  ' ',
  'null',
  'true',
  '1',
  '"x"',
  '[]',
  '[null]',
  '[[[[]]]]',
  '{}',
  '{',
  '{"a":1,}',
  '{"id":1,"id":2}',
  '{"__proto__":{"x":1}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '{"a":1e999}',
  '{"a":-0}',
  `{"a":${'9'.repeat(400)}}`,
  `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
  `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
  `"${'x'.repeat(300_000)}"`,
  `[${'{},'.repeat(1_500)}{}]`,
  `[${'null,'.repeat(999)}null]`,
  `{"resourceType":"Bundle","type":"transaction","entry":[${'{},'.repeat(50)}null]}`,
  '{"resourceType":"Bundle","entry":{"length":5}}',
  '{"resourceType":["Patient"]}',
  '{"resourceType":"toString","id":"__proto__"}',
  '\ufeff{}',
  '{"a":"\\u0000"}',
  '{"a":"\\ud800"}',
  '{"id":"x"}\n{"id":\n\n\0\n[]\nnull\n"x"',
  `${'x'.repeat(300_000)}\n{}`,
  Buffer.from([0xff, 0xfe, 0x00]),
  Buffer.concat([
    Buffer.from('{"a":"'),
    Buffer.from([0xc3, 0x28, 0xed, 0xa0, 0x80]),
    Buffer.from('"}'),
  ]),
  Buffer.from([0x1f, 0x8b, 0x08, 0x00]),
];

const hostileSegments = [
  ...['%00', '%2F', '..%2F..%2Fetc', '%ED%A0%80', '%', '%zz', '%E2%80%AE', '%F0%9F%A6%B7'],
  ...['..', '.', '-1', '0', 'null', '__proto__', 'constructor', 'a~b~c', '~', 'mis~', '%20', '%0A'],
  ...['00000000-0000-0000-0000-000000000000', 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF', '%3Fa=1'],
  ...["'%3BDROP", '*', ':id', '{id}', '%25%30%30', 'a'.repeat(799), 'a'.repeat(10_000)],
  ...['%F0%9F%A6%B7'.repeat(200), '%D0%B0'.repeat(100), 'a'.repeat(264)],
];

function fittingSegment({ url, method, world }: Site, name: string): Arbitrary<string> {
  const resource = url.split('/')[2] ?? '';
  const key = name === 'id' ? `${resource}/id` : name;
  const known = (method === 'DELETE' && world.spare[key]) || (world.ids[key] ?? []);
  const zero = '00000000-0000-0000-0000-000000000000';
  return fc.constantFrom(...known, ...(known.length > 0 ? [] : [zero]));
}

function hostileSegment(): Arbitrary<string> {
  return fc.constantFrom(...hostileSegments);
}

function pathOf(
  site: Site,
  segment: (site: Site, name: string) => Arbitrary<string>,
): Arbitrary<string> {
  const parts = site.url
    .split('/')
    .map((part) => (part.startsWith('{') ? segment(site, part.slice(1, -1)) : fc.constant(part)));
  return fc.tuple(...parts).map((each) => each.join('/'));
}

function queryOf({ operation, world, document }: Site): Arbitrary<string> {
  const wanted = (operation.parameters ?? []).filter(({ in: where }) => where === 'query');
  if (wanted.length === 0) return fc.constant('');
  const fields = wanted.map(({ name, schema, required }) => {
    const ids = { ...world.ids, cursor: world.cursors, limit: [] };
    const text = fitting(schema, document.components.schemas, ids, name);
    const shown = text.map((each) => `${name}=${encodeURIComponent(String(each).toWellFormed())}`);
    if (required) return shown;
    const absence = { weight: name === 'cursor' ? 9 : 1, arbitrary: fc.constant('') };
    return fc.oneof(absence, { weight: 1, arbitrary: shown });
  });
  return fc
    .tuple(...fields)
    .map((pairs) => pairs.filter((pair) => pair !== '').join('&'))
    .map((query) => (query === '' ? '' : `?${query}`));
}

type TypedBody = readonly [type: string | null, value: unknown];

function bodyOf({ operation, document, world }: Site): Arbitrary<TypedBody> {
  const { operationId, requestBody } = operation;
  if (operationId === 'recordEvents') return events(world, document);
  if (/fhir/i.test(operationId) && requestBody) return resources();
  if (requestBody === undefined) return fc.constant([null, undefined] as const);
  const shared = document.components.schemas;
  const { id: _, ...ids } = { ...world.ids, id: [] };
  return fc.oneof(
    ...Object.entries(requestBody.content).map(([type, { schema }]) =>
      fitting(schema, shared, ids).map(
        (value): TypedBody => [type, sensible[operationId]?.(value as Holder) ?? value],
      ),
    ),
  );
}

/** What a schema alone does not say. */
const sensible: Readonly<Record<string, (body: Holder) => unknown>> = {
  createRule: meaningful,
  changeRule: (body) => (body.steps ? meaningful(body) : { name: body.name ?? 'Other' }),
  putSegment: () => ({ audience: visitRule.audience }),
  putPatient: ({ id: _, ...body }) => body,
  putAppointment: ({ id: _, ...body }) => body,
  putVisit: ({ id: _, ...body }) => body,
  createOptOut: ({ address, ...body }) => (body.patientId ? body : { ...body, address }),
  createMessage: ({ template, ...body }) => (body.text ? body : { ...body, template }),
  createClinic: ({ now, ...body }) => (body.mode === 'test' ? { ...body, now } : body),
  putChannel: (body) => ({ ...body, ...(body.provider === 'smsc' && smsc) }),
};
const visitRule = {
  purpose: 'care',
  trigger: { type: 'visit', after: 'P30D' },
  steps: [{ channel: 'inbox', template: 't-1' }],
  audience: { all: [{ age: { gte: 18 } }, { not: { tags: ['debtor'] } }] },
};
/** Most rules that fit the schema mean nothing; these do. */
function meaningful({ stopOn: _, catchUp: __, limits: ___, ...body }: Holder): Holder {
  return { ...body, ...visitRule };
}
const smsc = { credentials: { apiKey: 'key' }, options: { baseUrl: 'http://127.0.0.1:9' } };

function events(world: World, document: Document): Arbitrary<TypedBody> {
  const shared = document.components.schemas;
  const ids = {
    ...world.ids,
    id: ['p-2', 'p-3', 'a-1', 'v-1', 'x-1', 'crm~p-1'],
    name: ['x'],
  };
  const one = fc.oneof(
    ...eventTypeNames().map((type) =>
      fc.record({
        id: fc.uuid(),
        type: fc.constant(type),
        occurredAt: fc.constantFrom(
          '2026-03-02T15:00:00Z',
          '2026-02-01T00:00:00Z',
          '2031-01-01T00:00:00Z',
        ),
        data: fitting(findEventType(type)?.data as Schema, shared, ids),
      }),
    ),
  );
  const several = fc.array(one, { maxLength: 8 });
  return fc.oneof(
    one.map((value): TypedBody => ['application/json', value]),
    several.map((value): TypedBody => ['application/json', value]),
    several.map((value): TypedBody => ['application/x-ndjson', value.map(toJson).join('\n')]),
    one.map(
      ({ occurredAt, ...value }): TypedBody => [
        'application/cloudevents+json',
        { specversion: '1.0', source: '/mis', time: occurredAt, ...value },
      ],
    ),
  );
}

const samples = path.join(import.meta.dirname, '../fixtures/fhir-r4');

function resources(): Arbitrary<TypedBody> {
  const all = readdirSync(samples)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(path.join(samples, name), 'utf8')) as unknown);
  const one = fc.constantFrom(...all);
  const bundle = fc
    .tuple(
      fc.constantFrom('transaction', 'collection', 'history', 'batch'),
      fc.array(one, { maxLength: 5 }),
    )
    .map(([type, each]) => ({
      resourceType: 'Bundle',
      type,
      entry: each.map((resource, at) => ({
        fullUrl: `urn:uuid:0000000${at}-0000-4000-8000-000000000000`,
        resource,
        request: { method: 'PUT', url: 'Patient/example' },
      })),
    }));
  return fc.oneof(one, bundle).map((value): TypedBody => ['application/fhir+json', value]);
}

function ownKeyOf({ operation, world }: Site): Arbitrary<Record<string, string>> {
  const [first] = operation.security ?? [];
  if (first === undefined) return fc.constant({});
  const { test, live, operator, clock } = world.keys;
  if (operation.operationId === 'moveTestClock') {
    return fc.constant({ authorization: `Bearer ${clock}` });
  }
  const own = 'operatorKey' in first ? [operator] : [test, test, live];
  return fc.constantFrom(...own).map((key) => ({ authorization: `Bearer ${key}` }));
}

/** `-0` and numbers beyond JSON become what JSON makes of them. */
function toJson(value: unknown): string {
  return JSON.stringify(value) ?? '';
}
