import t from 'tap';
import { findAppointment } from '../../src/history/appointment-store.ts';
import { birthdaysBetween } from '../../src/history/birthday.ts';
import {
  findPatientByHostId,
  listBirthdays,
  listPatients,
  patientListKey,
} from '../../src/history/patient-store.ts';
import { deleteObject, putObject } from '../../src/intake/put-object.ts';
import { event, type IntakeTest, intakeTest } from '../support/intake.ts';

const mis = (externalId: string) => ({ source: 'mis', externalId });
const put = (test: IntakeTest, id: string, body: object) =>
  putObject(test.deps, test.caller, 'patient', id, body);

t.test(
  'a first put makes, a second replaces, and what it leaves out is gone but for consent',
  async (t) => {
    const test = await intakeTest(t);
    t.same(
      await put(test, '1', { city: 'Cali', tags: ['vip'], consent: { care: { sms: 'granted' } } }),
      { isNew: true },
    );
    t.same(await put(test, '1', { id: '1', city: 'Bogotá' }), { isNew: false });
    const patient = await test.read((trx) => findPatientByHostId(trx, test.clinic.id, mis('1')));
    t.match(patient, {
      city: 'Bogotá',
      tags: [],
      consents: [{ purpose: 'care', channel: 'sms', state: 'granted' }],
    });
  },
);

t.test('a put that is wrong points into its body', async (t) => {
  const test = await intakeTest(t);
  for (const [id, body, pointer, code] of [
    ['1', { id: '2' }, '/id', 'id-mismatch'],
    ['1', { name: { family: 7 } }, '/name/family', 'wrong-type'],
    ['1', { city: 'a\0' }, '/city', 'unstorable-text'],
    ['a~b~c', {}, '/id', 'wrong-form'],
    ['\0', {}, '/id', 'wrong-form'],
  ] as const) {
    await t.rejects(put(test, id, body), { code: 'validation', faults: [{ pointer, code }] });
  }
});

t.test('a deleted thing is absent, and deleting what is not there says so', async (t) => {
  const test = await intakeTest(t);
  await putObject(test.deps, test.caller, 'appointment', 'a-1', {
    status: 'booked',
    patientId: '1',
  });
  t.ok(await deleteObject(test.deps, test.caller, 'appointment', 'a-1'));
  t.equal(await test.read((trx) => findAppointment(trx, test.clinic.id, mis('a-1'))), null);
  t.notOk(await deleteObject(test.deps, test.caller, 'appointment', 'a-1'));
  t.notOk(await deleteObject(test.deps, test.caller, 'visit', 'v-1'));
  t.notOk(await deleteObject(test.deps, test.caller, 'patient', '\0'));
  t.notOk(
    await deleteObject(test.deps, test.caller, 'patient', '1'),
    'a stub is nobody the host told about',
  );
});

t.test('deleting an id that was merged away leaves the survivor', async (t) => {
  const test = await intakeTest(t);
  await test.tell(event('patient.upserted', { id: 'A' }), event('patient.upserted', { id: 'B' }));
  await test.tell(event('patient.merged', { id: 'A', into: 'B' }));
  t.notOk(await deleteObject(test.deps, test.caller, 'patient', 'A'));
  t.ok(await test.read((trx) => findPatientByHostId(trx, test.clinic.id, mis('B'))));
});

t.test('patients are listed page by page, by tag, number and time of change', async (t) => {
  const test = await intakeTest(t);
  for (let i = 0; i < 7; i += 1) {
    await put(test, `p-${i}`, {
      tags: i % 2 === 0 ? ['vip'] : [],
      telecom: [{ system: 'phone', value: `+5730012345${60 + i}` }],
    });
    test.clock.advance('PT1M');
  }
  const list = (filter: object, after: readonly [string, string] | null = null, limit = 3) =>
    test.read((trx) => listPatients(trx, test.clinic.id, filter, { after, limit }));
  const first = await list({});
  const last = first.at(-1);
  const second = await list({}, last ? patientListKey(last) : null, 10);
  t.same(
    [...first, ...second].map(({ external_id }) => external_id),
    ['p-0', 'p-1', 'p-2', 'p-3', 'p-4', 'p-5', 'p-6'],
  );
  t.equal((await list({ tag: 'vip' }, null, 10)).length, 4);
  t.match(await list({ address: '+573001234565' }), [{ external_id: 'p-5' }]);
  t.equal(
    (await list({ updatedSince: test.clock.now().subtract({ minutes: 2 }) }, null, 10)).length,
    2,
  );
});

t.test(
  'a birthday on 29 February is kept on the 28th in other years, and the dead have none',
  async (t) => {
    const test = await intakeTest(t);
    await put(test, 'leap', { birthDate: '2000-02-29' });
    await put(test, 'eve', { birthDate: '1990-02-28' });
    await put(test, 'dead', { birthDate: '1990-02-28', deceased: true });
    await put(test, 'year', { birthDate: '1990' });
    const list = async (from: string, to: string) => {
      const found = await test.read((trx) =>
        listBirthdays(trx, test.clinic.id, birthdaysBetween(from, to), { after: null, limit: 10 }),
      );
      return found.map(({ external_id, on }) => `${external_id} ${on}`);
    };
    t.same((await list('2026-02-27', '2026-03-01')).toSorted(), [
      'eve 2026-02-28',
      'leap 2026-02-28',
    ]);
    t.same(await list('2028-02-28', '2028-02-29'), ['eve 2028-02-28', 'leap 2028-02-29']);
    t.throws(() => birthdaysBetween('2026-02-30', '2026-03-01'), {
      code: 'validation',
      faults: [{ pointer: '/from' }],
    });
    t.throws(() => birthdaysBetween('2026-03-02', '2026-03-01'), {
      code: 'validation',
      faults: [{ pointer: '/to' }],
    });
    t.throws(() => birthdaysBetween('2026-01-01', '2027-03-01'), {
      code: 'validation',
      faults: [{ pointer: '/to' }],
    });
  },
);
