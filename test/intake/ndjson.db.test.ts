import fc from 'fast-check';
import { sql } from 'kysely';
import t from 'tap';
import { lineBytesMax, recordNdjson } from '../../src/intake/ndjson.ts';
import { event, type IntakeTest, intakeTest } from '../support/intake.ts';

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

const stream = (test: IntakeTest, text: string | Uint8Array, size = 65_536) =>
  recordNdjson(test.deps, test.caller, pieces(Buffer.from(text as string), size));

const patient = (id: string) =>
  JSON.stringify(event('patient.upserted', { id, name: { family: 'Muñoz' } }));
const known = async (test: IntakeTest) => {
  const { rows } = await test.read((trx) =>
    sql<{
      n: number;
    }>`select count(*)::int as n from patients where clinic_id = ${test.clinic.id}`.execute(trx),
  );
  return rows[0]?.n;
};

t.test('broken lines are told by their index, and every other line is taken', async (t) => {
  const test = await intakeTest(t);
  const lines = [
    patient('1'),
    '{"id":',
    '',
    patient('2'),
    'null',
    `{"id":"${'x'.repeat(lineBytesMax)}"}`,
    patient('3'),
  ];
  const answer = await stream(test, lines.join('\r\n'));
  t.match(answer, { accepted: 3, rejectedCount: 3 });
  t.match(answer.rejected, [
    { index: 1, id: null, problem: { status: 400, errors: [{ code: 'not-json' }] } },
    { index: 3, problem: { errors: [{ pointer: '', code: 'wrong-type' }] } },
    { index: 4, problem: { status: 413, code: 'too-large' } },
  ]);
  t.notMatch(JSON.stringify(answer), /Muñoz/);
  t.equal(await known(test), 3);
});

t.test('bytes that are no UTF-8 are a broken line', async (t) => {
  const test = await intakeTest(t);
  const answer = await stream(
    test,
    Buffer.concat([Buffer.from('{"id":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}\n')]),
  );
  t.match(answer, {
    rejectedCount: 1,
    rejected: [{ problem: { errors: [{ code: 'not-json' }] } }],
  });
});

t.test('of many broken lines a thousand are listed and all are counted', async (t) => {
  const test = await intakeTest(t);
  const answer = await stream(test, `${'{\n'.repeat(2_345)}${patient('1')}`);
  t.equal(answer.rejectedCount, 2_345);
  t.equal(answer.rejected.length, 1_000);
  t.equal(answer.accepted, 1);
});

t.test('a stream of thousands is stored whole, the later line winning', async (t) => {
  const test = await intakeTest(t);
  const lines = Array.from({ length: 4_321 }, (_, i) => patient(`p-${i % 2_000}`));
  const answer = await stream(test, lines.join('\n'));
  t.match(answer, { accepted: 4_321, rejectedCount: 0 });
  t.equal(await known(test), 2_000);
});

t.test('what was committed before a stream breaks stays', async (t) => {
  const test = await intakeTest(t);
  async function* breaking() {
    yield Buffer.from(`${Array.from({ length: 1_000 }, (_, i) => patient(`p-${i}`)).join('\n')}\n`);
    yield Buffer.from('{}\n'.repeat(10));
    throw new Error('The connection broke.');
  }
  await t.rejects(recordNdjson(test.deps, test.caller, breaking()), {
    message: 'The connection broke.',
  });
  t.equal(await known(test), 1_000);
});

t.test('where the chunks are cut makes no difference', async (t) => {
  const test = await intakeTest(t);
  const text = Buffer.from(`${patient('1')}\n\n${patient('2')}\n{\n${patient('ñ')}`);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: text.length }), async (size) => {
      const clinic = await test.another();
      const answer = await recordNdjson(clinic.deps, clinic.caller, pieces(text, size));
      return answer.accepted === 3 && answer.rejected[0]?.index === 2;
    }),
    { numRuns: 20 },
  );
});
