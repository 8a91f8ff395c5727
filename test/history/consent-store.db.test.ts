import t from 'tap';
import {
  blockedByConsent,
  type ConsentAsk,
  liftOptOut,
  liftOptOutsOfAddress,
  listOptOuts,
  type NewOptOut,
  recordOptOut,
} from '../../src/history/consent-store.ts';
import { findPatientId } from '../../src/history/patient-store.ts';
import { event, type IntakeTest, intakeTest } from '../support/intake.ts';

const phone = '+573001234567';

async function clinicWithPatients(t: Parameters<typeof intakeTest>[0], engine?: 'pglite') {
  const test = await intakeTest(t, engine ? { engine } : {});
  const telecom = [{ system: 'phone', value: phone }];
  await test.tell(
    event('patient.upserted', { id: 'child', telecom }),
    event('patient.upserted', { id: 'parent', telecom }),
  );
  const idOf = async (externalId: string) =>
    (await test.read((trx) => findPatientId(trx, test.clinic.id, { source: 'mis', externalId }))) ??
    '';
  return { test, child: await idOf('child'), parent: await idOf('parent') };
}

async function block(test: IntakeTest, ask: Omit<ConsentAsk, 'key'>, careNeedsGrant = false) {
  const terms = { transactionalNeedsGrant: false, careNeedsGrant, marketingNeedsGrant: true };
  const blocks = await test.read((trx) =>
    blockedByConsent(trx, test.clinic.id, [{ key: 'k', ...ask }], terms),
  );
  return blocks.get('k') ?? null;
}

const optOut = (test: IntakeTest, what: Omit<NewOptOut, 'origin'>) =>
  test.read((trx) =>
    recordOptOut(trx, test.clinic.id, { ...what, origin: 'api' }, test.clock.now()),
  );

const consent = (state: string, more: object = {}, occurredAt = '2026-03-01T10:00:00Z') =>
  event(
    'consent.changed',
    { patientId: 'child', purpose: 'care', channel: 'sms', state, ...more },
    { occurredAt },
  );

for (const engine of [undefined, 'pglite'] as const) {
  t.test(`each purpose has its own rule (${engine ?? 'postgres'})`, async (t) => {
    const { test, child } = await clinicWithPatients(t, engine);
    const ask = { patientId: child, address: phone, channel: 'sms' } as const;
    t.equal(await block(test, { ...ask, purpose: 'transactional' }), null);
    t.equal(await block(test, { ...ask, purpose: 'care' }), null);
    t.equal(await block(test, { ...ask, purpose: 'care' }, true), 'no-consent');
    t.equal(await block(test, { ...ask, purpose: 'marketing' }), 'no-consent');
    await test.tell(consent('granted'));
    t.equal(await block(test, { ...ask, purpose: 'care' }, true), null);
    t.equal(await block(test, { ...ask, channel: 'email', purpose: 'care' }, true), 'no-consent');
    await test.tell(consent('denied', {}, '2026-03-02T10:00:00Z'));
    t.equal(await block(test, { ...ask, purpose: 'care' }), 'no-consent');
    t.match(await test.tell(consent('granted')), { stale: 1 });
    t.equal(await block(test, { ...ask, purpose: 'care' }), 'no-consent');
  });
}

t.test('an opt-out by address covers all who share it, one by patient only them', async (t) => {
  const { test, child, parent } = await clinicWithPatients(t);
  const ask = { address: phone, channel: 'sms', purpose: 'care' } as const;
  const { id } = await optOut(test, { patientId: child });
  t.equal(await block(test, { ...ask, patientId: child }), 'opted-out');
  t.equal(await block(test, { ...ask, patientId: parent }), null);
  t.equal(await block(test, { ...ask, patientId: child, purpose: 'transactional' }), null);
  t.ok(await test.read((trx) => liftOptOut(trx, test.clinic.id, id, 'api', test.clock.now())));
  t.notOk(await test.read((trx) => liftOptOut(trx, test.clinic.id, id, 'api', test.clock.now())));
  t.equal(await block(test, { ...ask, patientId: child }), null);
  await optOut(test, { address: phone, channel: 'sms' });
  t.equal(await block(test, { ...ask, patientId: child }), 'opted-out');
  t.equal(await block(test, { ...ask, patientId: parent }), 'opted-out');
  t.equal(await block(test, { ...ask, patientId: parent, channel: 'whatsapp' }), null);
  t.equal((await test.read((trx) => listOptOuts(trx, test.clinic.id, parent))).length, 1);
  t.ok(
    await test.read((trx) =>
      liftOptOutsOfAddress(trx, test.clinic.id, phone, 'sms', test.clock.now()),
    ),
  );
  t.equal(await block(test, { ...ask, patientId: parent }), null);
});

t.test('a transactional opt-out stops everything, one for marketing only that', async (t) => {
  const { test, child, parent } = await clinicWithPatients(t);
  await optOut(test, { patientId: child, purpose: 'transactional' });
  await optOut(test, { patientId: parent, purpose: 'marketing' });
  for (const purpose of ['transactional', 'care', 'marketing'] as const) {
    t.equal(
      await block(test, { patientId: child, address: null, channel: 'inbox', purpose }),
      'opted-out',
    );
  }
  t.equal(
    await block(test, { patientId: parent, address: phone, channel: 'sms', purpose: 'care' }),
    null,
  );
  t.equal(
    await block(test, { patientId: parent, address: phone, channel: 'sms', purpose: 'marketing' }),
    'opted-out',
  );
});

t.test('a call heeds every number of the patient, a webhook only an opt-out', async (t) => {
  const { test, child } = await clinicWithPatients(t);
  t.equal(
    await block(test, {
      patientId: child,
      address: null,
      channel: 'webhook',
      purpose: 'marketing',
    }),
    null,
  );
  t.equal(
    await block(test, { patientId: child, address: null, channel: 'task', purpose: 'care' }),
    null,
  );
  await optOut(test, { address: phone });
  t.equal(
    await block(test, { patientId: child, address: null, channel: 'task', purpose: 'care' }),
    'opted-out',
  );
  await optOut(test, { patientId: child });
  t.equal(
    await block(test, {
      patientId: child,
      address: null,
      channel: 'webhook',
      purpose: 'marketing',
    }),
    'opted-out',
  );
});

t.test('only a later grant with evidence beats an opt-out; an upsert never does', async (t) => {
  const { test, child } = await clinicWithPatients(t);
  const ask = { patientId: child, address: phone, channel: 'sms', purpose: 'care' } as const;
  await optOut(test, { patientId: child });
  test.clock.advance('PT1H');
  await test.tell(
    event(
      'patient.upserted',
      { id: 'child', consent: { care: { sms: 'granted' } } },
      { occurredAt: '2026-03-28T12:30:00Z' },
    ),
  );
  t.equal(await block(test, ask), 'opted-out');
  await test.tell(consent('granted', {}, '2026-03-28T12:40:00Z'));
  t.equal(await block(test, ask), 'opted-out');
  await test.tell(consent('granted', { evidence: 'form' }, '2026-03-28T11:00:00Z'));
  t.equal(await block(test, ask), 'opted-out', 'evidence from before the opt-out');
  await test.tell(consent('granted', { evidence: 'form' }, '2026-03-28T12:50:00Z'));
  t.equal(await block(test, ask), null);
  t.equal(await block(test, { ...ask, channel: 'email' }), 'opted-out', 'for one channel only');
  await test.tell(
    event(
      'patient.upserted',
      { id: 'child', consent: { care: { sms: 'granted' } } },
      { occurredAt: '2026-03-28T12:55:00Z' },
    ),
  );
  t.equal(await block(test, ask), null, 'a plain upsert does not take the evidence away');
  await optOut(test, { patientId: child });
  t.equal(await block(test, ask), 'opted-out', 'a new opt-out');
});
