import type { FastifySchemaCompiler } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { AppError, type Fault } from '../errors.ts';
import { schemaFaults, textFaults } from '../schema-faults.ts';

/** Checks what comes in against its schema. Bodies are never coerced; a query's texts become what its schema asks for. */

const faultsMax = 20;

export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = Compile(schema);
  const prepare = httpPart === 'querystring' ? coercion(schema) : (value: unknown) => value;
  return (value: unknown) => {
    const prepared = prepare(value);
    const unstorable = httpPart === 'body' ? [] : textFaults(prepared);
    if (unstorable.length > 0) return { error: refused(unstorable) };
    const isLeftOut = prepared === undefined || prepared === null;
    if (check.Check(prepared) || (isLeftOut && Type.IsOptional(schema))) return { value: prepared };
    return { error: refused(schemaFaults(check.Errors(prepared))) };
  };
};

/** For a route whose body is read item by item, so that one bad item does not spoil the rest. */
export const validatorCompilerButBody: FastifySchemaCompiler<TSchema> = (route) =>
  route.httpPart === 'body' ? (value: unknown) => ({ value }) : validatorCompiler(route);

function refused(faults: readonly Fault[]): AppError {
  const shown = faults.slice(0, faultsMax);
  return new AppError('validation', shown[0]?.detail ?? 'The request does not fit its schema.', {
    faults: shown,
  });
}

/** Numbers and booleans of a query string, where the schema wants them and the text is exactly one. */
function coercion(schema: TSchema): (value: unknown) => unknown {
  const types = new Map(
    Object.entries(
      (schema as { properties?: Record<string, { type?: string }> }).properties ?? {},
    ).map(([name, property]) => [name, property.type]),
  );
  return (value) =>
    Object.fromEntries(
      Object.entries(value ?? {}).map(([name, text]) => [name, coerce(text, types.get(name))]),
    );
}

function coerce(text: unknown, type: string | undefined): unknown {
  if (typeof text !== 'string') return text;
  if (type === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}
