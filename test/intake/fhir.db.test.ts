import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { sql } from 'kysely';
import t from 'tap';
import { toAppointmentOut } from '../../src/history/appointment.ts';
import { findAppointment } from '../../src/history/appointment-store.ts';
import { toPatientOut } from '../../src/history/patient.ts';
import { findPatientByHostId } from '../../src/history/patient-store.ts';
import { toVisitOut } from '../../src/history/visit.ts';
import { findVisit } from '../../src/history/visit-store.ts';
import { deleteFhir, operationOutcome, recordFhir } from '../../src/intake/fhir.ts';
import { type IntakeTest, intakeTest } from '../support/intake.ts';

const folder = path.join(import.meta.dirname, '..', 'fixtures', 'fhir-r4');
const sample = async (name: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(path.join(folder, `${name}.json`), 'utf8'));
const mis = (externalId: string) => ({ source: 'mis', externalId });

const tell = (test: IntakeTest, body: unknown) => recordFhir(test.deps, test.caller, body);
const stored = (test: IntakeTest, id: string) =>
  test.read((trx) => findPatientByHostId(trx, test.clinic.id, mis(id)));
const shownPatient = async (test: IntakeTest, id: string) => {
  const patient = await stored(test, id);
  return patient === null ? null : toPatientOut(patient, 'mis');
};
const shownVisit = (test: IntakeTest, id: string) =>
  test.read(async (trx) => {
    const visit = await findVisit(trx, test.clinic.id, mis(id));
    return visit === null ? null : toVisitOut(visit, 'mis');
  });
const shownAppointment = (test: IntakeTest, id: string) =>
  test.read(async (trx) => {
    const appointment = await findAppointment(trx, test.clinic.id, mis(id));
    return appointment === null ? null : toAppointmentOut(appointment, 'mis');
  });

t.test(
  'an Australian is called Jim and is never reached at work or at an old number',
  async (t) => {
    const test = await intakeTest(t, {
      clinic: { country: 'AU', timeZone: 'Australia/Melbourne' },
    });
    t.match(await tell(test, await sample('Patient-example')), { accepted: 1, rejected: [] });
    const patient = await stored(test, 'example');
    t.match(patient, {
      family: 'Chalmers',
      given: 'Peter',
      middle: 'James',
      preferred: 'Jim',
      city: 'PleasantVille',
      deceased: false,
    });
    t.equal(patient?.telecom.length, 3, 'the entry without a value is skipped');
    t.ok(patient?.sms_address === null || patient?.sms_address === '+61334105613');
    t.equal(patient?.birth_date, '1974-12-25');
  },
);

t.test('a Dutch number becomes E.164, and the contact person stays out of it', async (t) => {
  const test = await intakeTest(t, { clinic: { country: 'NL', timeZone: 'Europe/Amsterdam' } });
  await tell(test, await sample('Patient-f001'));
  const patient = await stored(test, 'f001');
  t.match(patient, {
    sms_address: '+31648352638',
    email_address: 'p.heuvel@gmail.com',
    language: 'nl',
    birth_date: '1944-11-17',
  });
  t.notMatch(JSON.stringify(patient), /690383372/);
});

t.test('the dead are kept as dead, and whoever has no telecom is kept too', async (t) => {
  const test = await intakeTest(t);
  await tell(test, await sample('Patient-pat3'));
  await tell(test, await sample('Patient-glossy'));
  t.match(await shownPatient(test, 'pat3'), { deceased: true });
  t.match(await shownPatient(test, 'glossy'), { contactable: false, name: { family: 'Levin' } });
  const { rows } = await test.read((trx) =>
    sql<{
      at: string;
    }>`select occurred_at::text as at from patients where clinic_id = ${test.clinic.id} and external_id = 'glossy'`.execute(
      trx,
    ),
  );
  t.equal(rows[0]?.at, '2014-11-13 00:41:00+00');
});

t.test(
  'bookings take their patient, practitioner, place and confirmation from the participants',
  async (t) => {
    const test = await intakeTest(t);
    await tell(test, await sample('Appointment-example'));
    t.match(await shownAppointment(test, 'example'), {
      status: 'booked',
      confirmation: 'accepted',
      patientId: 'example',
      start: '2013-12-10T09:00:00Z',
      end: '2013-12-10T11:00:00Z',
      practitioner: { id: 'example', name: 'Dr Adam Careful' },
      location: { id: '1' },
      services: [{ id: '52', name: 'General Discussion' }],
    });
    await tell(test, await sample('Appointment-examplereq'));
    const asked = await shownAppointment(test, 'examplereq');
    t.match(asked, { status: 'proposed', confirmation: 'needs-action' });
    t.equal(asked?.start, undefined);
    const informed = {
      resourceType: 'Appointment',
      id: 'inf',
      status: 'booked',
      start: '2026-05-01T10:00:00Z',
      participant: [
        {
          actor: { reference: 'Patient/example' },
          required: 'information-only',
          status: 'accepted',
        },
      ],
    };
    await tell(test, informed);
    t.equal((await shownAppointment(test, 'inf'))?.patientId, undefined);
  },
);

t.test(
  'an encounter at home is no place of the clinic, and one without a period is no last visit',
  async (t) => {
    const test = await intakeTest(t);
    await tell(test, await sample('Encounter-home'));
    const home = await shownVisit(test, 'home');
    t.match(home, {
      status: 'finished',
      start: '2015-01-17T06:00:00Z',
      end: '2015-01-17T06:30:00Z',
      patientId: 'example',
    });
    t.equal(home?.location, undefined);
    await tell(test, await sample('Encounter-example'));
    t.match(await shownVisit(test, 'example'), { status: 'in-progress', patientId: 'example' });
    const { rows } = await test.read((trx) =>
      sql<{
        n: number;
      }>`select count(*)::int as n from attendances where clinic_id = ${test.clinic.id}`.execute(
        trx,
      ),
    );
    t.equal(rows[0]?.n, 1);
  },
);

t.test('an extension and a sentence are no contact points of a place', async (t) => {
  const test = await intakeTest(t, { clinic: { country: 'NL' } });
  t.match(await tell(test, await sample('Location-1')), { accepted: 1 });
  const { rows } = await test.read((trx) =>
    sql`select name, phone, address from directory_entries where clinic_id = ${test.clinic.id}`.execute(
      trx,
    ),
  );
  t.same(rows, [
    {
      name: 'South Wing, second floor',
      phone: null,
      address: 'Galapagosweg 91, Building A, Den Burg',
    },
  ]);
});

t.test('a name that only the directory knows is put beside the id', async (t) => {
  const test = await intakeTest(t);
  await tell(test, await sample('Practitioner-example'));
  await tell(test, {
    resourceType: 'Encounter',
    id: 'e1',
    status: 'finished',
    period: { start: '2026-03-01' },
    subject: { reference: 'https://ehr.example/fhir/Patient/9/_history/3' },
    participant: [{ individual: { reference: 'Practitioner/example' } }],
  });
  t.match(await shownVisit(test, 'e1'), {
    patientId: '9',
    start: '2026-03-01T05:00:00Z',
    practitioner: { id: 'example', name: 'Dr Adam Careful' },
  });
});

t.test('every other sample is refused with a stable code', async (t) => {
  const test = await intakeTest(t);
  for (const name of [
    'AppointmentResponse-example',
    'Consent-consent-example-Out',
    'Coverage-9876B1',
    'HealthcareService-example',
    'Invoice-example',
    'PractitionerRole-example',
    'Subscription-example',
  ]) {
    const answer = await tell(test, await sample(name));
    t.match(
      answer,
      {
        accepted: 0,
        rejected: [{ index: 0, problem: { status: 422, code: 'unsupported-resource' } }],
      },
      name,
    );
    const [rejected] = answer.rejected;
    if (rejected)
      t.match(operationOutcome(rejected.problem), {
        resourceType: 'OperationOutcome',
        issue: [{ code: 'not-supported' }],
      });
  }
});

t.test('a notification with its resource is taken once', async (t) => {
  const test = await intakeTest(t);
  const notification = await sample('r4-notification-full-resource');
  t.match(await tell(test, notification), { accepted: 1, rejected: [] });
  t.match(await shownVisit(test, '86009987-eabe-42bf-8c02-b112b18cb616'), {
    status: 'in-progress',
    patientId: '1599eb66-431a-447c-a3de-6897fe9ae9a1',
  });
  t.match(await tell(test, notification), { accepted: 0, duplicates: 1, rejected: [] });
});

t.test('references inside a Bundle are resolved, and a bad entry stops no other', async (t) => {
  const test = await intakeTest(t);
  const bundle = {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      {
        fullUrl: 'urn:uuid:aaa',
        resource: {
          resourceType: 'Patient',
          id: 'p1',
          name: [{ use: 'official', family: 'Koepp', given: ['Abdul'] }],
        },
      },
      {
        fullUrl: 'urn:uuid:bbb',
        resource: {
          resourceType: 'Practitioner',
          id: 'd1',
          name: [{ family: 'House', prefix: ['Dr'] }],
        },
      },
      {
        fullUrl: 'urn:uuid:ccc',
        resource: {
          resourceType: 'Encounter',
          status: 'finished',
          subject: { reference: 'urn:uuid:aaa' },
          participant: [{ individual: { reference: 'urn:uuid:bbb' } }],
          period: { start: '2026-03-01T10:00:00Z', end: '2026-03-01T10:30:00Z' },
          type: [{ coding: [{ code: '185345009', display: 'Encounter for symptom' }] }],
        },
      },
      {
        fullUrl: 'urn:uuid:ddd',
        resource: {
          resourceType: 'Encounter',
          id: 'bad',
          status: 'over',
          subject: { reference: 'urn:uuid:aaa' },
        },
      },
      {
        fullUrl: 'urn:uuid:eee',
        resource: {
          resourceType: 'Encounter',
          id: 'lost',
          status: 'finished',
          subject: { reference: 'urn:uuid:nowhere' },
        },
      },
      { resource: { resourceType: 'Observation', id: 'o' } },
      { request: { method: 'GET', url: 'Encounter/1' } },
      null,
      {
        resource: {
          resourceType: 'Encounter',
          id: 'time',
          status: 'finished',
          period: { start: '2026-02-30T10:00:00Z' },
        },
      },
      { resource: { resourceType: 'Patient', id: 'nul', name: [{ family: 'a\0b' }] } },
    ],
  };
  const answer = await tell(test, bundle);
  t.match(answer, { accepted: 3 });
  t.match(answer.rejected, [
    { index: 3, id: 'bad', problem: { errors: [{ pointer: '/status', code: 'not-allowed' }] } },
    { index: 4, problem: { errors: [{ pointer: '/subject', code: 'unresolved-reference' }] } },
    { index: 5, problem: { code: 'unsupported-resource' } },
    { index: 6, problem: { code: 'payload-too-thin' } },
    { index: 7, problem: { code: 'payload-too-thin' } },
    { index: 8, problem: { errors: [{ pointer: '/period/start', code: 'not-a-time' }] } },
    { index: 9, problem: { errors: [{ code: 'unstorable-text' }] } },
  ]);
  t.match(await shownVisit(test, 'ccc'), {
    patientId: 'p1',
    practitioner: { id: 'd1', name: 'Dr House' },
    services: [{ id: '185345009' }],
  });
});

t.test('a merge comes as a link, a deletion as a request, and history newest first', async (t) => {
  const test = await intakeTest(t);
  const patient = (id: string, family: string, more: object = {}) => ({
    resource: { resourceType: 'Patient', id, name: [{ family }], ...more },
  });
  await tell(test, {
    resourceType: 'Bundle',
    type: 'collection',
    entry: [patient('old', 'Before'), patient('new', 'After')],
  });
  await tell(test, {
    resourceType: 'Patient',
    id: 'old',
    active: false,
    link: [{ type: 'replaced-by', other: { reference: 'Patient/new' } }],
  });
  t.match(await shownPatient(test, 'old'), { id: 'new', name: { family: 'After' }, active: true });
  const history = {
    resourceType: 'Bundle',
    type: 'history',
    entry: [
      {
        request: { method: 'DELETE', url: 'Patient/gone' },
        response: { lastModified: '2026-03-02T10:00:00Z' },
      },
      { ...patient('gone', 'Gone'), response: { lastModified: '2026-03-01T10:00:00Z' } },
      patient('kept', 'Second'),
      patient('kept', 'First'),
    ],
  };
  t.match(await tell(test, history), { accepted: 4, rejected: [] });
  t.equal(await shownPatient(test, 'gone'), null);
  t.match(await shownPatient(test, 'kept'), { name: { family: 'Second' } });
  t.ok(await deleteFhir(test.deps, test.caller, { type: 'Patient', id: 'kept' }));
  t.equal(await shownPatient(test, 'kept'), null);
});

t.test('what came without a version may go back to what it was', async (t) => {
  const test = await intakeTest(t);
  const patient = (family: string) => ({
    resourceType: 'Patient',
    id: '1',
    name: [{ family }],
    birthDate: '0000-00-00',
  });
  for (const family of ['A', 'B', 'A']) t.match(await tell(test, patient(family)), { accepted: 1 });
  t.match(await shownPatient(test, '1'), {
    name: { family: 'A' },
    warnings: [{ pointer: '/birthDate', code: 'impossible-date' }],
  });
});

t.test('what is no resource, and what no Bundle may be, is a 400 with a pointer', async (t) => {
  const test = await intakeTest(t);
  for (const body of [null, [], 'x', {}, { resourceType: 7 }])
    await t.rejects(tell(test, body), { code: 'validation' });
  await t.rejects(tell(test, { resourceType: 'Bundle', type: 'message' }), {
    code: 'validation',
    faults: [{ pointer: '/type' }],
  });
  await t.rejects(tell(test, { resourceType: 'Bundle', type: 'transaction', entry: {} }), {
    code: 'validation',
    faults: [{ pointer: '/entry' }],
  });
  await t.rejects(
    recordFhir(
      test.deps,
      test.caller,
      { resourceType: 'Patient', id: 'a' },
      { type: 'Patient', id: 'b' },
    ),
    { code: 'validation' },
  );
});

t.test(
  'a Synthea Bundle gives a patient with all visits, and a second time nothing new',
  async (t) => {
    const file = path.join(import.meta.dirname, '..', 'fixtures', 'synthea', 'patients.ndjson');
    const [line = ''] = (await readFile(file, 'utf8')).split('\n');
    const bundle = JSON.parse(line) as { entry: { resource: Record<string, unknown> }[] };
    const ofType = (type: string) =>
      bundle.entry
        .filter(({ resource }) => resource.resourceType === type)
        .map(({ resource }) => resource);
    const test = await intakeTest(t, { clinic: { country: 'US', timeZone: 'America/New_York' } });
    t.match(await tell(test, bundle), { accepted: bundle.entry.length, rejected: [] });
    const [person] = ofType('Patient');
    t.match(await shownPatient(test, String(person?.id)), {
      birthDate: person?.birthDate,
      contactable: false,
    });
    const encounters = ofType('Encounter');
    const count = async () => {
      const { rows } = await test.read((trx) =>
        sql<{ n: number; marks: number }>`
        select count(*)::int as n, count(*) filter (where practitioner_name is null)::int as nameless,
          (select count(*)::int from replan where clinic_id = ${test.clinic.id}) as marks
        from attendances where clinic_id = ${test.clinic.id}`.execute(trx),
      );
      return rows[0];
    };
    const before = await count();
    t.match(before, { n: encounters.length, nameless: 0, marks: 1 });
    t.match(await tell(test, bundle), { rejected: [] });
    t.same(await count(), before);
  },
);
