import t from 'tap';
import { toAppointmentOut } from '../../src/history/appointment.ts';
import { findAppointment } from '../../src/history/appointment-store.ts';
import { findComing, setConfirmation } from '../../src/history/confirmation-store.ts';
import { event, intakeTest } from '../support/intake.ts';

const key = { source: 'mis', externalId: 'a-1' };
const now = Temporal.Instant.from('2026-03-02T15:00:00Z');

async function confirmedAppointment(t: Parameters<typeof intakeTest>[0]) {
  const test = await intakeTest(t);
  const clinicId = test.clinic.id;
  const tell = (change: object) =>
    test.tell(
      event('appointment.upserted', {
        id: 'a-1',
        patientId: '7',
        status: 'booked',
        start: '2027-01-04T14:00:00Z',
        ...change,
      }),
    );
  const shown = () =>
    test.read(async (trx) => {
      const appointment = await findAppointment(trx, clinicId, key);
      return appointment && toAppointmentOut(appointment, 'mis').confirmation;
    });
  await test.tell(event('patient.upserted', { id: '7' }));
  await tell({});
  await test.read(async (trx) => {
    const coming = await findComing(trx, clinicId, key, now);
    if (coming) await setConfirmation(trx, clinicId, coming, 'accepted', now);
  });
  return { tell, shown };
}

t.test('a patient’s yes outlives what the host changes of the appointment', async (t) => {
  const { tell, shown } = await confirmedAppointment(t);
  await tell({ practitioner: { id: 'dr-7' } });
  t.equal(await shown(), 'accepted');
});

t.test('a yes is no yes to another time', async (t) => {
  const { tell, shown } = await confirmedAppointment(t);
  await tell({ start: '2027-01-05T14:00:00Z' });
  t.not(await shown(), 'accepted');
});

t.test('what the host says of the confirmation holds', async (t) => {
  const { tell, shown } = await confirmedAppointment(t);
  await tell({ confirmation: 'declined' });
  t.equal(await shown(), 'declined');
});
