import { sql } from 'kysely';
import t from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { checkAudience, compileAudience } from '../../src/rules/audience/audience.ts';
import { predicates } from '../../src/rules/audience/predicates.ts';
import { change, makeAppointment, makeEvent, makePatient, makeVisit } from '../support/factory.ts';
import { rulesClinic } from './rules-clinic.ts';

const dueDay = '2026-03-02';
const dueAt = `${dueDay}T10:00:00Z`;

t.test('each predicate takes whom it describes and nobody else', async (t) => {
  const clinic = await rulesClinic(t);
  const { db, id } = clinic;
  const names = new Map<string, string>();
  const person = async (name: string, wish: Parameters<typeof makePatient>[2] = {}) => {
    const patientId = await makePatient(db, id, { id: name, ...wish });
    names.set(patientId, name);
    return patientId;
  };
  const ann = await person('ann', {
    birthDate: '1990-03-02',
    gender: 'female',
    tags: ['vip', 'new'],
    payer: 'dms',
    city: 'Казань',
    language: 'pt-BR',
    attributes: { smoker: true, floor: 3 },
  });
  const bob = await person('bob', {
    birthDate: '1990-03-03',
    gender: 'male',
    tags: ['debtor'],
    city: 'Москва',
    language: 'ru',
    attributes: { floor: 4 },
  });
  await person('cy');
  const visit = { services: ['hygiene'], practitioner: 'dr-1', amountMinor: 500_000 };
  await makeVisit(db, id, {
    ...visit,
    patientId: ann,
    at: '2024-01-10T10:00:00Z',
    services: ['x-ray'],
    practitioner: 'dr-2',
  });
  await makeVisit(db, id, {
    ...visit,
    patientId: ann,
    at: '2025-12-10T10:00:00Z',
    payer: 'cash',
  });
  await withClinic(db, id, (trx) =>
    sql`insert into payments (clinic_id, source, external_id, patient_id, kind, amount_minor, currency, paid_at, occurred_at,
        content_hash, created_at, updated_at)
      select ${id}::uuid, 'mis', kind, ${ann}, kind, minor, currency, paid_at, paid_at, '', paid_at, paid_at
      from (select time_zone, currency from clinics where id = ${id}) c, (values
        ('payment', 950000, '2026-01-01'::timestamptz), ('refund', 50000, '2026-01-02'),
        ('deposit', 900000, '2026-03-20')) as v (kind, minor, paid_at)`.execute(trx),
  );
  await makeVisit(db, id, {
    ...visit,
    patientId: ann,
    at: '2026-03-10T10:00:00Z',
    practitioner: 'dr-9',
  });
  await makeVisit(db, id, {
    ...visit,
    patientId: bob,
    at: '2025-02-10T10:00:00Z',
    status: 'cancelled',
  });
  await makeAppointment(db, id, {
    patientId: bob,
    start: '2026-03-02T12:00:00Z',
    bookedAt: '2026-02-01T12:00:00Z',
  });
  await makeAppointment(db, id, {
    patientId: ann,
    start: '2026-03-02T09:00:00Z',
    bookedAt: '2026-02-01T12:00:00Z',
  });
  await makeAppointment(db, id, {
    patientId: ann,
    start: '2026-04-02T09:00:00Z',
    bookedAt: '2026-02-01T12:00:00Z',
    status: 'cancelled',
  });

  const told = (patientId: string, type: string, at: string, told: object = {}) =>
    makeEvent(db, id, { type, patientId, at, data: { ...told } });
  await told(ann, 'referral.recorded', '2025-12-10T10:00:00Z');
  await told(bob, 'referral.recorded', '2026-03-10T10:00:00Z');
  await told(ann, 'review.received', '2026-02-10T10:00:00Z', { score: 9 });
  await told(bob, 'review.received', '2026-02-10T10:00:00Z', { score: 2 });
  await told(bob, 'review.received', '2026-02-11T10:00:00Z', { text: 'No mark' });
  await change(
    db,
    id,
    [ann],
    sql`insert into replies (clinic_id, id, channel, patient_id, text, score, meaning, dedupe_key, received_at)
      values (${id}, gen_random_uuid(), 'sms', ${ann}, '', 4, 'other', 'link:1:rate', '2026-02-20T10:00:00Z')`,
  );

  const cases: [unknown, string[]][] = [
    [null, ['ann', 'bob', 'cy']],
    [{ age: { gte: 36 } }, ['ann']],
    [{ age: { lte: 35 } }, ['bob']],
    [{ age: { gte: 35, lte: 36 } }, ['ann', 'bob']],
    [{ not: { age: { gte: 36 } } }, ['bob', 'cy']],
    [{ gender: ['female'] }, ['ann']],
    [{ gender: ['unknown'] }, ['cy']],
    [{ tags: ['vip', 'other'] }, ['ann']],
    [{ not: { tags: ['debtor'] } }, ['ann', 'cy']],
    [{ payer: ['dms'] }, ['ann']],
    [{ not: { payer: ['dms'] } }, ['bob', 'cy']],
    [{ lastPractitioner: ['dr-1'] }, ['ann']],
    [{ lastPractitioner: ['dr-9'] }, []],
    [{ practitioner: ['dr-2'] }, ['ann']],
    [{ service: ['x-ray'] }, ['ann']],
    [{ not: { service: ['hygiene'] } }, ['bob', 'cy']],
    [{ payerAtVisit: ['dms'] }, []],
    [{ payerAtVisit: ['cash'] }, ['ann']],
    [{ referredWithin: 'P3M' }, ['ann']],
    [{ referredWithin: 'P1M' }, []],
    [{ lastScore: { gte: 4 } }, ['ann']],
    [{ lastScore: { gte: 5 } }, []],
    [{ lastScore: { lte: 3 } }, ['bob']],
    [{ not: { lastScore: { lte: 3 } } }, ['ann', 'cy']],
    [{ location: ['north'] }, []],
    [{ city: ['КАЗАНЬ'] }, ['ann']],
    [{ language: ['pt'] }, ['ann']],
    [{ language: ['pt-PT'] }, []],
    [{ visits: { gte: 2 } }, ['ann']],
    [{ visits: { gte: 1, within: 'P6M' } }, ['ann']],
    [{ visits: { gte: 2, within: 'P6M' } }, []],
    [{ visits: { lte: 0 } }, ['bob', 'cy']],
    [{ spent: { gte: '10000.00' } }, ['ann']],
    [{ spent: { gte: '10000.01' } }, []],
    [{ spent: { lte: '0' } }, ['bob', 'cy']],
    [{ balance: { lte: '-0.01' } }, ['ann']],
    [{ balance: { gte: '-1000.00', lte: '-1000.00' } }, ['ann']],
    [{ balance: { gte: '0' } }, []],
    [{ lastVisit: { before: '2026-01-01' } }, ['ann']],
    [{ lastVisit: { before: 'P6M' } }, []],
    [{ lastVisit: { after: 'P6M' } }, ['ann']],
    [{ hasFutureAppointment: true }, ['bob']],
    [{ hasFutureAppointment: false }, ['ann', 'cy']],
    [{ segment: 'rich' }, ['ann']],
    [{ not: { segment: 'rich' } }, ['bob', 'cy']],
    [{ segment: 'rich-men' }, []],
    [{ segment: 'nowhere' }, []],
    [{ attributes: { smoker: true } }, ['ann']],
    [{ attributes: { floor: [3, 4] } }, ['ann', 'bob']],
    [{ any: [{ tags: ['vip'] }, { gender: ['unknown'] }] }, ['ann', 'cy']],
    [{ all: [{ tags: ['vip'] }, { gender: ['male'] }] }, []],
    [{ tags: ['vip'], gender: ['female'] }, ['ann']],
  ];
  for (const [audience, expected] of cases) {
    if (audience !== null) t.same(checkAudience(audience), []);
    const rows = await withClinic(db, id, async (trx) => {
      const holds = compileAudience(audience, {
        clinicId: id,
        zone: 'UTC',
        currency: 'KZT',
        dueDays: [dueDay],
        segments: new Map<string, unknown>([
          ['rich', { spent: { gte: '10000.00' } }],
          ['rich-men', { segment: 'rich', gender: ['male'] }],
        ]),
      });
      const found = await sql<{ id: string }>`
        select p.id from patients p
        cross join (select ${dueAt}::timestamptz as due_at, ${dueDay}::date as due_day) c
        where p.clinic_id = ${id} and ${holds}`.execute(trx);
      return found.rows;
    });
    t.same(rows.map((row) => names.get(row.id)).sort(), expected, JSON.stringify(audience));
  }
  const asked = new Set(
    JSON.stringify(cases)
      .match(/"(\w+)":/g)
      ?.map((name) => name.slice(1, -2)),
  );
  t.same(
    Object.keys(predicates).filter((name) => !asked.has(name)),
    [],
    'every predicate was tried',
  );
});

t.test('the birthday of 29 February counts on the 28th', async (t) => {
  const clinic = await rulesClinic(t);
  await makePatient(clinic.db, clinic.id, { birthDate: '2008-02-29' });
  const ageOn = (day: string) =>
    withClinic(clinic.db, clinic.id, async (trx) => {
      const asOf = { clinicId: clinic.id, zone: 'UTC', currency: 'KZT', dueDays: [day] };
      const { rows } = await sql<{ seen: number; holds: boolean }>`
        select ${predicates.age?.seen(asOf, {} as never)} as seen, ${compileAudience({ age: { gte: 18 } }, asOf)} as holds
        from patients p cross join (select ${day}::date as due_day) c where p.clinic_id = ${clinic.id}`.execute(
        trx,
      );
      return rows[0];
    });
  t.same(await ageOn('2026-02-27'), { seen: 17, holds: false });
  t.same(await ageOn('2026-02-28'), { seen: 18, holds: true });
});
