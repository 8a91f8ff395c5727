import t from 'tap';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { outboxClinic } from './outbox-clinic.ts';

t.test('a due message is sent once, with its price and its attempt', async (t) => {
  const clinic = await outboxClinic(t);
  const patientId = await clinic.addPatient();
  const id = await clinic.enqueue({ patientId });
  const first = await dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
  t.equal(first.sent, 1);
  await dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
  t.same([...clinic.provider.taken], [[id, 1]]);
  t.match(await clinic.message(id), {
    state: 'sent',
    text: 'We expect you tomorrow.',
    provider_message_id: `provider-${id}`,
    attempt_no: 1,
    cost_micros: 50_000,
    cost_currency: 'USD',
    lease_until: null,
  });
});
