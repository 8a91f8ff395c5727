import fc from 'fast-check';
import { sql } from 'kysely';
import t from 'tap';
import { type ColumnTypes, rowSet } from '../../src/database/row-set.ts';
import { testDatabase } from '../support/postgres.ts';

interface Row {
  words: string | null;
  list: string[] | null;
  value: unknown;
  at: number | null;
  yes: boolean | null;
  count: number | null;
}

const types: ColumnTypes<Row> = {
  words: 'text',
  list: 'text[]',
  value: 'jsonb',
  at: 'epoch_ms',
  yes: 'boolean',
  count: 'bigint',
};

// What the database can keep: no NUL, no half of a pair; and what array literals and JSON quote.
const text = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('NULL', 'null', '', '{}', '{a,b}', '"', '\\', ' a ', "'; drop", 'a,b', '\n'),
  )
  .map((one) => one.replaceAll('\0', '').toWellFormed());
const orNull = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { nil: null });

const plain = { noNullPrototype: true };

const row: fc.Arbitrary<Row> = fc.record(
  {
    words: orNull(text),
    list: orNull(fc.array(text, { maxLength: 4 })),
    value: orNull(fc.record({ id: text, inner: fc.array(text, { maxLength: 2 }) }, plain)),
    at: orNull(fc.integer({ min: -2_208_988_800_000, max: 4_133_980_799_999 })),
    yes: orNull(fc.boolean()),
    count: orNull(fc.maxSafeInteger()),
  },
  plain,
);

for (const engine of ['postgres', 'pglite'] as const) {
  t.test(`whatever goes in as an array a column comes out as rows (${engine})`, async (t) => {
    const { db } = await testDatabase(t, { engine });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 8 }), async (rows) => {
        const found = await sql<Row>`
          select words, list, value, (extract(epoch from at) * 1000)::double precision as at, yes, count
          from ${rowSet(rows, types, 'r')}`.execute(db);
        t.strictSame(found.rows, rows);
        return t.passing();
      }),
      { numRuns: 60, endOnFailure: true },
    );
  });
}
