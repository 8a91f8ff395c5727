import { type PGlite, protocol } from '@electric-sql/pglite';
import type { PGliteDialectConfig } from 'kysely';
import { createStatementNames } from './statement-names.ts';

/**
 * The embedded database as Kysely wants it, with what a transaction asks again and again kept prepared: in
 * WebAssembly a statement costs several times more to parse and plan than to run.
 */

type KyselyPglite = Exclude<PGliteDialectConfig['pglite'], (...args: never) => unknown>;
type Query = KyselyPglite['query'];

const { serialize, messages } = protocol;

export function preparedPglite(pglite: PGlite): KyselyPglite {
  const nameOf = createStatementNames();
  const parameterTypes = new Map<string, readonly number[]>();
  const send = (parts: readonly Uint8Array[]) =>
    pglite.execProtocolStream(Buffer.concat(parts), { syncToFs: false });

  const typesOf = async (name: string, text: string) => {
    const known = parameterTypes.get(name);
    if (known !== undefined) return known;
    const answer = await send([
      serialize.parse({ name, text }),
      serialize.describe({ type: 'S', name }),
      serialize.sync(),
    ]);
    const described = answer.find((each) => each instanceof messages.ParameterDescriptionMessage);
    const types = described?.dataTypeIDs ?? [];
    parameterTypes.set(name, types);
    return types;
  };

  const run = async (name: string, text: string, parameters: readonly unknown[]) => {
    const types = await typesOf(name, text);
    const values = parameters.map((value, index) => toText(pglite, value, types[index] ?? 0));
    return send([
      serialize.bind({ statement: name, values }),
      serialize.describe({ type: 'P' }),
      serialize.execute(),
      serialize.sync(),
    ]);
  };

  const queryPrepared =
    (query: Query): Query =>
    async <Row>(text: string, parameters: unknown[] = []) => {
      const name = nameOf(text, parameters);
      if (name === undefined) return query<Row>(text, parameters);
      const answer = await pglite.runExclusive(() => run(name, text, parameters));
      return toResult<Row>(pglite, answer);
    };

  return {
    get closed() {
      return pglite.closed;
    },
    get ready() {
      return pglite.ready;
    },
    get waitReady() {
      return pglite.waitReady;
    },
    close: () => pglite.close(),
    query: (text, parameters, options) => pglite.query(text, parameters, options),
    transaction: (work) =>
      pglite.transaction((trx) =>
        work({
          query: queryPrepared((text, parameters, options) => trx.query(text, parameters, options)),
          rollback: () => trx.rollback(),
        }),
      ),
  };
}

function toText(pglite: PGlite, value: unknown, type: number): string | null {
  if (value === null || value === undefined) return null;
  const serialized = pglite.serializers[type];
  return serialized ? serialized(value) : String(value);
}

type Answer = Awaited<ReturnType<PGlite['execProtocolStream']>>;

function toResult<Row>(pglite: PGlite, answer: Answer) {
  let fields: { name: string; dataTypeID: number }[] = [];
  let affectedRows = 0;
  const rows: Row[] = [];
  for (const message of answer) {
    if (message instanceof messages.RowDescriptionMessage) fields = message.fields;
    else if (message instanceof messages.DataRowMessage) {
      const cells = message.fields.map((cell, index) => {
        const { name = '', dataTypeID = 0 } = fields[index] ?? {};
        const parse = pglite.parsers[dataTypeID];
        return [name, cell === null || !parse ? cell : parse(cell, dataTypeID)];
      });
      rows.push(Object.fromEntries(cells) as Row);
    } else if (message instanceof messages.CommandCompleteMessage) {
      affectedRows += countOf(message.text);
    }
  }
  return { fields, rows, affectedRows };
}

const changeForm = /^(?:INSERT|UPDATE|DELETE|MERGE)(?: \d+)* (\d+)$/;

function countOf(command: string): number {
  return Number(changeForm.exec(command)?.[1] ?? 0);
}
