import { sql } from 'kysely';
import t from 'tap';
import { change, makeAppointment, makePatient, makeRule, makeVisit } from '../support/factory.ts';
import { rulesClinic } from './rules-clinic.ts';

t.test('a patient is recalled half a year after the last visit, and nobody else is', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  const replaced = await makePatient(clinic.db, clinic.id);
  const later = await makePatient(clinic.db, clinic.id);
  const earlier = await makePatient(clinic.db, clinic.id);
  // 180 days before 3 March.
  await makeVisit(clinic.db, clinic.id, {
    id: 'v-ann',
    patientId: ann,
    at: '2025-09-04T15:00:00Z',
  });
  await makeVisit(clinic.db, clinic.id, { patientId: replaced, at: '2025-09-04T15:00:00Z' });
  await makeVisit(clinic.db, clinic.id, { patientId: replaced, at: '2025-12-01T15:00:00Z' });
  await makeVisit(clinic.db, clinic.id, { patientId: later, at: '2025-11-04T15:00:00Z' });
  await makeVisit(clinic.db, clinic.id, { patientId: earlier, at: '2025-08-04T15:00:00Z' });
  await makeRule(clinic.db, clinic.id);
  const result = await clinic.plan('2026-03-02T06:00:00Z');
  t.equal(result.planned, 1);
  t.match(await clinic.messages(), [
    {
      patientId: ann,
      occurrence: 'visit:v-ann',
      state: 'scheduled',
      scheduledAt: '2026-03-03T10:00:00Z',
    },
  ]);
  t.equal(result.nextAt?.toString(), '2026-03-03T00:00:00Z', 'the next day wakes the clinic');
  t.same((await clinic.plan('2026-03-02T06:00:00Z')).planned, 0, 'planning twice changes nothing');
});

t.test('a visit told late is recalled by its mark as it would have been by its day', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeRule(clinic.db, clinic.id);
  await clinic.plan('2026-03-02T06:00:00Z');
  await makeVisit(clinic.db, clinic.id, { id: 'late', patientId: ann, at: '2025-09-04T15:00:00Z' });
  await clinic.plan('2026-03-02T06:01:00Z');
  t.match(await clinic.messages(), [
    { occurrence: 'visit:late', scheduledAt: '2026-03-03T10:00:00Z' },
  ]);
});

t.test('a rule that is switched on leaves the past alone', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2025-09-02T08:00:00Z' });
  await makeRule(clinic.db, clinic.id, {}, { now: '2026-03-01T10:00:00.001Z' });
  await clinic.plan('2026-03-01T10:00:00.001Z');
  t.same(await clinic.journeys(), []);
});

t.test('a patient who came again is not recalled for the visit before', async (t) => {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeVisit(clinic.db, clinic.id, {
    id: 'first',
    patientId: ann,
    at: '2025-09-04T15:00:00Z',
  });
  await makeRule(clinic.db, clinic.id);
  await clinic.plan('2026-03-02T06:00:00Z');
  await makeVisit(clinic.db, clinic.id, {
    id: 'second',
    patientId: ann,
    at: '2026-03-02T07:00:00Z',
  });
  await clinic.plan('2026-03-02T08:00:00Z');
  t.match(await clinic.messages(), [{ state: 'suppressed', reason: 'visited' }]);
  t.match(await clinic.journeys(), [{ state: 'suppressed', reason: 'visited' }]);
  await change(
    clinic.db,
    clinic.id,
    [ann],
    sql`
    update visits set status = 'entered-in-error' where clinic_id = ${clinic.id} and external_id = 'second'`,
  );
  await clinic.plan('2026-03-02T09:00:00Z');
  t.match(
    await clinic.messages(),
    [{ occurrence: 'visit:first', state: 'scheduled' }],
    'a visit entered in error did not happen',
  );
});

t.test(
  'a patient who is booked waits, and is recalled once the appointment is called off',
  async (t) => {
    const clinic = await rulesClinic(t);
    const ann = await makePatient(clinic.db, clinic.id);
    await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2025-09-04T15:00:00Z' });
    await makeRule(clinic.db, clinic.id);
    const booked = await makeAppointment(clinic.db, clinic.id, {
      patientId: ann,
      start: '2026-04-20T10:00:00Z',
      bookedAt: '2026-03-01T10:00:00Z',
    });
    await clinic.plan('2026-03-02T06:00:00Z');
    t.match(await clinic.messages(), [{ state: 'held', reason: 'future-appointment' }]);
    await change(
      clinic.db,
      clinic.id,
      [ann],
      sql`
    update appointments set status = 'cancelled' where clinic_id = ${clinic.id} and external_id = ${booked}`,
    );
    await clinic.plan('2026-03-10T06:00:00Z');
    t.match(await clinic.messages(), [
      { state: 'scheduled', reason: null, scheduledAt: '2026-03-10T06:00:00Z' },
    ]);
  },
);

t.test(
  'who has died, opted out, or gave no consent gets nothing, and the reason is kept',
  async (t) => {
    const clinic = await rulesClinic(t, { country: 'RU' });
    const visit = { at: '2025-09-04T15:00:00Z' };
    const consent = { care: 'granted' } as const;
    const people = {
      fine: await makePatient(clinic.db, clinic.id, { consent }),
      dead: await makePatient(clinic.db, clinic.id, { consent, deceased: true }),
      silent: await makePatient(clinic.db, clinic.id),
      away: await makePatient(clinic.db, clinic.id, { consent, active: false }),
      unreachable: await makePatient(clinic.db, clinic.id, { consent, phone: null }),
    };
    for (const patientId of Object.values(people))
      await makeVisit(clinic.db, clinic.id, { ...visit, patientId });
    await makeRule(clinic.db, clinic.id);
    await clinic.plan('2026-03-02T06:00:00Z');
    const byPatient = new Map(
      (await clinic.messages()).map((message) => [message.patientId, message]),
    );
    t.match(byPatient.get(people.fine), { state: 'scheduled', reason: null });
    t.match(byPatient.get(people.dead), { state: 'suppressed', reason: 'deceased' });
    t.match(byPatient.get(people.silent), { state: 'held', reason: 'no-consent' });
    t.match(byPatient.get(people.away), { state: 'held', reason: 'inactive' });
    t.match(byPatient.get(people.unreachable), { state: 'held', reason: 'no-contact-point' });
    await clinic.plan('2026-03-18T06:00:00Z');
    t.match(
      (await clinic.journeys()).filter(({ patientId }) => patientId === people.silent),
      [{ state: 'suppressed', reason: 'no-consent' }],
      'what waited too long ends with what it waited for',
    );
  },
);

t.test('after ten days of outage nothing is missing and nothing goes after its time', async (t) => {
  const clinic = await rulesClinic(t);
  await makeRule(clinic.db, clinic.id, { catchUp: 'P5D' });
  for (const day of ['04', '08', '12', '16']) {
    const patientId = await makePatient(clinic.db, clinic.id);
    await makeVisit(clinic.db, clinic.id, {
      id: `v-${day}`,
      patientId,
      at: `2025-09-${day}T15:00:00Z`,
    });
  }
  await clinic.plan('2026-03-02T06:00:00Z');
  await clinic.plan('2026-03-14T06:00:00Z');
  const states = Object.fromEntries(
    (await clinic.journeys()).map(({ occurrence, state }) => [occurrence, state]),
  );
  t.match(states, { 'visit:v-08': 'expired', 'visit:v-12': 'planned', 'visit:v-16': 'planned' });
});

t.test('two planners at once plan each occurrence once', async (t) => {
  const clinic = await rulesClinic(t);
  for (let index = 0; index < 40; index += 1) {
    const patientId = await makePatient(clinic.db, clinic.id, { birthDate: '1980-03-03' });
    await makeVisit(clinic.db, clinic.id, { patientId, at: '2025-09-04T15:00:00Z' });
  }
  await makeRule(clinic.db, clinic.id);
  await makeRule(clinic.db, clinic.id, { trigger: { type: 'birthday' } });
  await Promise.all(Array.from({ length: 4 }, () => clinic.plan('2026-03-02T06:00:00Z')));
  t.equal((await clinic.messages()).length, 80);
});

t.test('what waits for consent or for a text is not sent before it is due', async (t) => {
  const clinic = await rulesClinic(t, { country: 'RU', now: '2026-03-02T06:00:00Z' });
  const ann = await makePatient(clinic.db, clinic.id);
  await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2025-09-04T15:00:00Z' });
  await makeRule(clinic.db, clinic.id);
  await clinic.plan('2026-03-02T06:00:00Z');
  t.match(await clinic.messages(), [{ state: 'held', reason: 'no-consent' }]);
  await change(
    clinic.db,
    clinic.id,
    [ann],
    sql`insert into consents (clinic_id, patient_id, purpose, channel, state, occurred_at)
        values (${clinic.id}, ${ann}, 'care', 'sms', 'granted', '2026-03-02T07:00:00Z')`,
  );
  await clinic.plan('2026-03-02T07:00:00Z');
  t.match(await clinic.messages(), [{ state: 'scheduled', scheduledAt: '2026-03-03T10:00:00Z' }]);
});
