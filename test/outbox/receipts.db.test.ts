import t from 'tap';
import type { NormalizedEvent } from '../../src/channels/channel.ts';
import { listOptOuts } from '../../src/history/consent-store.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { findMessage } from '../../src/outbox/message-list-store.ts';
import { recordReceipts, recordTestReceipt } from '../../src/outbox/receipts.ts';
import { reconcileClinic } from '../../src/outbox/reconcile.ts';
import { noon, type OutboxClinic, outboxClinic } from './outbox-clinic.ts';

t.test('a receipt moves its message, and the same one again does nothing', async (t) => {
  const clinic = await outboxClinic(t);
  const id = await sentMessage(clinic);
  const delivered = news('one', { providerMessageId: `provider-${id}`, status: 'delivered' });
  t.same(await tell(clinic, [delivered, delivered]), { recorded: 1, advanced: 1 });
  t.same(await tell(clinic, [delivered]), { recorded: 0, advanced: 0 });
  const message = await clinic.in((trx) => findMessage(trx, clinic.clinicId, id));
  t.match(message, { state: 'delivered', attempts: [{ outcome: 'accepted' }] });
  t.equal(message?.receipts.length, 1);
});

t.test('a receipt that comes before the provider’s answer is not undone by it', async (t) => {
  const clinic = await outboxClinic(t);
  clinic.provider.answer = async ({ id, clientRef }) => {
    await tell(clinic, [news('early', { clientRef, status: 'delivered' })]);
    return { id, kind: 'accepted', providerMessageId: 'late', raw: null };
  };
  const id = await sentMessage(clinic);
  t.match(await clinic.message(id), {
    state: 'delivered',
    provider_message_id: 'late',
    lease_until: null,
  });
});

t.test('a shared reference is told apart by the address', async (t) => {
  const clinic = await outboxClinic(t, {
    capabilities: { maxBatch: 100, batchUniqueBy: 'address', sharedClientRef: true },
  });
  const first = await clinic.enqueue({ patientId: await clinic.addPatient() });
  const second = await clinic.enqueue({ patientId: await clinic.addPatient() });
  await dispatchClinic(clinic.deps, clinic.clinicId, noon);
  t.equal(clinic.provider.calls.length, 1);
  const { client_ref: clientRef, address } = await clinic.message(second);
  t.equal(clientRef, (await clinic.message(first)).client_ref);
  const about = { clientRef: String(clientRef), address: String(address) };
  await tell(clinic, [news('x', { ...about, status: 'delivered' })]);
  t.equal((await clinic.message(first)).state, 'sent');
  t.equal((await clinic.message(second)).state, 'delivered');
});

t.test('news of an unknown message is stored and changes nothing', async (t) => {
  const clinic = await outboxClinic(t);
  t.same(await tell(clinic, [news('x', { clientRef: 'nobody', status: 'failed' })]), {
    recorded: 1,
    advanced: 0,
  });
});

t.test('a complaint stops all further messages to that address', async (t) => {
  const clinic = await outboxClinic(t);
  const patientId = await clinic.addPatient({ phone: '+79160000009' });
  await tell(clinic, [
    {
      type: 'suppression',
      dedupeKey: 'complaint',
      occurredAt: noon,
      raw: null,
      address: '+79160000009',
      purposes: 'all',
      reason: 'complaint',
    },
  ]);
  const optOuts = await clinic.in((trx) => listOptOuts(trx, clinic.clinicId, patientId));
  t.match(optOuts, [{ address: '+79160000009', purpose: 'transactional', origin: 'provider' }]);
  const id = await clinic.enqueue({ patientId });
  await dispatchClinic(clinic.deps, clinic.clinicId, noon);
  t.match(await clinic.message(id), { state: 'suppressed', reason: 'opted-out' });
});

t.test('what was sent and is never heard of again is settled in the end', async (t) => {
  const clinic = await outboxClinic(t);
  const id = await sentMessage(clinic);
  const look = () => reconcileClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
  clinic.clock.advance({ hours: 71 });
  await look();
  t.equal((await clinic.message(id)).settled_at, null);
  clinic.clock.advance({ hours: 1 });
  await look();
  t.match(await clinic.message(id), { state: 'sent', next_at: null });
  t.ok((await clinic.message(id)).settled_at);
});

t.test(
  'in a test clinic a message is delivered at once, and a test may say it failed',
  async (t) => {
    const clinic = await outboxClinic(t, { mode: 'test' });
    const id = await sentMessage(clinic);
    t.match(await clinic.message(id), { state: 'delivered', provider: 'sandbox' });
    t.equal(clinic.provider.taken.size, 0);
    await clinic.in((trx) => recordTestReceipt(trx, clinic.clinicId, id, 'failed', noon));
    t.equal((await clinic.message(id)).state, 'failed');
  },
);

async function sentMessage(clinic: OutboxClinic): Promise<string> {
  const id = await clinic.enqueue({ patientId: await clinic.addPatient() });
  await dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
  return id;
}

function tell(clinic: OutboxClinic, events: readonly NormalizedEvent[]) {
  return clinic.in((trx) => recordReceipts(trx, clinic.clinicId, 'sms', events, noon));
}

function news(
  dedupeKey: string,
  about: Omit<
    Extract<NormalizedEvent, { type: 'status' }>,
    'type' | 'dedupeKey' | 'occurredAt' | 'raw'
  >,
): NormalizedEvent {
  return { type: 'status', dedupeKey, occurredAt: noon, raw: null, ...about };
}
