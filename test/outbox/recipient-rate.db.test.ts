import t from 'tap';
import type { AdapterCapabilities } from '../../src/channels/channel.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { noon, type OutboxClinic, outboxClinic } from './outbox-clinic.ts';

const perMs = 6_000;
const slow: Partial<AdapterCapabilities> = {
  reconcile: 'callback_only',
  rate: [{ points: 1, perMs, scope: 'recipient' }],
};
const phone = '+79160000001';
const seconds = 60;

/** Two replicas look at the clinic each second. @returns when each call was made, in milliseconds. */
async function serve(clinic: OutboxClinic): Promise<number[]> {
  const calledAt: number[] = [];
  const { answer } = clinic.provider;
  clinic.provider.answer = (message) => {
    if (message.to === phone) calledAt.push(clinic.clock.now().epochMilliseconds);
    return answer(message);
  };
  const run = () => dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
  for (let second = 0; second < seconds; second += 1) {
    await Promise.all([run(), run()]);
    clinic.clock.advance({ seconds: 1 });
  }
  return calledAt;
}

async function enqueueFamily(clinic: OutboxClinic): Promise<string[]> {
  const family = [await clinic.addPatient({ phone }), await clinic.addPatient({ phone })];
  const ids: string[] = [];
  for (let count = 0; count < 3; count += 1)
    for (const patientId of family) ids.push(await clinic.enqueue({ patientId }));
  return ids;
}

t.test('two dispatchers write to one phone no oftener than its provider takes', async (t) => {
  const clinic = await outboxClinic(t, { capabilities: slow });
  const ids = await enqueueFamily(clinic);
  const other = await clinic.enqueue({ patientId: await clinic.addPatient() });
  const calledAt = await serve(clinic);
  t.equal(calledAt.length, ids.length, 'all of them went');
  const gaps = calledAt.slice(1).map((at, index) => at - (calledAt[index] ?? 0));
  t.ok(
    gaps.every((gap) => gap >= perMs),
    gaps.join(),
  );
  for (const id of ids) t.equal((await clinic.message(id)).state, 'sent');
  const elsewhere = await clinic.message(other);
  t.equal(String(elsewhere.sent_at), String(noon), 'another phone does not wait');
});

t.test('without such a limit they go at once', async (t) => {
  const clinic = await outboxClinic(t, { capabilities: { reconcile: 'callback_only' } });
  const ids = await enqueueFamily(clinic);
  const calledAt = await serve(clinic);
  t.same(
    calledAt,
    ids.map(() => noon.epochMilliseconds),
  );
});

t.test('of what waits for one phone a reminder goes before a recall', async (t) => {
  const clinic = await outboxClinic(t, { capabilities: slow });
  const patientId = await clinic.addPatient({ phone });
  const recall = await clinic.enqueue({ patientId, purpose: 'care' });
  const reminder = await clinic.enqueue({ patientId });
  await dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
  t.equal((await clinic.message(reminder)).state, 'sent');
  const waiting = await clinic.message(recall);
  t.match(waiting, { state: 'held', reason: 'frequency-cap' });
  t.equal(String(waiting.next_at), String(noon.add({ seconds: 7 })));
  clinic.clock.advance({ seconds: 7 });
  await dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
  t.equal((await clinic.message(recall)).state, 'sent');
});
