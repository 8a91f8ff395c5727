import type { TLocalizedValidationError } from 'typebox/error';
import type { Fault } from './errors.ts';

/** Turns what a schema found into faults that point at the field, with codes of ours that stay. */
export function schemaFaults(errors: readonly TLocalizedValidationError[], at = ''): Fault[] {
  const faults = withoutUnions(errors).flatMap((error) => faultsOf(error, at));
  const seen = new Set<string>();
  return faults.filter(({ pointer, code }) => {
    const key = `${pointer} ${code}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/**
 * Of what may also be null, only what else is wrong with it is told; that no alternative fits is told
 * where nothing says why.
 */
function withoutUnions(errors: readonly TLocalizedValidationError[]): TLocalizedValidationError[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf');
  const told = errors.filter(
    (error) =>
      error.keyword !== 'anyOf' &&
      !(
        isNullAlternative(error) &&
        unions.some((union) => union.instancePath === error.instancePath)
      ),
  );
  const unexplained = unions.filter(
    ({ instancePath: at }) =>
      !told.some(({ instancePath: path }) => path === at || path.startsWith(`${at}/`)),
  );
  return [...told, ...unexplained];
}

function isNullAlternative(error: TLocalizedValidationError): boolean {
  return error.keyword === 'type' && error.params.type === 'null';
}

const codes: Readonly<Record<string, string>> = Object.freeze({
  type: 'wrong-type',
  enum: 'not-allowed',
  const: 'not-allowed',
  anyOf: 'not-allowed',
  oneOf: 'not-allowed',
  pattern: 'wrong-form',
  format: 'wrong-form',
  minLength: 'too-short',
  maxLength: 'too-long',
  minItems: 'too-few',
  maxItems: 'too-many',
  minProperties: 'too-few',
  maxProperties: 'too-many',
  uniqueItems: 'repeated',
  minimum: 'out-of-range',
  maximum: 'out-of-range',
  exclusiveMinimum: 'out-of-range',
  exclusiveMaximum: 'out-of-range',
});

function faultsOf(error: TLocalizedValidationError, at: string): Fault[] {
  const pointer = at + error.instancePath;
  if (error.keyword === 'required') {
    return error.params.requiredProperties.map((name) => ({
      pointer: `${pointer}/${escapePointer(name)}`,
      code: 'missing',
      detail: 'This field is required.',
    }));
  }
  // The unknown field itself is told by the false schema under the same keyword.
  if (error.keyword === 'additionalProperties') return [];
  if (error.keyword === 'boolean') {
    return [{ pointer, code: 'unknown-field', detail: 'There is no such field.' }];
  }
  const code = codes[error.keyword] ?? 'invalid';
  return [{ pointer, code, detail: `This ${error.message}.` }];
}

/** A name as one step of a JSON Pointer. */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/**
 * Finds what a database cannot keep as text: NUL, and half a surrogate pair. Names count as values do.
 */
export function textFaults(value: unknown, at = ''): Fault[] {
  if (isPlainText(JSON.stringify(value) ?? '')) return [];
  const faults: Fault[] = [];
  collectTextFaults(value, at, faults);
  return faults;
}

/** Well-formed JSON text that names neither NUL nor a lone surrogate holds none. */
export function isPlainText(json: string): boolean {
  return !suspectEscape.test(json);
}

const suspectEscape = /\\u(?:0000|d[89a-f])/i;

function collectTextFaults(value: unknown, at: string, faults: Fault[]): void {
  if (typeof value === 'string') {
    if (!isStorable(value)) faults.push(textFault(at));
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    const pointer = `${at}/${escapePointer(name.toWellFormed().replaceAll('\0', '\ufffd'))}`;
    if (!isStorable(name)) faults.push(textFault(pointer));
    collectTextFaults(inner, pointer, faults);
  }
}

/** Whether PostgreSQL keeps it as it is. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

function textFault(pointer: string): Fault {
  return {
    pointer,
    code: 'unstorable-text',
    detail: 'A NUL character or half a surrogate pair cannot be kept.',
  };
}
