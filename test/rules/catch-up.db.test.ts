import { sql } from 'kysely';
import t from 'tap';
import { change, makeAppointment, makePatient, makeRule, makeVisit } from '../support/factory.ts';
import { rulesClinic } from './rules-clinic.ts';

/** Recalled on 3 March at 10:00, and booked for longer than the two weeks in which that may be caught up. */
async function bookedClinic(t: Parameters<typeof rulesClinic>[0], start: string) {
  const clinic = await rulesClinic(t);
  const ann = await makePatient(clinic.db, clinic.id);
  await makeVisit(clinic.db, clinic.id, { patientId: ann, at: '2025-09-04T15:00:00Z' });
  await makeRule(clinic.db, clinic.id);
  const booked = await makeAppointment(clinic.db, clinic.id, {
    patientId: ann,
    start,
    bookedAt: '2026-03-01T10:00:00Z',
  });
  await clinic.plan('2026-03-02T06:00:00Z');
  const become = (status: string) =>
    change(
      clinic.db,
      clinic.id,
      [ann],
      sql`update appointments set status = ${status} where clinic_id = ${clinic.id} and external_id = ${booked}`,
    );
  return { ...clinic, ann, become };
}

t.test('after an appointment that is called off the time to catch up begins', async (t) => {
  const clinic = await bookedClinic(t, '2026-05-20T10:00:00Z');
  t.match(await clinic.messages(), [{ state: 'held', reason: 'future-appointment' }]);
  await clinic.become('cancelled');
  await clinic.plan('2026-04-01T06:00:00Z');
  t.match(await clinic.messages(), [{ state: 'scheduled', reason: null }]);
  await change(clinic.db, clinic.id, [clinic.ann], sql`select`);
  await clinic.plan('2026-04-02T06:00:00Z');
  t.match(await clinic.messages(), [{ state: 'scheduled' }], 'and is not lost by another look');
  await clinic.plan('2026-04-15T06:00:00Z');
  t.match(await clinic.messages(), [{ state: 'suppressed', reason: 'too-late' }]);
});

t.test('of two appointments the time to catch up begins with the last', async (t) => {
  const clinic = await bookedClinic(t, '2026-03-09T10:00:00Z');
  await makeAppointment(clinic.db, clinic.id, {
    patientId: clinic.ann,
    start: '2026-04-20T10:00:00Z',
    bookedAt: '2026-03-02T10:00:00Z',
  });
  await change(clinic.db, clinic.id, [clinic.ann], sql`select`);
  await clinic.plan('2026-03-02T12:00:00Z');
  t.match(await clinic.messages(), [{ state: 'held', reason: 'future-appointment' }]);
  const { rows } = await sql`select expires_at::text as until from messages`.execute(clinic.db);
  t.same(rows, [{ until: '2026-05-04 10:00:00+00' }], 'nothing ends while the second one stands');
});

t.test('after an appointment that was missed the time to catch up begins', async (t) => {
  const clinic = await bookedClinic(t, '2026-05-20T10:00:00Z');
  await clinic.become('noshow');
  await clinic.plan('2026-05-20T12:00:00Z');
  t.match(await clinic.messages(), [{ state: 'scheduled', reason: null }]);
  await clinic.plan('2026-06-03T11:00:00Z');
  t.match(await clinic.messages(), [{ state: 'suppressed' }]);
});
