import { sql } from 'kysely';
import t from 'tap';
import { withClinic } from '../../src/database/with-clinic.ts';
import { findClinic } from '../../src/history/clinic-store.ts';
import type { RuleIn } from '../../src/rules/rule.ts';
import { activateRule, pauseRule, updateRule } from '../../src/rules/rule-store.ts';
import { change, makeAppointment, makePatient, makeRule, makeVisit } from '../support/factory.ts';
import { rulesClinic } from './rules-clinic.ts';

const now = '2026-03-02T06:00:00Z';
const reminder: Pick<RuleIn, 'purpose' | 'steps'> = {
  purpose: 'transactional',
  steps: [{ channel: 'sms', template: 'transactional' }],
};

t.test(
  'a reminder goes before the appointment, in its zone, and again when it moves',
  async (t) => {
    const clinic = await rulesClinic(t, { timeZone: 'Europe/Berlin' });
    const ann = await makePatient(clinic.db, clinic.id);
    await makeRule(clinic.db, clinic.id, {
      ...reminder,
      trigger: { type: 'appointment', before: 'P1D' },
    });
    const id = await makeAppointment(clinic.db, clinic.id, {
      id: 'a-1',
      patientId: ann,
      start: '2026-03-05T14:00:00Z',
      bookedAt: now,
      timeZone: 'America/Bogota',
    });
    await clinic.plan(now);
    t.match(await clinic.messages(), [
      { occurrence: 'appointment:a-1:r1:P1D', scheduledAt: '2026-03-04T14:00:00Z' },
    ]);
    await change(
      clinic.db,
      clinic.id,
      [ann],
      sql`
    update appointments set start_at = '2026-03-05T16:00:00Z', start_revision = 2
    where clinic_id = ${clinic.id} and external_id = ${id}`,
    );
    await clinic.plan('2026-03-02T07:00:00Z');
    t.match(await clinic.messages(), [
      { occurrence: 'appointment:a-1:r1:P1D', state: 'cancelled', reason: 'appointment-changed' },
      {
        occurrence: 'appointment:a-1:r2:P1D',
        state: 'scheduled',
        scheduledAt: '2026-03-04T16:00:00Z',
      },
    ]);
    await change(
      clinic.db,
      clinic.id,
      [ann],
      sql`
    update appointments set status = 'cancelled' where clinic_id = ${clinic.id} and external_id = ${id}`,
    );
    await clinic.plan('2026-03-02T08:00:00Z');
    t.match(await clinic.messages(), [
      { state: 'cancelled' },
      { state: 'cancelled', reason: 'appointment-changed' },
    ]);
  },
);

t.test('a reminder that falls into the night goes on the evening before', async (t) => {
  const clinic = await rulesClinic(t, {
    settings: { sendWindow: { start: '09:00', end: '21:00' } },
  });
  const ann = await makePatient(clinic.db, clinic.id);
  await makeRule(clinic.db, clinic.id, {
    ...reminder,
    trigger: { type: 'appointment', before: 'PT2H' },
  });
  await makeAppointment(clinic.db, clinic.id, {
    patientId: ann,
    start: '2026-03-04T08:30:00Z',
    bookedAt: now,
  });
  await clinic.plan(now);
  t.match(await clinic.messages(), [{ scheduledAt: '2026-03-03T20:59:00Z' }]);
});

t.test('who books when the reminder is long due is not told that it is late', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeRule(
    clinic.db,
    clinic.id,
    { ...reminder, trigger: { type: 'appointment', before: 'P14D' } },
    { now: '2026-02-01T06:00:00Z' },
  );
  await clinic.plan(now);
  await makeAppointment(clinic.db, clinic.id, {
    patientId: ann,
    start: '2026-03-04T08:30:00Z',
    bookedAt: now,
  });
  await clinic.plan(now);
  t.same(await clinic.journeys(), []);
});

t.test('a missed appointment is followed up, and a booked one confirmed', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeRule(clinic.db, clinic.id, {
    trigger: { type: 'appointment', on: 'noshow', after: 'PT1H' },
  });
  await makeRule(clinic.db, clinic.id, {
    ...reminder,
    trigger: { type: 'appointment', on: 'booked' },
  });
  const id = await makeAppointment(clinic.db, clinic.id, {
    id: 'a-9',
    patientId: ann,
    start: '2026-03-02T09:00:00Z',
    bookedAt: '2026-03-02T06:30:00Z',
  });
  await clinic.plan('2026-03-02T06:30:00Z');
  t.match(await clinic.messages(), [
    { occurrence: 'appointment:a-9:r1:booked', scheduledAt: '2026-03-02T06:30:00Z' },
  ]);
  await clinic.send('2026-03-02T06:30:00Z');
  await change(
    clinic.db,
    clinic.id,
    [ann],
    sql`
    update appointments set status = 'noshow' where clinic_id = ${clinic.id} and external_id = ${id}`,
  );
  await clinic.plan('2026-03-02T09:30:00Z');
  t.match(await clinic.messages(), [
    { occurrence: 'appointment:a-9:r1:booked', state: 'delivered' },
    { occurrence: 'appointment:a-9:r1:noshow', scheduledAt: '2026-03-02T10:00:00Z' },
  ]);
});

t.test(
  'birthdays are greeted in the morning of the patient, 29 February on the 28th',
  async (t) => {
    const clinic = await rulesClinic(t, { now: '2026-02-26T06:00:00Z' });
    await makeRule(
      clinic.db,
      clinic.id,
      { trigger: { type: 'birthday' } },
      { now: '2026-02-26T06:00:00Z' },
    );
    await makePatient(clinic.db, clinic.id, { birthDate: '1980-02-27', timeZone: 'Asia/Tokyo' });
    await makePatient(clinic.db, clinic.id, { birthDate: '1988-02-29' });
    await makePatient(clinic.db, clinic.id, { birthDate: '1980-03-20' });
    await makePatient(clinic.db, clinic.id, { birthDate: '2026-02-27' });
    await clinic.plan('2026-02-26T06:00:00Z');
    const at = (await clinic.messages())
      .map(({ occurrence, scheduledAt }) => `${occurrence} ${scheduledAt}`)
      .sort();
    t.same(at, ['birthday:2026 2026-02-27T01:00:00Z', 'birthday:2026 2026-02-28T10:00:00Z']);
  },
);

t.test('a birthday that is corrected moves, and is greeted once a year', async (t) => {
  const clinic = await rulesClinic(t);
  await makeRule(clinic.db, clinic.id, { trigger: { type: 'birthday' } });
  const ann = await makePatient(clinic.db, clinic.id, { birthDate: '1980-03-03' });
  await clinic.plan(now);
  const born = (day: string) =>
    change(
      clinic.db,
      clinic.id,
      [ann],
      sql`
    update patients set birth_date = ${day} where clinic_id = ${clinic.id}`,
    );
  await born('1980-03-04');
  await clinic.plan(now);
  t.match(await clinic.messages(), [{ scheduledAt: '2026-03-04T10:00:00Z', state: 'scheduled' }]);
  await born('1980-09-04');
  await clinic.plan(now);
  t.match(await clinic.messages(), [{ state: 'cancelled', reason: 'birthday-changed' }]);
});

t.test(
  'a follow-up goes in the evening of the visit, and on the next day after a late one',
  async (t) => {
    const clinic = await rulesClinic(t);
    const [early, late] = [
      await makePatient(clinic.db, clinic.id),
      await makePatient(clinic.db, clinic.id),
    ];
    await makeRule(clinic.db, clinic.id, {
      trigger: { type: 'visit', after: 'PT3H', facts: ['prescription'] },
      sendAt: '18:00',
      unlessBooked: false,
    });
    const facts = ['prescription'];
    await makeVisit(clinic.db, clinic.id, { patientId: early, at: '2026-03-02T09:00:00Z', facts });
    await makeVisit(clinic.db, clinic.id, {
      patientId: late,
      at: '2026-03-02T17:30:00Z',
      endsAt: '2026-03-02T18:30:00Z',
      facts,
    });
    await makeVisit(clinic.db, clinic.id, {
      patientId: await makePatient(clinic.db, clinic.id),
      at: '2026-03-02T09:00:00Z',
    });
    await clinic.plan('2026-03-02T19:00:00Z');
    const due = new Map(
      (await clinic.journeys()).map(({ patientId, dueAt }) => [patientId, dueAt]),
    );
    t.same(
      [due.get(early), due.get(late), due.size],
      ['2026-03-02T18:00:00Z', '2026-03-03T18:00:00Z', 2],
    );
  },
);

t.test('who comes to another doctor is still recalled by the one before', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeVisit(clinic.db, clinic.id, {
    id: 'eye',
    patientId: ann,
    at: '2025-09-04T15:00:00Z',
    practitioner: 'eyes',
    services: ['check'],
  });
  await makeVisit(clinic.db, clinic.id, {
    id: 'tooth',
    patientId: ann,
    at: '2025-12-04T15:00:00Z',
    practitioner: 'teeth',
    services: ['hygiene', 'check'],
  });
  const visit = { type: 'visit', after: 'P180D' } as const;
  await makeRule(clinic.db, clinic.id, { name: 'any', trigger: visit });
  await makeRule(clinic.db, clinic.id, {
    name: 'doctor',
    trigger: { ...visit, scope: 'same-practitioner' },
  });
  await makeRule(clinic.db, clinic.id, {
    name: 'service',
    trigger: { ...visit, scope: 'same-service' },
  });
  await clinic.plan(now);
  t.equal((await clinic.messages()).length, 1, 'by the rule of the same doctor alone');
});

t.test('a visit and the appointment that it fulfils are one occurrence', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeAppointment(clinic.db, clinic.id, {
    id: 'a-7',
    patientId: ann,
    start: '2025-09-04T15:00:00Z',
    bookedAt: '2025-09-01T15:00:00Z',
    status: 'fulfilled',
  });
  await makeRule(clinic.db, clinic.id);
  await clinic.plan(now);
  await makeVisit(clinic.db, clinic.id, {
    patientId: ann,
    at: '2025-09-04T15:05:00Z',
    appointmentId: 'a-7',
  });
  await clinic.plan(now);
  t.match(await clinic.messages(), [{ occurrence: 'visit:a/a-7', state: 'scheduled' }]);
});

t.test('a new patient is welcomed once', async (t) => {
  const clinic = await rulesClinic(t);
  await makeRule(clinic.db, clinic.id, { trigger: { type: 'patient', after: 'PT1H' } });
  await makePatient(clinic.db, clinic.id, { createdAt: '2026-03-02T05:00:00Z' });
  await makePatient(clinic.db, clinic.id, { createdAt: '2026-03-02T06:30:00Z' });
  await clinic.plan('2026-03-02T06:30:00Z');
  t.match(await clinic.messages(), [
    { occurrence: 'patient', scheduledAt: '2026-03-02T07:30:00Z' },
  ]);
});

t.test(
  'a ladder goes on step by step, skips what has no address, and stops when the patient books',
  async (t) => {
    const clinic = await rulesClinic(t);
    const [books, silent] = [
      await makePatient(clinic.db, clinic.id),
      await makePatient(clinic.db, clinic.id),
    ];
    for (const patientId of [books, silent])
      await makeVisit(clinic.db, clinic.id, { patientId, at: '2025-09-04T15:00:00Z' });
    await makeRule(clinic.db, clinic.id, {
      steps: [
        { channel: 'sms', template: 'care' },
        { channel: 'email', template: 'care', after: 'P7D' },
        { channel: 'sms', template: 'care', after: 'P5D' },
        { channel: 'task', template: 'care', after: 'P2D' },
      ],
    });
    await clinic.plan(now);
    await clinic.send('2026-03-03T10:00:00Z');
    await clinic.plan('2026-03-03T10:00:00Z');
    t.equal((await clinic.messages()).length, 2, 'the next steps are not near yet');
    await makeAppointment(clinic.db, clinic.id, {
      patientId: books,
      start: '2026-04-01T10:00:00Z',
      bookedAt: '2026-03-05T10:00:00Z',
    });
    await clinic.plan('2026-03-08T10:00:00Z');
    const steps = async (patientId: string) =>
      (await clinic.messages())
        .filter((message) => message.patientId === patientId)
        .map(
          ({ step, channel, state, scheduledAt }) => `${step} ${channel} ${state} ${scheduledAt}`,
        );
    t.same(
      await steps(silent),
      ['0 sms delivered 2026-03-03T10:00:00Z', '2 sms scheduled 2026-03-10T10:00:00Z'],
      'without an e-mail address the next step goes in its place',
    );
    t.same((await steps(books)).length, 1);
    t.match(
      (await clinic.journeys()).filter(({ patientId }) => patientId === books),
      [{ state: 'cancelled', reason: 'booked' }],
    );
    await clinic.send('2026-03-10T10:00:00Z');
    await clinic.plan('2026-03-10T10:00:00Z');
    t.same((await steps(silent)).at(-1), '3 task scheduled 2026-03-12T10:00:00Z');
  },
);

t.test('a definite failure lets the next step go at once', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id, { email: 'ann@example.org' });
  await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2025-09-04T15:00:00Z' });
  await makeRule(clinic.db, clinic.id, {
    steps: [
      { channel: 'sms', template: 'care' },
      { channel: 'email', template: 'care', after: 'P7D' },
    ],
  });
  await clinic.plan(now);
  await change(
    clinic.db,
    clinic.id,
    [ann],
    sql`
    update messages set state = 'failed', reason = 'recipient', next_at = null, attempt_no = 1 where clinic_id = ${clinic.id}`,
  );
  await clinic.plan('2026-03-03T10:00:00Z');
  t.match(await clinic.messages(), [
    { state: 'failed' },
    { step: 1, channel: 'email', scheduledAt: '2026-03-03T10:00:00Z' },
  ]);
});

t.test('a merge leaves one recall, of the one that is furthest', async (t) => {
  const clinic = await rulesClinic(t);
  const [retired, survivor] = [
    await makePatient(clinic.db, clinic.id),
    await makePatient(clinic.db, clinic.id),
  ];
  await makeRule(clinic.db, clinic.id, { trigger: { type: 'birthday' } });
  await change(
    clinic.db,
    clinic.id,
    [retired, survivor],
    sql`
    update patients set birth_date = '1980-03-03' where clinic_id = ${clinic.id}`,
  );
  await clinic.plan(now);
  await change(
    clinic.db,
    clinic.id,
    [retired, survivor],
    sql`
    update patients set replaced_by = ${survivor}, merged_at = ${now} where clinic_id = ${clinic.id} and id = ${retired}`,
  );
  await clinic.plan(now);
  const open = (await clinic.messages()).filter(({ state }) => state === 'scheduled');
  t.match(open, [{ patientId: survivor, occurrence: 'birthday:2026' }]);
  t.equal(open.length, 1);
});

t.test('a paused rule holds what has not left, until it is switched on again', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2025-09-04T15:00:00Z' });
  const { id } = await makeRule(clinic.db, clinic.id);
  await clinic.plan(now);
  const at = { actor: 'key:test', now: Temporal.Instant.from('2026-03-02T07:00:00Z') };
  await withClinic(clinic.db, clinic.id, (trx) => pauseRule(trx, clinic.id, id, at));
  await clinic.plan('2026-03-03T11:00:00Z');
  t.match(await clinic.messages(), [{ state: 'held', reason: 'rule-paused' }]);
  await withClinic(clinic.db, clinic.id, async (trx) => {
    const found = await findClinic(trx, clinic.id);
    if (found)
      await activateRule(trx, found, id, {
        ...at,
        now: Temporal.Instant.from('2026-03-03T12:00:00Z'),
      });
  });
  await clinic.plan('2026-03-03T12:00:00Z');
  t.match(await clinic.messages(), [{ state: 'scheduled' }]);
});

t.test('a changed period moves what has not left', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2025-09-04T15:00:00Z' });
  const { id } = await makeRule(clinic.db, clinic.id);
  await clinic.plan(now);
  let minute = 0;
  const patch = (after: string) =>
    withClinic(clinic.db, clinic.id, (trx) =>
      updateRule(
        trx,
        clinic.id,
        id,
        { trigger: { type: 'visit', after } },
        { actor: 'key:test', now: Temporal.Instant.from(`2026-03-02T07:0${minute++}:00Z`) },
      ),
    );
  await patch('P181D');
  await clinic.plan('2026-03-02T07:00:00Z');
  t.match(await clinic.messages(), [{ state: 'scheduled', scheduledAt: '2026-03-04T10:00:00Z' }]);
  await patch('P300D');
  await clinic.plan('2026-03-02T07:30:00Z');
  t.match(await clinic.messages(), [{ state: 'scheduled', scheduledAt: '2026-07-01T10:00:00Z' }]);
  await patch('P90D');
  await clinic.plan('2026-03-02T08:00:00Z');
  t.match(await clinic.journeys(), [{ state: 'suppressed', reason: 'before-activation' }]);
});
