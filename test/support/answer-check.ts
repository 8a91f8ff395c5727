/** Holds answers against the OpenAPI document: what it says, and no field more. */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { openApiDocument } from '../../src/api/openapi-document.ts';

interface OpenApi {
  paths: Record<string, Record<string, { responses: Record<string, Answered> }>>;
  components: { schemas: Record<string, unknown> };
}

interface Answered {
  content?: Record<string, { schema: unknown }>;
}

interface Route {
  method: string;
  path: RegExp;
  /** By status; an answer fits one of them. */
  schemas: Map<string, unknown[]>;
}

type Check = (value: unknown) => string | null;

let routes: Promise<Route[]> | undefined;
const checks = new Map<unknown, Check>();

/** @throws Error when the answer is none of those that the document names. */
export async function checkAnswer(
  method: string,
  url: string,
  status: number,
  body: unknown,
): Promise<void> {
  routes ??= openApiDocument().then((document) => readRoutes(document as OpenApi));
  const [path = ''] = url.split('?');
  const route = (await routes).find((each) => each.method === method && each.path.test(path));
  const schemas = route?.schemas.get(String(status)) ?? route?.schemas.get('default') ?? [];
  const [fault, ...others] = schemas.map((schema) => checkOf(schema)(body));
  if (fault && !others.includes(null)) {
    throw new Error(`${method} ${path} answers ${status} otherwise than it says: ${fault}`);
  }
}

function checkOf(schema: unknown): Check {
  const check = checks.get(schema) ?? compile(schema);
  checks.set(schema, check);
  return check;
}

function compile(schema: unknown): Check {
  const check = Compile(schema as TSchema);
  return (value) => (check.Check(value) ? null : JSON.stringify(check.Errors(value)[0]));
}

function readRoutes({ paths, components }: OpenApi): Route[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { responses }]) => ({
      method: method.toUpperCase(),
      path: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      schemas: new Map(
        Object.entries(responses).map(([status, { content = {} }]) => [
          status,
          Object.values(content).map(({ schema }) => closed(schema, components.schemas)),
        ]),
      ),
    })),
  );
}

/** With its references put in, and taking no field that it does not name. */
function closed(schema: unknown, shared: Record<string, unknown>): unknown {
  if (Array.isArray(schema)) return schema.map((each) => closed(each, shared));
  if (typeof schema !== 'object' || schema === null) return schema;
  if ('$ref' in schema) return closed(shared[String(schema.$ref).split('/').at(-1) ?? ''], shared);
  const copy: Record<string, unknown> = Object.fromEntries(
    Object.entries(schema).map(([name, value]) => [name, closed(value, shared)]),
  );
  const named = Object.keys((copy.properties as object | undefined) ?? {});
  return copy.type === 'object' && named.length > 0 && !('patternProperties' in copy)
    ? { ...copy, additionalProperties: false }
    : copy;
}
