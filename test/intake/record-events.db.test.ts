import fc from 'fast-check';
import { sql } from 'kysely';
import t from 'tap';
import { toAppointmentOut } from '../../src/history/appointment.ts';
import { findAppointment } from '../../src/history/appointment-store.ts';
import { deleteClinic } from '../../src/history/clinic-store.ts';
import { toPatientOut } from '../../src/history/patient.ts';
import { findPatientByHostId, findPatientId } from '../../src/history/patient-store.ts';
import { toVisitOut } from '../../src/history/visit.ts';
import { findVisit } from '../../src/history/visit-store.ts';
import { recordEvents } from '../../src/intake/record-events.ts';
import { event, type IntakeTest, intakeTest, knownState } from '../support/intake.ts';

const mis = (externalId: string) => ({ source: 'mis', externalId });
const shownPatient = (test: IntakeTest, id: string) =>
  test.read(async (trx) => {
    const patient = await findPatientByHostId(trx, test.clinic.id, mis(id));
    return patient === null ? null : toPatientOut(patient, 'mis');
  });
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
const marks = async (test: IntakeTest) => {
  const { rows } = await test.read((trx) =>
    sql<{
      n: number;
    }>`select count(*)::int as n from replan where clinic_id = ${test.clinic.id}`.execute(trx),
  );
  return rows[0]?.n;
};

const wholePatient = {
  id: '1042',
  name: {
    family: 'Pérez',
    given: 'María',
    middle: 'Elena',
    preferred: 'Male',
    text: 'María Elena Pérez',
  },
  birthDate: '1984-05-17',
  gender: 'female',
  language: 'es-CO',
  timeZone: 'America/Bogota',
  telecom: [
    { system: 'phone', value: '+57 300 123 4567', use: 'mobile', rank: 1 },
    { system: 'email', value: 'Maria@Example.com' },
  ],
  preferredChannel: 'sms',
  reminderPreference: 'day-before',
  tags: ['vip', 'new'],
  payer: { id: 'dms', name: 'DMS' },
  household: 'h-1',
  guardianId: '1041',
  referredBy: '900',
  city: 'Bogotá',
  acquisition: { source: 'google', cost: '12.50' },
  active: true,
  deceased: false,
  consent: { care: { sms: 'granted' }, marketing: { sms: 'denied', email: 'unknown' } },
  attributes: { card: 'gold', points: 7, isMember: true },
};

for (const engine of ['postgres', 'pglite'] as const) {
  t.test(
    `what a host tells of a patient, a booking and a visit is shown again (${engine})`,
    async (t) => {
      const test = await intakeTest(t, { engine });
      const appointment = {
        id: 'a-1',
        patientId: '1042',
        status: 'booked',
        confirmation: 'needs-action',
        start: '2026-04-01T09:00:00-05:00',
        minutes: 30,
        timeZone: 'America/Bogota',
        practitioner: { id: 'dr-7', name: 'Ana "la doctora" \\ Souza' },
        services: [{ id: 'hygiene', name: 'Limpieza {con}, flúor' }],
        location: { id: 'centro', name: 'Centro' },
        payer: { id: 'dms' },
        createdAt: '2026-03-01T00:00:00Z',
        rescheduledFrom: 'a-0',
        sourceStatus: { code: '3', label: 'Confirmado' },
      };
      const visit = {
        id: 'v-1',
        patientId: '1042',
        appointmentId: 'a-1',
        status: 'finished',
        start: '2026-03-01T09:00:00.250-05:00',
        end: '2026-03-01T09:30:00-05:00',
        practitioner: { id: 'dr-7' },
        services: [{ id: 'hygiene' }, { id: 'x-ray' }],
        location: { id: 'centro' },
        payer: { id: 'dms' },
        amount: '2500.5',
        currency: 'BRL',
        facts: ['pain', 'a "quoted" fact'],
      };
      const answer = await test.tell(
        event('patient.upserted', wholePatient),
        event('appointment.upserted', appointment),
        event('visit.upserted', visit),
      );
      t.same(answer, { accepted: 3, duplicates: 0, stale: 0, rejected: [] });
      t.match(await shownPatient(test, '1042'), wholePatient);
      const { minutes: _minutes, start: _start, createdAt: _createdAt, ...asTold } = appointment;
      t.match(await shownAppointment(test, 'a-1'), {
        ...asTold,
        start: '2026-04-01T14:00:00Z',
        end: '2026-04-01T14:30:00Z',
        createdAt: '2026-03-01T00:00:00Z',
      });
      t.match(await shownVisit(test, 'v-1'), {
        ...visit,
        start: '2026-03-01T14:00:00.25Z',
        end: '2026-03-01T14:30:00Z',
        amount: '2500.50',
      });
      t.equal(await marks(test), 1);
    },
  );
}

t.test('an event that comes again counts once, in one batch or in many', async (t) => {
  const test = await intakeTest(t);
  const visit = event('visit.upserted', {
    id: 'v-1',
    patientId: '1',
    status: 'finished',
    start: '2026-03-01T09:00:00Z',
  });
  t.match(await test.tell(visit, visit), { accepted: 1, duplicates: 1 });
  const answers = await Promise.all(Array.from({ length: 40 }, () => test.tell(visit)));
  t.equal(
    answers.reduce((sum, { duplicates }) => sum + duplicates, 0),
    40,
  );
});

t.test('many requests at once are all answered, and each clinic keeps its own', async (t) => {
  const test = await intakeTest(t);
  const other = await test.another();
  const same = Array.from({ length: 200 }, (_, i) =>
    event('patient.upserted', { id: `p-${i}`, name: { family: `F${i}` } }),
  );
  const answers = await Promise.all(same.flatMap((one) => [test.tell(one), other.tell(one)]));
  t.ok(answers.every(({ accepted }) => accepted === 1));
  t.match(await shownPatient(other, 'p-199'), { name: { family: 'F199' } });
});

t.test('a visit of a patient nobody told about is joined when the patient arrives', async (t) => {
  const test = await intakeTest(t);
  await test.tell(
    event('visit.upserted', {
      id: 'v-1',
      patientId: '7',
      status: 'finished',
      start: '2026-03-01T09:00:00Z',
    }),
  );
  t.equal(await shownPatient(test, '7'), null);
  t.match(await shownVisit(test, 'v-1'), { patientId: '7' });
  await test.tell(event('patient.upserted', { id: '7', name: { family: 'Rojas' } }));
  t.match(await shownPatient(test, '7'), { name: { family: 'Rojas' } });
});

t.test(
  'an older event is stale and changes nothing; the same content again is no change',
  async (t) => {
    const test = await intakeTest(t);
    const told = (family: string, occurredAt: string, version?: string) =>
      event(
        'patient.upserted',
        { id: '1', name: { family } },
        { occurredAt, ...(version ? { version } : {}) },
      );
    await test.tell(told('New', '2026-03-02T10:00:00Z', '9'));
    t.match(await test.tell(told('Old', '2026-03-01T10:00:00Z')), { stale: 1, accepted: 0 });
    t.match(await test.tell(told('Older version', '2026-03-02T10:00:00Z', '8')), { stale: 1 });
    t.match(await shownPatient(test, '1'), { name: { family: 'New' } });
    const before = await marks(test);
    t.match(await test.tell(told('New', '2026-03-03T10:00:00Z', '9')), { accepted: 1 });
    t.equal(await marks(test), before);
    t.match(await test.tell(told('Between', '2026-03-02T12:00:00Z', '10')), { stale: 1 });
    t.match(await test.tell(told('Ten is newer than nine', '2026-03-03T10:00:00Z', '10')), {
      accepted: 1,
    });
    t.match(await shownPatient(test, '1'), { name: { family: 'Ten is newer than nine' } });
  },
);

t.test(
  'a time far ahead of the clinic is replaced by its present instant and flagged',
  async (t) => {
    const test = await intakeTest(t);
    await test.tell(event('patient.upserted', { id: '1' }, { occurredAt: '2029-01-01T00:00:00Z' }));
    t.match(await shownPatient(test, '1'), {
      warnings: [{ pointer: '/occurredAt', code: 'in-future' }],
    });
    test.clock.advance('PT1H');
    t.match(
      await test.tell(
        event(
          'patient.upserted',
          { id: '1', city: 'Cali' },
          { occurredAt: '2026-03-28T13:00:00Z' },
        ),
      ),
      { accepted: 1 },
    );
    t.match(await shownPatient(test, '1'), { city: 'Cali' });
  },
);

t.test('a deletion that comes before what it deletes still holds', async (t) => {
  const test = await intakeTest(t);
  const late = { occurredAt: '2026-03-05T10:00:00Z' };
  await test.tell(
    event('appointment.deleted', { id: 'a-1' }, late),
    event('visit.deleted', { id: 'v-1' }, late),
    event('patient.deleted', { id: '1' }, late),
  );
  const answer = await test.tell(
    event('patient.upserted', { id: '1' }),
    event('visit.upserted', {
      id: 'v-1',
      patientId: '1',
      status: 'finished',
      start: '2026-03-01T09:00:00Z',
    }),
    event('appointment.upserted', {
      id: 'a-1',
      patientId: '1',
      status: 'booked',
      start: '2026-05-01T09:00:00Z',
    }),
  );
  t.match(answer, { accepted: 0, stale: 3 });
  t.equal(await shownPatient(test, '1'), null);
  t.equal(await shownVisit(test, 'v-1'), null);
  t.equal(await shownAppointment(test, 'a-1'), null);
  await test.tell(event('patient.upserted', { id: '1' }, { occurredAt: '2026-03-06T10:00:00Z' }));
  t.ok(await shownPatient(test, '1'), 'a newer upsert brings the patient back');
});

t.test('each real move of a booking is a revision, a repetition is none', async (t) => {
  const test = await intakeTest(t);
  const told = (day: number, start: string) =>
    event(
      'appointment.upserted',
      { id: 'a-1', patientId: '1', status: 'booked', start },
      { occurredAt: `2026-03-0${day}T10:00:00Z` },
    );
  const revision = async () => {
    const { rows } = await test.read((trx) =>
      sql<{
        start_revision: number;
      }>`select start_revision from appointments where clinic_id = ${test.clinic.id}`.execute(trx),
    );
    return rows[0]?.start_revision;
  };
  await test.tell(told(1, '2026-05-01T09:00:00Z'));
  t.equal(await revision(), 1);
  await test.tell(told(2, '2026-05-01T04:00:00-05:00'), told(3, '2026-05-02T09:00:00Z'));
  t.equal(await revision(), 2);
  await test.tell(told(2, '2026-05-09T09:00:00Z'));
  t.equal(await revision(), 2);
  await test.tell(told(4, '2026-05-01T09:00:00Z'));
  t.equal(await revision(), 3);
});

t.test('one poisoned item of 500 harms only itself', async (t) => {
  const test = await intakeTest(t);
  // What no schema knows of: the database itself refuses this one.
  await sql`create function refuse_it() returns trigger language plpgsql as $$
    begin if new.external_id = 'v-250' then raise exception 'no' using errcode = '22000'; end if; return new; end $$`.execute(
    test.database.db,
  );
  await sql`create trigger refuse_it before insert on visits for each row execute function refuse_it()`.execute(
    test.database.db,
  );
  const events = Array.from({ length: 500 }, (_, i) =>
    event('visit.upserted', {
      id: `v-${i}`,
      patientId: `p-${i % 50}`,
      status: 'finished',
      start: '2026-03-01T09:00:00Z',
    }),
  );
  const answer = await test.tell(...events);
  t.equal(answer.accepted, 499);
  t.match(answer.rejected, [{ index: 250, problem: { code: 'unprocessable', status: 422 } }]);
  t.equal(await shownVisit(test, 'v-250'), null);
  t.ok(await shownVisit(test, 'v-499'));
});

t.test(
  'a merge moves everything to the survivor, and the retired id resolves for ever',
  async (t) => {
    const test = await intakeTest(t);
    await recordEvents(test.deps, test.caller, [
      event('patient.upserted', {
        id: 'A',
        name: { family: 'Old' },
        consent: { care: { sms: 'granted' } },
      }),
      event('patient.upserted', { id: 'B', name: { family: 'New' } }),
      event('visit.upserted', {
        id: 'v-1',
        patientId: 'A',
        status: 'finished',
        start: '2026-03-01T09:00:00Z',
      }),
      event('patient.merged', { id: 'A', into: 'B' }, { occurredAt: '2026-03-02T10:00:00Z' }),
    ]);
    t.match(await shownVisit(test, 'v-1'), { patientId: 'B' });
    t.match(await shownPatient(test, 'A'), {
      id: 'B',
      name: { family: 'New' },
      consent: { care: { sms: 'granted' } },
    });
    await test.tell(
      event('visit.upserted', {
        id: 'v-2',
        patientId: 'A',
        status: 'finished',
        start: '2026-03-03T09:00:00Z',
      }),
    );
    t.match(await shownVisit(test, 'v-2'), { patientId: 'B' });
    const later = { occurredAt: '2026-03-04T10:00:00Z' };
    await test.tell(event('patient.upserted', { id: 'A', name: { family: 'Newest' } }, later));
    t.match(
      await shownPatient(test, 'B'),
      { name: { family: 'Newest' } },
      'later words about A are about B',
    );
    await test.tell(
      event('patient.upserted', { id: 'A', active: false }, { occurredAt: '2026-03-05T10:00:00Z' }),
    );
    t.match(
      await shownPatient(test, 'B'),
      { active: true },
      'a retired record put out of use is not the survivor',
    );
    await test.tell(event('patient.deleted', { id: 'A' }, { occurredAt: '2026-03-06T10:00:00Z' }));
    t.ok(await shownPatient(test, 'B'));
  },
);

t.test('merges may come first, in chains, twice, and never in a circle', async (t) => {
  const test = await intakeTest(t);
  t.match(await test.tell(event('patient.merged', { id: 'A', into: 'B' })), { accepted: 1 });
  t.match(await test.tell(event('patient.merged', { id: 'A', into: 'B' })), { accepted: 1 });
  t.match(await test.tell(event('patient.merged', { id: 'B', into: 'A' })), {
    rejected: [{ index: 0, problem: { code: 'merge-cycle' } }],
  });
  t.match(await test.tell(event('patient.merged', { id: 'B', into: 'C' })), { accepted: 1 });
  t.match(await test.tell(event('patient.merged', { id: 'C', into: 'A' })), {
    rejected: [{ problem: { code: 'merge-cycle' } }],
  });
  t.match(await test.tell(event('patient.merged', { id: 'X', into: 'X' })), {
    rejected: [{ problem: { code: 'merge-cycle' } }],
  });
  await test.tell(
    event('patient.upserted', { id: 'A', name: { family: 'Told before the survivor' } }),
  );
  t.match(await shownPatient(test, 'C'), { name: { family: 'Told before the survivor' } });
  await test.tell(
    event(
      'patient.upserted',
      { id: 'C', name: { family: 'Survivor' } },
      { occurredAt: '2026-02-01T10:00:00Z' },
    ),
  );
  t.match(await shownPatient(test, 'A'), { id: 'C', name: { family: 'Survivor' } });
  const ids = await test.read((trx) =>
    Promise.all(['A', 'B', 'C'].map((id) => findPatientId(trx, test.clinic.id, mis(id)))),
  );
  t.equal(new Set(ids).size, 1);
});

t.test('whoever was erased stays so, whatever the host sends later', async (t) => {
  const test = await intakeTest(t);
  await test.tell(
    event('patient.upserted', wholePatient),
    event('visit.upserted', {
      id: 'v-1',
      patientId: '1042',
      status: 'finished',
      start: '2026-03-01T09:00:00Z',
      facts: ['pain'],
    }),
    event('x-survey', { patientId: '1042', note: 'Pérez' }),
    event('patient.erased', { id: '1042' }, { occurredAt: '2026-03-02T10:00:00Z' }),
  );
  await test.tell(event('patient.upserted', wholePatient, { occurredAt: '2026-03-09T10:00:00Z' }));
  t.equal(await shownPatient(test, '1042'), null);
  const { rows } = await test.read((trx) =>
    sql<{ said: string }>`
      select concat((select string_agg(p::text, ' ') from patients p where clinic_id = ${test.clinic.id}),
        (select string_agg(e.body::text, ' ') from intake_events e where clinic_id = ${test.clinic.id}),
        (select string_agg(v::text, ' ') from visits v where clinic_id = ${test.clinic.id})) as said`.execute(
      trx,
    ),
  );
  t.notMatch(rows[0]?.said, /Pérez|María|300123|1984|pain/);
});

t.test('what is wrong is told with a pointer, and the rest of the batch is taken', async (t) => {
  const test = await intakeTest(t);
  const cases: [object | null | string | number, string, string][] = [
    [
      event('patient.upserted', { id: '1', birthdate: '1984-05-17' }),
      '/data/birthdate',
      'unknown-field',
    ],
    [event('patient.upserted', { id: '1', active: 'true' }), '/data/active', 'wrong-type'],
    [event('patient.upserted', { id: '1', name: null }), '/data/name', 'wrong-type'],
    [
      event('patient.upserted', { id: '1', timeZone: 'Mars/Olympus' }),
      '/data/timeZone',
      'unknown-time-zone',
    ],
    [event('patient.upserted', { id: '1', city: 'a\0b' }), '/data/city', 'unstorable-text'],
    [event('patient.upserted', { id: '1', city: 'a\ud800b' }), '/data/city', 'unstorable-text'],
    [event('patient.upserted', { id: 'a~b~c' }), '/data/id', 'wrong-form'],
    [event('patient.upserted', {}), '/data/id', 'missing'],
    [event('visit.upserted', { id: '1', status: 'done' }), '/data/status', 'not-allowed'],
    [
      event('visit.upserted', { id: '1', status: 'finished', start: '2026-02-30T10:00:00Z' }),
      '/data/start',
      'not-a-time',
    ],
    [
      event('visit.upserted', { id: '1', status: 'finished', start: '3026-02-03T10:00:00Z' }),
      '/data/start',
      'out-of-range',
    ],
    [
      event('visit.upserted', { id: '1', status: 'finished', amount: '1.005' }),
      '/data/amount',
      'too-many-places',
    ],
    [event('patient.moved', { id: '1' }), '/type', 'unknown-type'],
    [
      event('patient.upserted', { id: '1' }, { occurredAt: 'yesterday' }),
      '/occurredAt',
      'not-a-time',
    ],
    [event('x-any', { patientId: 7 }), '/data/patientId', 'wrong-type'],
    [
      event('x-any', { deep: JSON.parse('['.repeat(3000) + ']'.repeat(3000)) }),
      '/data',
      'too-complex',
    ],
    [event('patient.upserted', { id: '1' }, { version: 'a\0' }), '/version', 'unstorable-text'],
    [event('patient.upserted', { id: '1' }, { id: 'a\ud800' }), '/id', 'unstorable-text'],
    [event('patient.upserted', { id: '1' }, { extra: 1 }), '/extra', 'unknown-field'],
    [null, '', 'wrong-type'],
    ['text', '', 'wrong-type'],
  ];
  const good = event('patient.upserted', { id: 'good' });
  const answer = await recordEvents(test.deps, test.caller, [...cases.map(([item]) => item), good]);
  t.equal(answer.accepted, 1);
  for (const [index, [, pointer, code]] of cases.entries()) {
    const { problem } = answer.rejected.find((one) => one.index === index) ?? {};
    t.match(problem, { status: 400, code: 'validation' }, `${pointer} ${code}`);
    t.match(
      problem?.errors.find((fault) => fault.pointer === pointer),
      { code },
      `${pointer} ${code}`,
    );
  }
});

t.test('events whose effect comes later are checked and kept whole', async (t) => {
  const test = await intakeTest(t);
  const kept: [string, object, object][] = [
    [
      'appointment.delayed',
      { id: 'a-1', minutes: 20, reason: 'Emergency' },
      { id: 'a-1', minutes: 0 },
    ],
    [
      'treatment.upserted',
      { id: 't-1', patientId: '1', steps: [{ id: 's', service: 'crown', dueOn: '2026-05-01' }] },
      { id: 't-1', patientId: '1' },
    ],
    [
      'payment.recorded',
      {
        id: 'p-1',
        patientId: '1',
        visitId: 'v',
        amount: '10.00',
        currency: 'COP',
        kind: 'payment',
        paidAt: '2026-03-01T10:00:00Z',
      },
      { id: 'p-1', patientId: '1', amount: '10.00', paidAt: 'soon' },
    ],
    [
      'contact.recorded',
      { patientId: '1', channel: 'call', purpose: 'care', at: '2026-03-01T10:00:00Z' },
      { patientId: '1', channel: 'fax', purpose: 'care', at: '2026-03-01T10:00:00Z' },
    ],
    ['referral.recorded', { patientId: '1', referredId: '2' }, { patientId: '1' }],
    [
      'review.received',
      { patientId: '1', visitId: 'v', score: 5, text: 'Good' },
      { patientId: '1', score: 'five' },
    ],
    ['callback.requested', { phone: '+573001234567', note: 'Evening' }, { note: 'Nobody' }],
    [
      'capacity.updated',
      { service: 'hygiene', practitioner: 'dr-7', day: '2026-04-01', free: 3 },
      { day: 'tomorrow', free: 3 },
    ],
    ['x-survey', { patientId: '1', anything: { goes: [1, true, null] } }, { patientId: 7 }],
  ];
  const events = kept.map(([type, data]) => event(type, data));
  t.match(await test.tell(...events), { accepted: kept.length, rejected: [] });
  const { rows } = await test.read((trx) =>
    sql<{
      type: string;
      body: unknown;
    }>`select type, body from intake_events where clinic_id = ${test.clinic.id}`.execute(trx),
  );
  for (const [type, data] of kept)
    t.strictSame(rows.find((row) => row.type === type)?.body, data, type);
  const wrong = await test.tell(...kept.map(([type, , data]) => event(type, data)));
  t.equal(wrong.rejected.length, kept.length);
  t.ok(wrong.rejected.every(({ problem }) => problem.status === 400));
});

for (const engine of ['postgres', 'pglite'] as const) {
  t.test(`a clinic goes with everything it was told (${engine})`, async (t) => {
    const test = await intakeTest(t, { engine });
    const other = await test.another();
    const story = [
      event('patient.upserted', wholePatient),
      event('appointment.upserted', { id: 'a-1', patientId: '1042', status: 'booked' }),
      event('visit.upserted', {
        id: 'v-1',
        patientId: '1042',
        status: 'finished',
        start: '2026-03-01T09:00:00Z',
      }),
    ];
    await test.tell(...story);
    await other.tell(...story);
    t.ok(await deleteClinic(test.database.db, test.clinic.id));
    for (const table of [
      'patients',
      'appointments',
      'visits',
      'consents',
      'intake_events',
      'replan',
    ]) {
      const { rows } = await sql<{
        clinic_id: string;
      }>`select distinct clinic_id from ${sql.table(table)}`.execute(test.database.db);
      t.notOk(
        rows.some((row) => row.clinic_id === test.clinic.id),
        table,
      );
    }
    t.equal(await marks(other), 1);
  });
}

t.test('an impossible birth date is dropped with a warning, a partial one is kept', async (t) => {
  const test = await intakeTest(t);
  for (const birthDate of [
    '0000-00-00',
    '2027-01-01',
    '1899-12-31',
    'infinity',
    'today',
    '',
    '17.05.1984',
  ]) {
    t.match(
      await test.tell(
        event('patient.upserted', { id: '1', birthDate, tags: [birthDate || 'none'] }),
      ),
      { accepted: 1 },
    );
    const shown = await shownPatient(test, '1');
    t.equal(shown?.birthDate, undefined, birthDate);
    t.match(shown?.warnings, [{ pointer: '/birthDate', code: 'impossible-date' }], birthDate);
  }
  for (const birthDate of ['2001-02-30', '2001-13-01', '2100-02-29', '1900-04-31']) {
    t.match(await test.tell(event('patient.upserted', { id: '1', birthDate })), {
      accepted: 0,
      rejected: [
        { problem: { errors: [{ pointer: '/data/birthDate', code: 'impossible-date' }] } },
      ],
    });
  }
  for (const birthDate of ['1984', '1984-05', '2000-02-29', '2026-03-28']) {
    await test.tell(event('patient.upserted', { id: '1', birthDate }));
    const shown = await shownPatient(test, '1');
    t.equal(shown?.birthDate, birthDate);
    t.equal(shown?.warnings, undefined);
  }
});

t.test('a local time takes the zone of its record, its location or the clinic', async (t) => {
  const test = await intakeTest(t);
  const start = '2026-03-29T02:30:00';
  await test.tell(
    event('visit.upserted', {
      id: 'v-1',
      status: 'planned',
      start,
      timeZone: 'Europe/Berlin',
      location: { id: 'x', timeZone: 'Asia/Almaty' },
    }),
    event('visit.upserted', {
      id: 'v-2',
      status: 'planned',
      start,
      location: { id: 'x', timeZone: 'Asia/Almaty' },
    }),
    event('visit.upserted', { id: 'v-3', status: 'planned', start }),
  );
  t.match(await shownVisit(test, 'v-1'), {
    start: '2026-03-29T01:30:00Z',
    warnings: [{ pointer: '/start', code: 'dst-gap' }],
  });
  t.match(await shownVisit(test, 'v-2'), { start: '2026-03-28T21:30:00Z' });
  t.match(await shownVisit(test, 'v-3'), { start: '2026-03-29T07:30:00Z' });
});

t.test("an id of another source is written with it, and is that source's own", async (t) => {
  const test = await intakeTest(t);
  const crm = { ...test.caller, source: 'crm' };
  await recordEvents(test.deps, crm, [
    event('patient.upserted', { id: '17', name: { family: 'Crm' } }),
  ]);
  await test.tell(
    event('visit.upserted', {
      id: 'v-1',
      patientId: 'crm~17',
      status: 'finished',
      start: '2026-03-01T09:00:00Z',
    }),
  );
  t.match(await shownVisit(test, 'v-1'), { patientId: 'crm~17' });
  t.equal(await shownPatient(test, '17'), null);
});

// A story of twelve events, with versions where two things happen at one instant.
const at = (day: number) => ({ occurredAt: `2026-03-${String(day).padStart(2, '0')}T10:00:00Z` });
const visit = (id: string, patientId: string, start: string) => ({
  id,
  patientId,
  status: 'finished',
  start,
});
const story = [
  {
    id: 's1',
    type: 'patient.upserted',
    ...at(1),
    data: {
      id: 'A',
      name: { family: 'One' },
      telecom: [{ system: 'email', value: 'a@example.com' }],
      consent: { care: { sms: 'granted' } },
    },
  },
  {
    id: 's2',
    type: 'patient.upserted',
    ...at(3),
    data: {
      id: 'B',
      name: { family: 'Two' },
      tags: ['vip'],
      consent: { care: { sms: 'denied' }, marketing: { sms: 'granted' } },
    },
  },
  { id: 's3', type: 'visit.upserted', ...at(2), data: visit('v-1', 'A', '2026-02-01T09:00:00Z') },
  {
    id: 's4',
    type: 'visit.upserted',
    ...at(4),
    data: { ...visit('v-1', 'A', '2026-02-01T09:30:00Z'), facts: ['pain'] },
  },
  { id: 's5', type: 'patient.merged', ...at(5), data: { id: 'A', into: 'B' } },
  {
    id: 's6',
    type: 'patient.upserted',
    ...at(6),
    data: {
      id: 'A',
      name: { family: 'Three' },
      telecom: [{ system: 'email', value: 'b@example.com' }],
    },
  },
  {
    id: 's7',
    type: 'appointment.upserted',
    ...at(6),
    version: '1',
    data: { id: 'a-1', patientId: 'A', status: 'booked', start: '2026-05-01T09:00:00Z' },
  },
  {
    id: 's8',
    type: 'appointment.upserted',
    ...at(6),
    version: '2',
    data: { id: 'a-1', patientId: 'B', status: 'booked', start: '2026-05-02T09:00:00Z' },
  },
  { id: 's9', type: 'appointment.deleted', ...at(7), data: { id: 'a-1' } },
  {
    id: 's10',
    type: 'appointment.upserted',
    ...at(8),
    data: { id: 'a-1', patientId: 'B', status: 'cancelled', start: '2026-05-02T09:00:00Z' },
  },
  {
    id: 's11',
    type: 'consent.changed',
    ...at(4),
    data: { patientId: 'A', purpose: 'care', channel: 'sms', state: 'granted', evidence: 'form' },
  },
  { id: 's12', type: 'visit.deleted', ...at(9), data: { id: 'v-2' } },
];

t.test('late, shuffled and repeated events end in the same state', async (t) => {
  const test = await intakeTest(t);
  await test.tell(...story);
  const expected = await knownState(test);
  t.match(expected.patients, [
    { external_id: 'A', survivor: 'B' },
    { external_id: 'B', shown: [true, 'Three'] },
  ]);
  const permutations = fc.tuple(
    fc.shuffledSubarray(story, { minLength: story.length }),
    fc.array(fc.nat({ max: story.length - 1 }), { maxLength: 6 }),
    fc.integer({ min: 1, max: 13 }),
  );
  await fc.assert(
    fc.asyncProperty(permutations, async ([shuffled, repeats, batchSize]) => {
      const clinic = await test.another();
      const events = [...shuffled, ...repeats.flatMap((index) => story[index] ?? [])];
      for (let from = 0; from < events.length; from += batchSize) {
        const answer = await clinic.tell(...events.slice(from, from + batchSize));
        if (answer.rejected.length > 0) throw new Error(JSON.stringify(answer.rejected));
      }
      t.strictSame(await knownState(clinic), expected);
      return t.passing();
    }),
    { numRuns: 300, endOnFailure: true },
  );
});
