import t from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { AppError, type Fault } from '../../src/errors.ts';
import { findClinic } from '../../src/history/clinic-store.ts';
import { explainRule } from '../../src/rules/explain.ts';
import type { RuleIn } from '../../src/rules/rule.ts';
import {
  deleteSegment,
  findSegment,
  listMembers,
  putSegment,
} from '../../src/rules/segment-store.ts';
import { makePatient, makeRule, makeVisit } from '../support/factory.ts';
import { type RulesClinic, rulesClinic } from './rules-clinic.ts';

const now = Temporal.Instant.from('2026-03-02T06:00:00Z');

function put({ db, id }: RulesClinic, name: string, audience: object) {
  return withClinic(db, id, (trx) => putSegment(trx, id, name, { audience }, now));
}

async function refusal(work: Promise<unknown>): Promise<string | Fault[]> {
  try {
    await work;
    return 'taken';
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.faults.length > 0 ? [...error.faults] : error.code;
  }
}

async function members({ db, id }: RulesClinic, name: string, afterId: string | null = null) {
  return withClinic(db, id, async (trx) => {
    const clinic = await findClinic(trx, id);
    const segment = await findSegment(trx, id, name);
    if (clinic === null || segment === null) return null;
    const found = await listMembers(trx, clinic, segment, { afterId, limit: 2 }, now);
    return { size: found.size, members: found.members.map(({ externalId }) => externalId) };
  });
}

t.test('who belongs to a segment is computed, counted and listed in pages', async (t) => {
  const clinic = await rulesClinic(t);
  const ids: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    const createdAt = `2020-01-01T00:00:0${ids.length}Z`;
    ids.push(await makePatient(clinic.db, clinic.id, { id: name, tags: ['vip'], createdAt }));
  }
  await makePatient(clinic.db, clinic.id, { tags: ['debtor'] });
  await makePatient(clinic.db, clinic.id, { tags: ['vip'], isKnown: false });
  await put(clinic, 'vips', { tags: ['vip'] });
  t.same(await members(clinic, 'vips'), { size: 3, members: ['a', 'b'] });
  t.same(await members(clinic, 'vips', ids[1]), { size: 3, members: ['c'] });
  await put(clinic, 'nobody', { segment: 'vips', gender: ['male'] });
  t.same(await members(clinic, 'nobody'), { size: 0, members: [] });
});

t.test('a segment that leads to itself is refused where it does', async (t) => {
  const clinic = await rulesClinic(t);
  const itself = await refusal(put(clinic, 'a', { any: [{ segment: 'a' }, { tags: ['vip'] }] }));
  t.match(itself, [{ pointer: '/audience/any/0/segment', code: 'cycle' }]);
  await put(clinic, 'a', { tags: ['vip'] });
  await put(clinic, 'b', { not: { segment: 'a' } });
  await put(clinic, 'c', { all: [{ segment: 'b' }] });
  t.match(await refusal(put(clinic, 'a', { segment: 'c' })), [
    { pointer: '/audience/segment', code: 'cycle' },
  ]);
  t.match(await refusal(put(clinic, 'd', { segment: 'x' })), [{ code: 'unknown-segment' }]);
  t.match(await refusal(put(clinic, 'd', { shoes: 42 })), [{ pointer: '/audience/shoes' }]);
});

t.test('segments within segments stay as shallow as one audience', async (t) => {
  const clinic = await rulesClinic(t);
  await put(clinic, 's1', { tags: ['vip'] });
  for (let depth = 2; depth <= 8; depth += 1)
    await put(clinic, `s${depth}`, { segment: `s${depth - 1}` });
  t.match(await refusal(put(clinic, 's9', { segment: 's8' })), [{ code: 'too-large' }]);
  t.match(
    await refusal(put(clinic, 's1', { not: { tags: ['debtor'] } })),
    [{ code: 'too-large' }],
    'nor can it grow from below',
  );
});

t.test('a rule writes to a segment, and follows when it changes', async (t) => {
  const clinic = await rulesClinic(t);
  const { db, id, deps } = clinic;
  await put(clinic, 'vips', { tags: ['vip'] });
  const unknown = makeRule(db, id, {
    audience: { segment: 'none' } as RuleIn['audience'] & object,
  });
  t.match(await refusal(unknown), [{ pointer: '/audience/segment', code: 'unknown-segment' }]);
  const rule = await makeRule(db, id, {
    audience: { segment: 'vips' } as RuleIn['audience'] & object,
  });
  const [ann, bob] = [
    await makePatient(db, id, { tags: ['vip'] }),
    await makePatient(db, id, { tags: ['new'] }),
  ] as [string, string];
  for (const patientId of [ann, bob])
    await makeVisit(db, id, { patientId, at: '2025-09-04T09:00:00Z' });
  await clinic.plan(now.toString());
  t.match(await clinic.messages(), [{ patientId: ann, state: 'scheduled' }]);
  t.equal((await clinic.messages()).length, 1);
  const question = { ruleId: rule.id, patientId: bob, on: undefined, source: 'mis' };
  const why = await withClinic(db, id, (trx) => explainRule(deps, trx, id, question, now));
  t.match(
    why.checks.find(({ name }) => name === 'audience/segment'),
    { passed: false, seen: false, wanted: 'vips' },
  );
  t.equal(await refusal(withClinic(db, id, (trx) => deleteSegment(trx, id, 'vips'))), 'conflict');
  await put(clinic, 'vips', { tags: ['gold'] });
  await clinic.plan('2026-03-02T07:00:00Z');
  t.match(await clinic.messages(), [{ patientId: ann, state: 'cancelled', reason: 'audience' }]);
});

t.test('a segment that nothing names can go', async (t) => {
  const clinic = await rulesClinic(t);
  const drop = (name: string) =>
    withClinic(clinic.db, clinic.id, (trx) => deleteSegment(trx, clinic.id, name));
  await put(clinic, 'a', { tags: ['vip'] });
  await put(clinic, 'b', { segment: 'a' });
  t.equal(await refusal(drop('a')), 'conflict');
  t.equal(await drop('b'), true);
  t.equal(await drop('a'), true);
  t.equal(await drop('a'), false);
});
