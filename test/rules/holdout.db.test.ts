import { sql } from 'kysely';
import t from 'tap';
import { random } from '../../bench/random.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { type ReturnsReport, returnsReport } from '../../src/reports/returns-report-store.ts';
import { explainRule } from '../../src/rules/explain.ts';
import { previewRule } from '../../src/rules/preview.ts';
import { deleteRule, updateRule } from '../../src/rules/rule-store.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { change, makeAppointment, makePatient, makeRule, makeVisit } from '../support/factory.ts';
import { type RulesClinic, rulesClinic } from './rules-clinic.ts';

const now = '2026-03-02T06:00:00Z';
/** 180 days before 3 March. */
const visitAt = '2025-09-04T15:00:00Z';

interface Kept {
  unit: string;
  arm: 'holdout' | 'treated';
}

function armsOf(clinic: RulesClinic): Promise<Kept[]> {
  return withClinic(clinic.db, clinic.id, async (trx) => {
    const { rows } = await sql<Kept>`
      select unit, arm from holdout_assignments where clinic_id = ${clinic.id} order by unit`.execute(
      trx,
    );
    return rows;
  });
}

/** When all windows are over. */
function reportOf(clinic: RulesClinic): Promise<ReturnsReport> {
  const asOf = Temporal.Instant.from('2026-07-01T00:00:00Z');
  const reported = { id: clinic.id, timeZone: 'UTC', currency: 'KZT' };
  return withClinic(clinic.db, clinic.id, (trx) => returnsReport(trx, reported, {}, asOf));
}

const steps = [{ channels: ['sms', 'inbox'], template: 'care' }] as const;

t.test('who is held out gets nothing on any channel, and everyone can see why', async (t) => {
  const clinic = await rulesClinic(t);
  for (let count = 0; count < 40; count += 1) {
    const patientId = await makePatient(clinic.db, clinic.id, { id: `p${count}` });
    await makeVisit(clinic.db, clinic.id, { patientId, at: visitAt });
  }
  const { id } = await makeRule(clinic.db, clinic.id, {
    holdout: 0.5,
    steps: [{ ...steps[0], channels: [...steps[0].channels] }],
  });
  const question = { ruleId: id, from: '2026-03-03', to: '2026-03-03', source: 'mis' };
  const at = Temporal.Instant.from(now);
  const preview = () =>
    withClinic(clinic.db, clinic.id, (trx) =>
      previewRule(clinic.deps, trx, clinic.id, question, at),
    );
  const before = await preview();
  t.same(await armsOf(clinic), [], 'a preview assigns nobody');
  await clinic.plan(now);
  const journeys = await clinic.journeys();
  const out = new Set(
    journeys.filter(({ reason }) => reason === 'holdout').map(({ patientId }) => patientId),
  );
  t.ok(out.size > 5 && out.size < 35, `${out.size} of 40 are held out`);
  t.equal(before.holdout, out.size, 'as the preview told');
  const messages = await clinic.messages();
  t.equal(messages.filter(({ patientId }) => out.has(patientId)).length, 0);
  t.equal(messages.length, 2 * (40 - out.size));
  const [someone] = out;
  const explained = await withClinic(clinic.db, clinic.id, (trx) =>
    explainRule(
      clinic.deps,
      trx,
      clinic.id,
      { ruleId: id, patientId: someone ?? '', on: '2026-03-03', source: 'mis' },
      at,
    ),
  );
  t.match(explained, { outcome: 'suppressed', reason: 'holdout' });
  t.match(
    explained.checks.find(({ name }) => name === 'holdout'),
    { passed: false, seen: 'holdout', wanted: { share: 0.5 } },
  );
});

t.test(
  'an assignment holds for ever, whatever becomes of the share and of the patient',
  async (t) => {
    const clinic = await rulesClinic(t);
    const ids: string[] = [];
    for (let count = 0; count < 30; count += 1) {
      const patientId = await makePatient(clinic.db, clinic.id);
      ids.push(patientId);
      await makeVisit(clinic.db, clinic.id, { patientId, at: visitAt });
    }
    const { id } = await makeRule(clinic.db, clinic.id, { holdout: 0.5 });
    await clinic.plan(now);
    const first = new Map((await clinic.journeys()).map((each) => [each.patientId, each.reason]));
    const kept = await armsOf(clinic);
    t.ok(
      kept.every(({ unit }) => !unit.includes('+7701')),
      'no phone number stands in the list',
    );
    await withClinic(clinic.db, clinic.id, (trx) =>
      updateRule(trx, clinic.id, id, { holdout: 0.01 }, { actor: 'key:test', now: later }),
    );
    // They move together, which by the hash alone would put them all into one arm.
    await change(
      clinic.db,
      clinic.id,
      ids,
      sql`update patients set household = 'h', sms_address = null where clinic_id = ${clinic.id}`,
    );
    await change(
      clinic.db,
      clinic.id,
      ids,
      sql`update patients set preferred_channel = 'inbox', email_address = null where clinic_id = ${clinic.id}`,
    );
    for (const patientId of ids)
      await makeVisit(clinic.db, clinic.id, { patientId, at: '2025-09-05T15:00:00Z' });
    await withClinic(clinic.db, clinic.id, (trx) =>
      updateRule(
        trx,
        clinic.id,
        id,
        { steps: [{ channel: 'inbox', template: 'care' }] },
        { actor: 'key:test', now: later },
      ),
    );
    await clinic.plan('2026-03-02T07:00:00Z');
    const again = (await clinic.journeys()).filter(({ dueAt }) => dueAt.startsWith('2026-03-04'));
    t.equal(again.length, 30);
    t.same(
      again.filter(({ patientId, reason }) => reason !== first.get(patientId)),
      [],
    );
  },
);

const later = Temporal.Instant.from('2026-03-02T06:30:00Z');

t.test('who is held out and booked stays held out when that appointment is missed', async (t) => {
  const clinic = await rulesClinic(t);
  for (let count = 0; count < 30; count += 1) {
    const patientId = await makePatient(clinic.db, clinic.id);
    await makeVisit(clinic.db, clinic.id, { patientId, at: visitAt });
    await makeAppointment(clinic.db, clinic.id, {
      patientId,
      start: '2026-03-03T17:00:00Z',
      bookedAt: now,
    });
  }
  await makeRule(clinic.db, clinic.id, { holdout: 0.5 });
  await clinic.plan(now);
  t.same(
    new Set((await clinic.journeys()).map(({ state, reason }) => `${state} ${reason}`)),
    new Set(['held future-appointment']),
  );
  await clinic.plan('2026-03-03T17:00:00Z');
  const journeys = await clinic.journeys();
  const out = journeys.filter(({ reason }) => reason === 'holdout');
  t.ok(out.length > 5 && out.length < 25, `${out.length} of 30 are held out`);
  t.ok(journeys.every(({ state, reason }) => state === 'planned' || reason === 'holdout'));
  t.equal((await clinic.messages()).length, 30 - out.length, 'of no other is there a message');
  const planned = await clinic.plan('2026-03-03T17:30:00Z');
  t.match(planned, { planned: 0, suppressed: 0 }, 'and that is all');
  await clinic.send('2026-03-04T00:00:00Z');
  const report = await reportOf(clinic);
  const { journeys: written, holdout, uplift } = report.data[0] ?? {};
  t.same({ written, holdout, uplift }, { written: 30 - out.length, holdout: 0, uplift: null });
});

t.test(
  'who could not be reached until they came by themselves is measured in neither arm',
  async (t) => {
    const clinic = await rulesClinic(t);
    const comers: string[] = [];
    for (let count = 0; count < 60; count += 1) {
      const isReached = count % 2 === 0;
      const patientId = await makePatient(clinic.db, clinic.id, isReached ? {} : { phone: null });
      if (!isReached) comers.push(patientId);
      await makeVisit(clinic.db, clinic.id, { patientId, at: visitAt });
    }
    await makeRule(clinic.db, clinic.id, { holdout: 0.5 });
    await clinic.plan(now);
    await clinic.send('2026-03-03T23:00:00Z');
    for (const patientId of comers)
      await makeVisit(clinic.db, clinic.id, { patientId, at: '2026-03-05T15:00:00Z' });
    await clinic.plan('2026-03-05T16:00:00Z');
    const journeys = await clinic.journeys();
    t.equal(journeys.filter(({ reason }) => reason === 'visited').length, comers.length);
    const report = await reportOf(clinic);
    const { journeys: written, holdout, uplift } = report.data[0] ?? {};
    t.same(
      { all: (written ?? 0) + (holdout ?? 0), uplift },
      { all: 30, uplift: 0 },
      'nobody came back who was written to, nor who was held out',
    );
  },
);

t.test(
  'who could be reached only later is measured in the arm that was drawn for them',
  async (t) => {
    const clinic = await rulesClinic(t);
    const ids: string[] = [];
    for (let count = 0; count < 40; count += 1) {
      const patientId = await makePatient(clinic.db, clinic.id, { phone: null });
      ids.push(patientId);
      await makeVisit(clinic.db, clinic.id, { patientId, at: visitAt });
    }
    const { id } = await makeRule(clinic.db, clinic.id, { holdout: 0.5 });
    await clinic.plan('2026-03-03T16:00:00Z');
    t.ok((await clinic.journeys()).every(({ state }) => state === 'held'));
    const known = ids.slice(0, 30);
    await change(
      clinic.db,
      clinic.id,
      known,
      sql`with given as (
        select p.id, '+7705' || lpad(p.place::text, 7, '0') as phone
        from unnest(${known}::uuid[]) with ordinality as p (id, place)
      ), made as (
        insert into contact_points (clinic_id, address, kind, country)
        select ${clinic.id}::uuid, phone, 'phone', 'KZ' from given)
      update patients p set sms_address = g.phone from given g where p.clinic_id = ${clinic.id} and p.id = g.id`,
    );
    await clinic.plan('2026-03-03T17:00:00Z');
    await clinic.send('2026-03-03T18:00:00Z');
    await withClinic(clinic.db, clinic.id, (trx) =>
      deleteRule(trx, clinic.id, id, { actor: 'key:test', now: later }),
    );
    for (const patientId of ids.slice(known.length))
      await makeVisit(clinic.db, clinic.id, { patientId, at: '2026-03-10T15:00:00Z' });
    const report = await reportOf(clinic);
    const { journeys: written = 0, holdout = 0, uplift } = report.data[0] ?? {};
    t.ok(written > 5 && holdout > 5, `${written} were written to, ${holdout} held out`);
    t.equal(written + holdout, known.length);
    t.equal(uplift, 0, 'who was never reached is in neither arm, although they came');
  },
);

t.test('a household, or who shares an address, is in one arm', async (t) => {
  const clinic = await rulesClinic(t);
  for (let count = 0; count < 20; count += 1) {
    const alike = count % 2 ? { household: `h${count}` } : { phone: `+7702000${1000 + count}` };
    for (const wish of [alike, alike]) {
      const patientId = await makePatient(clinic.db, clinic.id, {
        id: `${count}/${uuidv7(later)}`,
        ...wish,
      });
      await makeVisit(clinic.db, clinic.id, { patientId, at: visitAt, id: `v${patientId}` });
    }
  }
  await makeRule(clinic.db, clinic.id, { holdout: 0.5 });
  await clinic.plan(now);
  const hostIds = await withClinic(clinic.db, clinic.id, (trx) =>
    trx
      .selectFrom('patients')
      .select(['id', 'external_id'])
      .where('clinic_id', '=', clinic.id)
      .execute(),
  );
  const pairOf = new Map(hostIds.map((row) => [row.id, row.external_id.split('/')[0]]));
  const byPair = Map.groupBy(await clinic.journeys(), ({ patientId }) => pairOf.get(patientId));
  t.equal(byPair.size, 20);
  for (const [pair, journeys] of byPair)
    t.equal(new Set(journeys.map(({ reason }) => reason)).size, 1, `pair ${pair}`);
});

/** The chance of a visit within the window: with a message, and without. */
const treatedChance = 0.4;
const naturalChance = 0.2;
const cohorts = 20;
const cohortSize = 150;

t.test('the uplift of a simulated clinic lies in the interval that is reported', async (t) => {
  const clinic = await rulesClinic(t);
  await makeCohorts(clinic);
  for (let cohort = 0; cohort < cohorts; cohort += 1)
    await makeRule(clinic.db, clinic.id, {
      name: `Cohort ${cohort}`,
      holdout: 0.3,
      trigger: { type: 'visit', after: 'P180D', services: [`s${cohort}`] },
    });
  await clinic.plan(now);
  await clinic.send('2026-03-03T23:00:00Z');
  await bringBack(clinic);
  const report = await reportOf(clinic);
  t.equal(report.data.length, cohorts);
  const truth = treatedChance - naturalChance;
  const within = report.data.filter(
    ({ upliftLow, upliftHigh }) =>
      upliftLow !== null && upliftHigh !== null && upliftLow <= truth && truth <= upliftHigh,
  );
  // Of twenty intervals of 95 %, nineteen hold the truth; fewer than fifteen in one run of three thousand.
  t.ok(within.length >= 15, `${within.length} of ${cohorts} intervals hold the truth`);
  const mean = report.data.reduce((sum, { uplift }) => sum + (uplift ?? 0), 0) / cohorts;
  t.ok(Math.abs(mean - truth) < 0.08, `the mean uplift is ${mean}`);
});

async function makeCohorts(clinic: RulesClinic): Promise<void> {
  await withClinic(clinic.db, clinic.id, async (trx) => {
    const rows = Array.from({ length: cohorts * cohortSize }, (_, index) => ({
      id: uuidv7(later),
      index,
      cohort: index % cohorts,
    }));
    const given = sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r (id uuid, index integer, cohort integer)`;
    await sql`
      insert into contact_points (clinic_id, address, kind, country)
      select ${clinic.id}::uuid, '+7705' || lpad(index::text, 7, '0'), 'phone', 'KZ' from ${given}`.execute(
      trx,
    );
    await sql`
      insert into patients (clinic_id, id, source, external_id, is_known, sms_address, created_at, updated_at)
      select ${clinic.id}::uuid, id, 'mis', id::text, true, '+7705' || lpad(index::text, 7, '0'), '2020-01-01', '2020-01-01'
      from ${given}`.execute(trx);
    await sql`
      insert into visits (clinic_id, source, external_id, patient_id, status, started_at, service_ids, created_at, updated_at)
      select ${clinic.id}::uuid, 'mis', 'v' || id, id, 'finished', ${visitAt}::timestamptz, array['s' || cohort],
        ${visitAt}::timestamptz, ${visitAt}::timestamptz
      from ${given}`.execute(trx);
  });
}

/** Everybody comes by chance, and by a greater one after a message. */
async function bringBack(clinic: RulesClinic): Promise<void> {
  const draw = random(7);
  const journeys = await clinic.journeys();
  t.equal(journeys.length, cohorts * cohortSize);
  const comers = journeys
    .filter(({ reason }) => draw.chance(reason === 'holdout' ? naturalChance : treatedChance))
    .map(({ patientId }) => patientId);
  await withClinic(clinic.db, clinic.id, (trx) =>
    sql`
      insert into visits (clinic_id, source, external_id, patient_id, status, started_at, created_at, updated_at)
      select ${clinic.id}::uuid, 'mis', 'back' || id, id, 'finished', '2026-04-10T09:00:00Z', '2026-04-10', '2026-04-10'
      from unnest(${comers}::uuid[]) as c (id)`.execute(trx),
  );
}
