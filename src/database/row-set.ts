import { type RawBuilder, sql } from 'kysely';
import { fewItems, manyRows } from './statement-names.ts';

/**
 * Many rows as one parameter a column: `unnest` reads them several times faster than any JSON function,
 * and the literals are written here because the drivers would write them value by value.
 */
export type ColumnType =
  | 'text'
  | 'uuid'
  | 'int'
  | 'bigint'
  | 'boolean'
  | 'date'
  /** Epoch milliseconds, which become a `timestamptz`. */
  | 'epoch_ms'
  /** Any value, written as JSON. */
  | 'json'
  | 'jsonb'
  /** Text that is JSON already. */
  | 'json_text'
  | 'text[]'
  /** Bytes in hexadecimal. */
  | 'hex';

export type ColumnTypes<Row> = { readonly [Name in keyof Row]: ColumnType };

/** A relation of these rows and columns, for `from`; times, JSON, arrays and bytes come out as such. */
export function rowSet<Row extends object>(
  rows: readonly Row[],
  types: ColumnTypes<Row>,
  alias: string,
): RawBuilder<unknown> {
  const names = Object.keys(types) as (keyof Row & string)[];
  const columns = names.map(
    (name) => sql`${literal(rows, name, types[name])}::${sql.raw(wireTypes[types[name]])}[]`,
  );
  const selected = names.map((name) => sql`${selection(name, types[name])} as ${sql.ref(name)}`);
  const size = sql.raw(rows.length > fewItems ? manyRows : '');
  return sql`(select ${size} ${sql.join(selected)} from unnest(${sql.join(columns)}) as u (${sql.join(names.map((name) => sql.ref(name)))})) as ${sql.ref(alias)}`;
}

const wireTypes: Readonly<Record<ColumnType, string>> = Object.freeze({
  text: 'text',
  uuid: 'uuid',
  int: 'int',
  bigint: 'bigint',
  boolean: 'boolean',
  date: 'date',
  epoch_ms: 'double precision',
  json: 'text',
  jsonb: 'text',
  json_text: 'text',
  'text[]': 'text',
  hex: 'text',
});

function selection(name: string, type: ColumnType): RawBuilder<unknown> {
  const column = sql`u.${sql.ref(name)}`;
  switch (type) {
    case 'epoch_ms':
      return sql`to_timestamp(${column} / 1000.0)`;
    case 'json':
    case 'json_text':
      return sql`${column}::json`;
    case 'jsonb':
      return sql`${column}::jsonb`;
    case 'text[]':
      return sql`${column}::text[]`;
    case 'hex':
      return sql`decode(${column}, 'hex')`;
    default:
      return column;
  }
}

function literal<Row>(rows: readonly Row[], name: keyof Row, type: ColumnType): string {
  let items = '';
  for (const row of rows) {
    const value = row[name];
    if (items !== '') items += ',';
    items += value === null || value === undefined ? 'NULL' : element(value, type);
  }
  return `{${items}}`;
}

function element(value: unknown, type: ColumnType): string {
  switch (type) {
    case 'int':
    case 'bigint':
    case 'boolean':
    case 'uuid':
    case 'epoch_ms':
    case 'hex':
      return String(value);
    case 'json':
    case 'jsonb':
      return quote(JSON.stringify(value));
    case 'text[]':
      return quote(textArray(value as readonly string[]));
    default:
      return quote(String(value));
  }
}

function textArray(texts: readonly string[]): string {
  return texts.length === 0 ? '{}' : `{${texts.map(quote).join(',')}}`;
}

const special = /["\\]/g;

function quote(text: string): string {
  return text.includes('"') || text.includes('\\')
    ? `"${text.replace(special, '\\$&')}"`
    : `"${text}"`;
}
