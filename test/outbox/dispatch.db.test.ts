import { sql } from 'kysely';
import t from 'tap';
import type { SendOutcome } from '../../src/channels/channel.ts';
import { recordOptOut } from '../../src/history/consent-store.ts';
import { createDispatcher, dispatchClinic } from '../../src/outbox/dispatch.ts';
import { listMessages } from '../../src/outbox/message-list-store.ts';
import { withdrawMessages } from '../../src/outbox/message-store.ts';
import { reconcileClinic } from '../../src/outbox/reconcile.ts';
import { testDatabase } from '../support/postgres.ts';
import { accepted, clinicIn, noon, type OutboxClinic, outboxClinic } from './outbox-clinic.ts';

const run = (clinic: OutboxClinic) =>
  dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());

t.test('a due message is sent once, with its price and its attempt', async (t) => {
  const clinic = await outboxClinic(t);
  const patientId = await clinic.addPatient();
  const id = await clinic.enqueue({ patientId });
  t.equal((await run(clinic)).sent, 1);
  await run(clinic);
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

t.test('the embedded database does the same', async (t) => {
  const { db } = await testDatabase(t, { engine: 'pglite' });
  const clinic = await clinicIn(db);
  const care = { purpose: 'care', patientId: await clinic.addPatient() } as const;
  const ids = [await clinic.enqueue(care), await clinic.enqueue(care)];
  await Promise.all([run(clinic), run(clinic)]);
  t.match(await clinic.message(ids[0] ?? ''), { state: 'sent', attempt_no: 1 });
  t.match(await clinic.message(ids[1] ?? ''), { state: 'held', reason: 'frequency-cap' });
  t.equal(clinic.provider.taken.size, 1);
});

t.test('a message waits for its instant, and expires when it is too late', async (t) => {
  const clinic = await outboxClinic(t);
  const patientId = await clinic.addPatient();
  const later = await clinic.enqueue({ patientId, scheduledAt: noon.add({ hours: 1 }) });
  await run(clinic);
  t.equal((await clinic.message(later)).state, 'scheduled');
  clinic.clock.advance({ hours: 49 });
  await run(clinic);
  t.match(await clinic.message(later), { state: 'expired', reason: 'too-late', next_at: null });
  t.equal(clinic.provider.taken.size, 0);
});

t.test('nobody is messaged who died, opted out or lacks consent', async (t) => {
  const clinic = await outboxClinic(t);
  const care = { purpose: 'care' } as const;
  const marketing = { purpose: 'marketing' } as const;
  const dead = await clinic.addPatient({ deceased: true });
  const denying = await clinic.addPatient({ consent: { care: 'denied' } });
  const silent = await clinic.addPatient();
  const granting = await clinic.addPatient({ consent: { marketing: 'granted' } });
  const optedOut = await clinic.addPatient();
  await clinic.in((trx) =>
    recordOptOut(trx, clinic.clinicId, { patientId: optedOut, origin: 'api' }, noon),
  );
  const ids = {
    dead: await clinic.enqueue({ patientId: dead }),
    denying: await clinic.enqueue({ patientId: denying, ...care }),
    silent: await clinic.enqueue({ patientId: silent, ...marketing }),
    granting: await clinic.enqueue({ patientId: granting, ...marketing }),
    optedOut: await clinic.enqueue({ patientId: optedOut, ...care }),
    stillReminded: await clinic.enqueue({ patientId: optedOut }),
  };
  await run(clinic);
  t.match(await clinic.message(ids.dead), { state: 'suppressed', reason: 'deceased' });
  t.match(await clinic.message(ids.denying), { state: 'held', reason: 'no-consent' });
  t.match(await clinic.message(ids.silent), { state: 'held', reason: 'no-consent' });
  t.match(await clinic.message(ids.optedOut), { state: 'suppressed', reason: 'opted-out' });
  t.same([...clinic.provider.taken.keys()].sort(), [ids.granting, ids.stillReminded].sort());
});

t.test('in Russia care goes only with consent', async (t) => {
  const clinic = await outboxClinic(t, { country: 'RU' });
  const silent = await clinic.enqueue({
    patientId: await clinic.addPatient(),
    purpose: 'care',
  });
  const granting = await clinic.enqueue({
    patientId: await clinic.addPatient({ consent: { care: 'granted' } }),
    purpose: 'care',
  });
  await run(clinic);
  t.match(await clinic.message(silent), { state: 'held', reason: 'no-consent' });
  t.equal((await clinic.message(granting)).state, 'sent');
});

t.test('at night a message waits for the morning of the patient', async (t) => {
  const clinic = await outboxClinic(t);
  const near = await clinic.enqueue({ patientId: await clinic.addPatient() });
  const far = await clinic.enqueue({
    patientId: await clinic.addPatient({ timeZone: 'Asia/Kamchatka' }),
  });
  const hasty = await clinic.enqueue({
    patientId: await clinic.addPatient({ timeZone: 'Asia/Kamchatka' }),
    expiresAt: noon.add({ hours: 2 }),
  });
  await run(clinic);
  t.equal((await clinic.message(near)).state, 'sent');
  const waiting = await clinic.message(far);
  t.match(waiting, { state: 'held', reason: 'send-window' });
  t.equal(String(waiting.next_at), '2026-11-25T21:00:00Z', '09:00 in Kamchatka');
  t.match(await clinic.message(hasty), { state: 'expired', reason: 'send-window' });
  clinic.clock.set('2026-11-25T21:00:00Z');
  await run(clinic);
  t.equal((await clinic.message(far)).state, 'sent');
});

t.test('one contact a day and three a week, whoever shares the phone', async (t) => {
  const clinic = await outboxClinic(t);
  const consent = { marketing: 'granted' } as const;
  const mother = await clinic.addPatient({ phone: '+79160000001', consent });
  const child = await clinic.addPatient({ phone: '+79160000001', consent });
  const care = await clinic.enqueue({ patientId: mother, purpose: 'care' });
  const alsoToday = await clinic.enqueue({ patientId: child, purpose: 'care' });
  const otherPurpose = await clinic.enqueue({ patientId: mother, purpose: 'marketing' });
  const reminder = await clinic.enqueue({ patientId: child });
  await run(clinic);
  t.equal((await clinic.message(care)).state, 'sent');
  t.match(await clinic.message(alsoToday), { state: 'held', reason: 'frequency-cap' });
  t.match(await clinic.message(otherPurpose), { state: 'held', reason: 'frequency-cap' });
  t.equal((await clinic.message(reminder)).state, 'sent', 'a reminder is no contact of that kind');

  clinic.clock.set('2026-11-26T12:00:00Z');
  await run(clinic);
  const tomorrow = await Promise.all([alsoToday, otherPurpose].map((id) => clinic.message(id)));
  t.same(tomorrow.map((message) => message.state).sort(), ['held', 'sent']);
});

t.test('what the provider did not take does not count as a contact', async (t) => {
  const clinic = await outboxClinic(t);
  const patientId = await clinic.addPatient();
  clinic.provider.answer = ({ id }) => rejected(id, 'recipient_permanent');
  const bad = await clinic.enqueue({ patientId, purpose: 'care' });
  await run(clinic);
  t.match(await clinic.message(bad), { state: 'failed', reason: 'recipient-permanent' });
  clinic.provider.answer = accepted;
  const next = await clinic.enqueue({ patientId, purpose: 'care' });
  await run(clinic);
  t.equal((await clinic.message(next)).state, 'sent');
});

t.test('the messages of a day are limited, and the rest goes tomorrow', async (t) => {
  const clinic = await outboxClinic(t, { settings: { messagesPerDay: 3 } });
  for (let count = 0; count < 5; count += 1) {
    await clinic.enqueue({ patientId: await clinic.addPatient() });
  }
  await run(clinic);
  t.equal(clinic.provider.taken.size, 3);
  const held = await clinic.in((trx) =>
    listMessages(trx, clinic.clinicId, { state: 'held' }, { afterId: null, limit: 10 }),
  );
  t.same(
    held.map((message) => message.reason),
    ['daily-limit', 'daily-limit'],
  );
  clinic.clock.set('2026-11-26T12:00:00Z');
  await run(clinic);
  t.equal(clinic.provider.taken.size, 5);
});

t.test('without a provider a message is held, and leaves once there is one', async (t) => {
  const clinic = await outboxClinic(t, { withChannel: false });
  const id = await clinic.enqueue({ patientId: await clinic.addPatient() });
  await run(clinic);
  t.match(await clinic.message(id), { state: 'held', reason: 'channel-paused' });
});

t.test('a refused account pauses its channel, and later it goes on', async (t) => {
  const clinic = await outboxClinic(t, { limits: { concurrency: 1 } });
  clinic.provider.answer = ({ id }) => rejected(id, 'config');
  const ids: string[] = [];
  for (let count = 0; count < 20; count += 1) {
    ids.push(await clinic.enqueue({ patientId: await clinic.addPatient() }));
  }
  await run(clinic);
  t.equal(clinic.provider.calls.length, 1, 'the rest is not thrown after the first');
  for (const id of ids) {
    t.match(await clinic.message(id), { state: 'held', reason: 'channel-paused' });
  }
  clinic.provider.answer = accepted;
  await run(clinic);
  t.equal(clinic.provider.calls.length, 1, 'while it is paused nothing is called');
  clinic.clock.advance({ minutes: 16 });
  await run(clinic);
  for (const id of ids) t.equal((await clinic.message(id)).state, 'sent');
  const channel = await clinic.in((trx) =>
    trx
      .selectFrom('channels')
      .select('paused_reason')
      .where('clinic_id', '=', clinic.clinicId)
      .executeTakeFirstOrThrow(),
  );
  t.equal(channel.paused_reason, null);
});

t.test('a provider that is away is left alone after a few calls', async (t) => {
  const clinic = await outboxClinic(t, { limits: { concurrency: 1 } });
  clinic.provider.answer = ({ id }) => rejected(id, 'temporary', 'channel');
  for (let count = 0; count < 30; count += 1) {
    await clinic.enqueue({ patientId: await clinic.addPatient() });
  }
  await run(clinic);
  t.equal(clinic.provider.calls.length, 5);
  clinic.provider.answer = accepted;
  clinic.clock.advance({ minutes: 2 });
  await run(clinic);
  t.equal(clinic.provider.taken.size, 30);
});

t.test('a refusal that may pass is tried again after a while, a lasting one is not', async (t) => {
  const clinic = await outboxClinic(t);
  const id = await clinic.enqueue({ patientId: await clinic.addPatient() });
  clinic.provider.answer = (message) => rejected(message.id, 'temporary');
  await run(clinic);
  t.match(await clinic.message(id), { state: 'retry', attempt_no: 1 });
  await run(clinic);
  t.equal(clinic.provider.calls.length, 1);
  clinic.provider.answer = accepted;
  clinic.clock.advance({ seconds: 30 });
  await run(clinic);
  t.match(await clinic.message(id), { state: 'sent', attempt_no: 2 });
});

t.test(
  'a message without an answer is not sent again before the provider denies it twice',
  async (t) => {
    const clinic = await outboxClinic(t);
    const id = await clinic.enqueue({ patientId: await clinic.addPatient() });
    clinic.provider.answer = (message) => ({
      id: message.id,
      kind: 'unknown',
      error: errorOf('unknown_outcome'),
    });
    await run(clinic);
    const look = () => reconcileClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
    t.match(await clinic.message(id), { state: 'unknown', reason: 'no-answer' });
    clinic.clock.advance({ seconds: 89 });
    t.equal((await look()).looked, 0, 'not before 90 seconds');
    clinic.clock.advance({ seconds: 1 });
    await look();
    t.equal((await clinic.message(id)).state, 'unknown', 'once is not enough');
    clinic.clock.advance({ minutes: 5 });
    await look();
    t.equal((await clinic.message(id)).state, 'retry');
    clinic.provider.answer = accepted;
    await run(clinic);
    t.match(await clinic.message(id), { state: 'sent', client_ref: id, attempt_no: 2 });
  },
);

t.test('a message without an answer that did arrive is found', async (t) => {
  const clinic = await outboxClinic(t);
  const id = await clinic.enqueue({ patientId: await clinic.addPatient() });
  clinic.provider.answer = (message) => ({
    id: message.id,
    kind: 'unknown',
    error: errorOf('unknown_outcome'),
  });
  clinic.provider.reconcile = (ref) => ({
    id: ref.id,
    kind: 'accepted',
    providerMessageId: 'found',
    status: 'delivered',
    raw: null,
  });
  await run(clinic);
  clinic.clock.advance({ seconds: 90 });
  await reconcileClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
  t.match(await clinic.message(id), { state: 'delivered', provider_message_id: 'found' });
});

t.test(
  'where nobody can be asked, the message stays unknown unless the rule says otherwise',
  async (t) => {
    const clinic = await outboxClinic(t, {
      capabilities: { reconcile: 'none', deliveryReceipts: 'none' },
    });
    // Blind: no reconcile timing of its own either.
    const { reconcileTiming, ...capabilities } = clinic.provider.adapter.capabilities({
      credentials: {},
      options: {},
      callbackUrl: '',
    });
    t.ok(reconcileTiming);
    const { reconcile, ...adapter } = clinic.provider.adapter;
    t.ok(reconcile);
    const blind = { ...adapter, capabilities: () => capabilities };
    clinic.deps.findAdapter = () => blind;
    clinic.provider.answer = (message) => ({
      id: message.id,
      kind: 'unknown',
      error: errorOf('unknown_outcome'),
    });
    const once = await clinic.enqueue({ patientId: await clinic.addPatient() });
    const surely = await clinic.enqueue({
      patientId: await clinic.addPatient(),
      onAmbiguous: 'at-least-once',
    });
    await run(clinic);
    await reconcileClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
    t.match(await clinic.message(once), { state: 'unknown', next_at: null });
    t.ok((await clinic.message(once)).settled_at);
    t.equal((await clinic.message(surely)).state, 'retry');
  },
);

t.test(
  'a lost lease leads from claimed back to scheduled, and from sending to unknown',
  async (t) => {
    const clinic = await outboxClinic(t);
    const claimed = await clinic.enqueue({ patientId: await clinic.addPatient() });
    const sending = await clinic.enqueue({ patientId: await clinic.addPatient() });
    await clinic.in(async (trx) => {
      await sql`update messages set state = 'claimed', lease_epoch = 1, lease_until = clock_timestamp() - interval '1 s'
      where clinic_id = ${clinic.clinicId} and id = ${claimed}`.execute(trx);
      await sql`update messages set state = 'sending', attempt_no = 1, lease_epoch = 1, next_at = null, client_ref = id::text,
      lease_until = clock_timestamp() - interval '1 s'
      where clinic_id = ${clinic.clinicId} and id = ${sending}`.execute(trx);
      await sql`insert into attempts (clinic_id, message_id, attempt_no, provider, client_ref, started_at)
      values (${clinic.clinicId}, ${sending}, 1, 'counting', ${sending}, ${noon})`.execute(trx);
    });
    await run(clinic);
    t.equal((await clinic.message(claimed)).state, 'sent');
    t.match(await clinic.message(sending), { state: 'unknown', reason: 'interrupted' });
    t.notOk(clinic.provider.taken.has(sending));
  },
);

t.test(
  'what is withdrawn while it waits never leaves; on the wire it is only marked',
  async (t) => {
    const clinic = await outboxClinic(t);
    const waiting = await clinic.enqueue({ patientId: await clinic.addPatient() });
    const unknown = await clinic.enqueue({ patientId: await clinic.addPatient() });
    clinic.provider.answer = (message) => ({
      id: message.id,
      kind: 'unknown',
      error: errorOf('unknown_outcome'),
    });
    await clinic.in((trx) =>
      sql`update messages set next_at = ${noon.add({ hours: 1 })} where clinic_id = ${clinic.clinicId} and id = ${waiting}`.execute(
        trx,
      ),
    );
    await run(clinic);
    const result = await clinic.in((trx) =>
      withdrawMessages(
        trx,
        clinic.clinicId,
        { messageIds: [waiting, unknown] },
        { state: 'cancelled', reason: 'booked' },
        noon,
      ),
    );
    t.same(result, { withdrawn: [waiting], inFlight: [unknown] });
    clinic.clock.advance({ minutes: 2 });
    await reconcileClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
    clinic.clock.advance({ minutes: 5 });
    await reconcileClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
    await run(clinic);
    t.match(await clinic.message(unknown), { state: 'cancelled' });
    t.equal(clinic.provider.taken.get(unknown), 1);
  },
);

t.test('two dispatchers at once send nothing twice', async (t) => {
  const clinic = await outboxClinic(t);
  for (let count = 0; count < 60; count += 1) {
    await clinic.enqueue({ patientId: await clinic.addPatient() });
  }
  await Promise.all([run(clinic), run(clinic), run(clinic), run(clinic)]);
  t.equal(clinic.provider.taken.size, 60);
  t.same([...new Set(clinic.provider.taken.values())], [1]);
});

t.test('a clinic with a long queue does not hold up its neighbour', async (t) => {
  const busy = await outboxClinic(t);
  const patientId = await busy.addPatient();
  const quiet = await clinicIn(busy.db);
  quiet.deps.clock = busy.clock;
  await busy.in((trx) =>
    sql`insert into messages (clinic_id, id, patient_id, purpose, channel, body, state, scheduled_at, expires_at, next_at, created_at, updated_at)
      select ${busy.clinicId}, gen_random_uuid(), ${patientId}, 'transactional', 'sms', '{"text":"x"}', 'scheduled',
        ${noon}, ${noon.add({ hours: 5 })}, ${noon}, ${noon}, ${noon} from generate_series(1, 6000)`.execute(
      trx,
    ),
  );
  await busy.in((trx) =>
    sql`insert into clinic_work (clinic_id, kind, next_at) values (${busy.clinicId}, 'dispatch', ${noon})
      on conflict (clinic_id, kind) do update set next_at = excluded.next_at`.execute(trx),
  );
  const id = await quiet.enqueue({ patientId: await quiet.addPatient() });
  const reached = new Promise<number>((resolve) => {
    const answer = busy.provider.answer;
    busy.provider.answer = (message) => {
      if (message.id === id) resolve(busy.provider.taken.size);
      return answer(message);
    };
  });
  const dispatcher = createDispatcher(busy.deps);
  dispatcher.start();
  t.ok((await reached) < 6000, 'the neighbour’s message left before the queue was empty');
  await dispatcher.stop();
});

function rejected(
  id: string,
  errorClass: Parameters<typeof errorOf>[0],
  scope: 'message' | 'channel' = 'message',
): SendOutcome {
  return { id, kind: 'rejected', error: { ...errorOf(errorClass), scope }, raw: null };
}

function errorOf(
  errorClass: Extract<SendOutcome, { kind: 'rejected' }>['error']['class'],
): Extract<SendOutcome, { kind: 'rejected' }>['error'] {
  return { class: errorClass, scope: 'message', providerCode: null, httpStatus: null, message: '' };
}
