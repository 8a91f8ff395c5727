import t from 'tap';
import { recordOptOut } from '../../src/history/consent-store.ts';
import { lockPatients } from '../../src/history/lock-store.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import type { Guard } from '../../src/outbox/guard.ts';
import { noon, type OutboxClinic, outboxClinic } from './outbox-clinic.ts';

const recall: Guard = {
  since: noon.subtract({ hours: 2 }).toString(),
  unlessBooked: true,
  stopOn: ['booked', 'visited', 'replied', 'opted-out'],
  anchor: { kind: 'visit', source: 'mis', id: 'v1', at: '2026-05-01T10:00:00Z', scope: 'any' },
};

t.test('who is booked is not invited until that appointment is over', async (t) => {
  const { clinic, patientId } = await recalled(t);
  await book(clinic, patientId, 'a1', '2026-11-26T09:00:00Z');
  const first = await clinic.enqueue({ patientId, guard: recall, step: 0 });
  const second = await clinic.enqueue({ patientId, guard: recall, step: 1 });
  await run(clinic);
  const held = await clinic.message(first);
  t.match(held, { state: 'held', reason: 'future-appointment' });
  t.equal(String(held.next_at), '2026-11-26T09:00:00Z');
  t.match(await clinic.message(second), { state: 'cancelled', reason: 'booked' });
});

t.test('a patient who came is not recalled', async (t) => {
  const { clinic, patientId } = await recalled(t);
  await visit(clinic, patientId, 'v2', '2026-11-20T10:00:00Z');
  const first = await clinic.enqueue({ patientId, guard: recall, step: 0 });
  const second = await clinic.enqueue({ patientId, guard: recall, step: 1 });
  await run(clinic);
  t.match(await clinic.message(first), { state: 'suppressed', reason: 'visited' });
  t.match(await clinic.message(second), { state: 'cancelled', reason: 'visited' });
});

t.test('what a later visit replaced does not leave, whatever stops its rule', async (t) => {
  const { clinic, patientId } = await recalled(t);
  await visit(clinic, patientId, 'v2', '2026-11-20T10:00:00Z');
  const guard: Guard = { ...recall, unlessBooked: false, stopOn: ['opted-out'] };
  const first = await clinic.enqueue({ patientId, guard: { ...guard, opens: true }, step: 0 });
  const later = await clinic.enqueue({ patientId, guard: { ...guard, opens: false }, step: 1 });
  await run(clinic);
  t.match(await clinic.message(first), { state: 'suppressed', reason: 'visited' });
  t.match(await clinic.message(later), { state: 'sent' }, 'a ladder that has begun goes on');
});

t.test('a visit to somebody else does not answer a recall to the same doctor', async (t) => {
  const { clinic, patientId } = await recalled(t);
  await visit(clinic, patientId, 'v2', '2026-11-20T10:00:00Z', 'dr-b');
  const { since, ...rest } = recall;
  t.ok(since);
  const anchor = {
    kind: 'visit' as const,
    source: 'mis',
    id: 'v1',
    at: '2026-05-01T10:00:00Z',
    scope: 'same-practitioner' as const,
    practitionerId: 'dr-a',
  };
  const id = await clinic.enqueue({ patientId, guard: { ...rest, anchor } });
  await run(clinic);
  t.equal((await clinic.message(id)).state, 'sent');
});

t.test('a reminder of an appointment that moved or was cancelled does not leave', async (t) => {
  const { clinic, patientId } = await recalled(t);
  const reminder = (id: string, revision: number): Guard => ({
    anchor: { kind: 'appointment', source: 'mis', id, revision },
  });
  await book(clinic, patientId, 'kept', '2026-11-27T09:00:00Z');
  await book(clinic, patientId, 'moved', '2026-11-27T10:00:00Z', { revision: 2 });
  await book(clinic, patientId, 'off', '2026-11-27T11:00:00Z', { status: 'cancelled' });
  const kept = await clinic.enqueue({ patientId, guard: reminder('kept', 1) });
  const moved = await clinic.enqueue({ patientId, guard: reminder('moved', 1) });
  const off = await clinic.enqueue({ patientId, guard: reminder('off', 1) });
  const regret = await clinic.enqueue({
    patientId,
    guard: {
      anchor: { kind: 'appointment', source: 'mis', id: 'off', revision: 1, status: 'cancelled' },
    },
  });
  await run(clinic);
  t.equal((await clinic.message(kept)).state, 'sent');
  t.match(await clinic.message(moved), { state: 'cancelled', reason: 'appointment-changed' });
  t.match(await clinic.message(off), { state: 'cancelled', reason: 'appointment-changed' });
  t.equal((await clinic.message(regret)).state, 'sent');
});

t.test('a message follows its patient through a merge, and their new number', async (t) => {
  const { clinic, patientId } = await recalled(t);
  const survivor = await clinic.addPatient({ phone: '+79169999999' });
  const id = await clinic.enqueue({ patientId });
  await clinic.in((trx) =>
    trx
      .updateTable('patients')
      .set({ replaced_by: survivor, merged_at: noon })
      .where('clinic_id', '=', clinic.clinicId)
      .where('id', '=', patientId)
      .execute(),
  );
  await run(clinic);
  t.match(await clinic.message(id), {
    state: 'sent',
    patient_id: survivor,
    address: '+79169999999',
  });
});

t.test('a patient without a number, or no longer active, waits', async (t) => {
  const clinic = await outboxClinic(t);
  const mute = await clinic.enqueue({ patientId: await clinic.addPatient({ phone: null }) });
  const gone = await clinic.enqueue({ patientId: await clinic.addPatient({ active: false }) });
  await run(clinic);
  t.match(await clinic.message(mute), { state: 'held', reason: 'no-contact-point' });
  t.match(await clinic.message(gone), { state: 'held', reason: 'inactive' });
});

t.test('an opt-out that is being written while a message leaves stops it', async (t) => {
  const { clinic, patientId } = await recalled(t);
  const id = await clinic.enqueue({ patientId, purpose: 'care' });
  let dispatched: Promise<unknown> = Promise.resolve();
  await clinic.in(async (trx) => {
    await lockPatients(trx, clinic.clinicId, [patientId], 'update');
    dispatched = run(clinic);
    await recordOptOut(trx, clinic.clinicId, { patientId, origin: 'api' }, noon);
  });
  await dispatched;
  // Whoever is held by somebody else is looked at again.
  await run(clinic);
  t.match(await clinic.message(id), { state: 'suppressed', reason: 'opted-out' });
  t.equal(clinic.provider.taken.size, 0);
});

t.test('of many races between an opt-out and a send none is lost', async (t) => {
  const clinic = await outboxClinic(t);
  const patients = await Promise.all(Array.from({ length: 40 }, () => clinic.addPatient()));
  const answered = new Set<string>();
  const ids = new Map<string, string>();
  for (const patientId of patients) {
    ids.set(patientId, await clinic.enqueue({ patientId, purpose: 'care' }));
  }
  const optOuts = patients.map(async (patientId) => {
    await clinic.in((trx) =>
      recordOptOut(trx, clinic.clinicId, { patientId, origin: 'api' }, noon),
    );
    const state = (await clinic.message(ids.get(patientId) ?? '')).state;
    if (state === 'scheduled' || state === 'claimed') answered.add(patientId);
  });
  await Promise.all([run(clinic), run(clinic), ...optOuts]);
  await run(clinic);
  for (const patientId of answered) {
    const id = ids.get(patientId) ?? '';
    t.notOk(clinic.provider.taken.has(id), 'not sent after the opt-out was answered');
  }
});

async function recalled(t: Parameters<typeof outboxClinic>[0]) {
  const clinic = await outboxClinic(t);
  const patientId = await clinic.addPatient();
  await visit(clinic, patientId, 'v1', '2026-05-01T10:00:00Z', 'dr-a');
  return { clinic, patientId };
}

const run = (clinic: OutboxClinic) =>
  dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());

function visit(
  clinic: OutboxClinic,
  patientId: string,
  id: string,
  at: string,
  practitioner = 'dr-a',
) {
  return clinic.in((trx) =>
    trx
      .insertInto('visits')
      .values({
        clinic_id: clinic.clinicId,
        source: 'mis',
        external_id: id,
        patient_id: patientId,
        status: 'finished',
        ended_at: Temporal.Instant.from(at),
        practitioner_id: practitioner,
        created_at: noon,
        updated_at: noon,
      })
      .execute(),
  );
}

function book(
  clinic: OutboxClinic,
  patientId: string,
  id: string,
  at: string,
  { revision = 1, status = 'booked' } = {},
) {
  return clinic.in((trx) =>
    trx
      .insertInto('appointments')
      .values({
        clinic_id: clinic.clinicId,
        source: 'mis',
        external_id: id,
        patient_id: patientId,
        status,
        start_at: Temporal.Instant.from(at),
        start_revision: revision,
        booked_at: Temporal.Instant.from('2026-11-01T00:00:00Z'),
        created_at: noon,
        updated_at: noon,
      })
      .execute(),
  );
}
