/** The host hears by signed webhooks: over the real API, and the real HTTP of a receiver. */
import t, { type Test } from 'tap';
import { type HttpClient, httpClient } from '../../src/channels/http.ts';
import {
  startWebhookSimulator,
  type WebhookCall,
  type WebhookSimulator,
} from '../simulators/webhook.ts';
import { type Client, type TestApi, testApi } from '../support/api.ts';

/** A client that calls public addresses only. */
function closed(t: Test): HttpClient {
  const http = httpClient({ allowPrivate: false });
  t.teardown(() => http.close());
  return http;
}

type Clinic = Client & { id: string };

interface Stage {
  api: TestApi;
  clinic: Clinic;
  host: WebhookSimulator;
  secret: string;
}

/** A test clinic with a patient who is booked, and a host that hears what it asked for. */
async function stage(t: Test, events: string[] = ['*'], engine?: 'pglite'): Promise<Stage> {
  const api = await testApi(t, engine ? { engine } : {});
  const host = await startWebhookSimulator();
  t.teardown(() => host.close());
  const clinic = await api.clinic();
  await must(clinic.put('/v1/patients/p-1', patient));
  await must(clinic.put('/v1/appointments/a-1', appointment));
  const { secret } = await must(clinic.put('/v1/webhooks/mis', { url: host.url, events }));
  host.trust([String(secret)]);
  return { api, clinic, host, secret: String(secret) };
}

const patient = {
  name: { given: 'Anna', family: 'Petrova' },
  telecom: [{ system: 'phone', value: '+573001112233' }],
  consent: { care: { sms: 'granted', call: 'granted' } },
};
const appointment = {
  patientId: 'p-1',
  status: 'booked',
  start: '2026-03-20T15:00:00Z',
  minutes: 30,
};

async function must(
  asked: Promise<{ status: number; text: string; body: Record<string, unknown> }>,
) {
  const answer = await asked;
  if (answer.status >= 300) throw new Error(answer.text);
  return answer.body;
}

const typesOf = (calls: readonly WebhookCall[]) => calls.map(({ json }) => json.type);

function sendSms(clinic: Clinic): Promise<Record<string, unknown>> {
  const message = { patientId: 'p-1', purpose: 'transactional', channel: 'sms', text: 'Hola Anna' };
  return must(clinic.post('/v1/messages', message));
}

t.test('the host hears how a message fared, once each, signed, without a word of it', async (t) => {
  const { clinic, host } = await stage(t, ['message.*']);
  const message = await sendSms(clinic);
  await must(clinic.post('/v1/test/receipts', { messageId: message.id, status: 'read' }));
  t.same(typesOf(host.taken()), ['message.sent', 'message.delivered', 'message.read']);
  t.equal(host.calls().length, 3, 'none twice');
  t.ok(host.calls().every(({ isSigned }) => isSigned));
  const [sent] = host.taken();
  t.match(sent?.json, {
    id: sent?.id,
    type: 'message.sent',
    timestamp: '2026-03-02T15:00:00Z',
    data: { messageId: message.id, patientId: 'p-1', channel: 'sms', state: 'sent', reason: null },
  });
  const told = host
    .calls()
    .map(({ body }) => body)
    .join();
  for (const secret of ['Anna', 'Petrova', '573001112233', 'Hola']) t.notOk(told.includes(secret));
});

t.test('the host hears that a patient confirms, cancels, writes and stops', async (t) => {
  const { clinic, host } = await stage(t);
  await must(clinic.put('/v1/templates/remind', reminder));
  const rule = await must(clinic.post('/v1/rules', remindRule));
  await must(clinic.post(`/v1/rules/${rule.id}/activate`));
  await must(clinic.post('/v1/test/clock', { now: '2026-03-19T16:00:00Z' }));
  const messages = (await must(clinic.get('/v1/messages?channel=sms'))).data as { id: string }[];
  const messageId = messages[0]?.id;
  host.clear();

  await must(clinic.post('/v1/test/replies', { messageId, text: 'sí' }));
  t.same(typesOf(host.taken()), ['thread.message', 'appointment.confirmed']);
  t.match(host.taken()[1]?.json.data, { appointmentId: 'a-1', patientId: 'p-1' });
  host.clear();

  await must(clinic.post('/v1/test/replies', { messageId, text: 'no puedo ir, cancelar' }));
  await must(clinic.post('/v1/test/replies', { messageId, text: 'cancelar' }));
  t.same(
    typesOf(host.taken()).filter((type) => type !== 'thread.message'),
    ['appointment.cancel-requested', 'task.created'],
  );
  const [, cancel] = host.taken().filter(({ json }) => json.type !== 'thread.message');
  t.match(cancel?.json.data, { asks: 'cancel', state: 'open', patientId: 'p-1' });
  host.clear();

  await must(clinic.post('/v1/test/replies', { messageId, text: 'STOP' }));
  t.same(
    typesOf(host.taken()).filter((type) => type === 'patient.opted-out'),
    ['patient.opted-out'],
    'once, though both the person and the address are stopped',
  );
  const stopped = host.taken().find(({ json }) => json.type === 'patient.opted-out');
  t.match(stopped?.json.data, { patientId: 'p-1', channel: null, purpose: null, origin: 'reply' });
});

const reminder = {
  purpose: 'transactional',
  bodies: { sms: { es: { text: 'Le esperamos {{appointment.date}}' } } },
};
const remindRule = {
  name: 'Reminder',
  purpose: 'transactional',
  trigger: { type: 'appointment', before: 'P1D' },
  steps: [{ channel: 'sms', template: 'remind' }],
};

t.test(
  'a task is told when it is made and when it is done; a callback that was asked for, too',
  async (t) => {
    const { clinic, host } = await stage(t, ['task.*', 'callback.requested']);
    await must(
      clinic.post('/v1/messages', {
        ...{ patientId: 'p-1', purpose: 'care', channel: 'task', text: 'Llamar' },
      }),
    );
    const [task] = (await must(clinic.get('/v1/tasks'))).data as { id: string }[];
    await must(clinic.patch(`/v1/tasks/${task?.id}`, { outcome: 'reached', note: 'secreto' }));
    await must(
      clinic.post('/v1/events', {
        ...{ id: 'e-1', type: 'callback.requested', occurredAt: '2026-03-02T14:59:00Z' },
        data: { patientId: 'p-1', note: 'secreto' },
      }),
    );
    t.same(typesOf(host.taken()), [
      'task.created',
      'task.done',
      'callback.requested',
      'task.created',
    ]);
    t.match(host.taken()[1]?.json.data, { taskId: task?.id, state: 'done', outcome: 'reached' });
    t.match(host.taken()[2]?.json.data, { patientId: 'p-1', eventId: 'e-1', source: 'mis' });
    t.notOk(host.calls().some(({ body }) => body.includes('secreto')));
  },
);

t.test('an opt-out by an address is told of everybody who has it', async (t) => {
  const { clinic, host } = await stage(t, ['patient.opted-out']);
  await must(clinic.put('/v1/patients/p-2', { ...patient, name: { given: 'Boris' } }));
  await must(clinic.post('/v1/opt-outs', { address: '+573001112233', channel: 'sms' }));
  t.same(
    host.taken().map(({ json }) => json.data?.patientId),
    ['p-1', 'p-2'],
  );
  await must(clinic.post('/v1/opt-outs', { address: '+573009998877' }));
  t.match(host.taken()[2]?.json.data, { patientId: null }, 'nobody is known to have it');
});

t.test('a webhook hears what it asked for, in the words of its own source', async (t) => {
  const { api, clinic, host } = await stage(t, ['message.delivered']);
  const crm = await must(
    clinic.post('/v1/keys', { name: 'CRM', source: 'crm', scopes: ['manage', 'read'] }),
  );
  const other = await startWebhookSimulator();
  t.teardown(() => other.close());
  const wish = { url: other.url, events: ['message.sent'] };
  await must(api.as(String(crm.key)).put('/v1/webhooks/crm', wish));
  await sendSms(clinic);
  t.same(typesOf(host.taken()), ['message.delivered']);
  t.same(typesOf(other.taken()), ['message.sent']);
  t.equal(host.taken()[0]?.json.data?.patientId, 'p-1');
  t.equal(other.taken()[0]?.json.data?.patientId, 'mis~p-1');
});

t.test('a clinic where nobody listens keeps nothing', async (t) => {
  const { api, clinic } = await stage(t, ['thread.message']);
  await sendSms(clinic);
  const { rows } = await api.database.db
    .selectFrom('host_events')
    .selectAll()
    .execute()
    .then((rows) => ({ rows }));
  t.same(rows, []);
});

t.test('a call that failed comes again with the same id, and in order', async (t) => {
  const { api, clinic, host } = await stage(t, ['message.*']);
  host.faults({ acceptThenDropReply: true, times: 1 });
  await sendSms(clinic);
  t.same(typesOf(host.calls()), ['message.sent'], 'the next one waits behind it');
  await must(clinic.put('/v1/patients/p-9', patient));
  t.equal(host.calls().length, 1, 'it is not yet time');
  api.clock.advance({ seconds: 6 });
  await must(clinic.put('/v1/patients/p-9', { ...patient, tags: ['x'] }));
  t.same(typesOf(host.calls()), ['message.sent', 'message.sent', 'message.delivered']);
  t.equal(new Set(host.calls().map(({ id }) => id)).size, 2, 'the same event under the same id');
  const list = await must(clinic.get('/v1/webhooks/mis/deliveries'));
  t.match(list.data, [
    { type: 'message.delivered', state: 'done', attempts: [{ status: 204 }] },
    {
      type: 'message.sent',
      state: 'done',
      attempts: [
        { status: null, reason: 'connection-lost' },
        { status: 204, reason: null },
      ],
    },
  ]);
  t.match((await must(clinic.get('/v1/webhooks/mis'))).waiting, 0);
});

t.test('what a receiver answers is never kept or shown', async (t) => {
  const { clinic, host } = await stage(t, ['message.sent']);
  host.answerWith({ status: 500, body: 'stack trace of the host' });
  await sendSms(clinic);
  const list = await clinic.get('/v1/webhooks/mis/deliveries?state=waiting');
  t.match(list.body.data, [{ state: 'waiting', attempts: [{ status: 500, reason: null }] }]);
  t.notOk(list.text.includes('stack'));
});

t.test('a redirect is not followed', async (t) => {
  const { clinic, host } = await stage(t, ['message.sent']);
  const trap = await startWebhookSimulator();
  t.teardown(() => trap.close());
  host.answerWith({ status: 307, headers: { location: trap.url } });
  await sendSms(clinic);
  t.equal(trap.calls().length, 0);
  t.match((await must(clinic.get('/v1/webhooks/mis'))).waiting, 1);
});

t.test('a receiver that is gone is disabled; PUT tells it what waited', async (t) => {
  const { clinic, host } = await stage(t, ['message.sent']);
  host.answerWith({ status: 410 });
  await sendSms(clinic);
  t.match(await must(clinic.get('/v1/webhooks/mis')), { state: 'disabled', waiting: 1 });
  host.answerWith(null);
  await sendSms(clinic);
  t.equal(host.taken().length, 0, 'nothing more is told');
  await must(clinic.put('/v1/webhooks/mis', { url: host.url, events: ['message.sent'] }));
  t.match(await must(clinic.get('/v1/webhooks/mis')), { state: 'active', waiting: 0 });
  t.equal(host.taken().length, 1, 'what happened while it was disabled is not');
});

t.test(
  'a receiver that fails for days is paused, its events are kept, and resume tells them in order',
  async (t) => {
    const { api, clinic, host } = await stage(t, ['message.*']);
    host.answerWith({ status: 503 });
    await sendSms(clinic);
    for (let hours = 0; hours < 90; hours += 1) {
      api.clock.advance({ hours: 1 });
      await must(clinic.put('/v1/patients/p-9', { ...patient, tags: [`${hours}`] }));
    }
    t.match(await must(clinic.get('/v1/webhooks/mis')), { state: 'paused', waiting: 2 });
    const calls = host.calls().length;
    await sendSms(clinic);
    api.clock.advance({ hours: 100 });
    await must(clinic.put('/v1/patients/p-9', { ...patient, tags: ['y'] }));
    t.equal(host.calls().length, calls, 'it is left alone');
    t.match(await must(clinic.get('/v1/webhooks/mis')), { waiting: 4 });
    host.answerWith(null);
    await must(clinic.post('/v1/webhooks/mis/resume'));
    t.same(typesOf(host.taken()), [
      'message.sent',
      'message.delivered',
      'message.sent',
      'message.delivered',
    ]);
    t.match(await must(clinic.get('/v1/webhooks/mis')), {
      ...{ state: 'active', waiting: 0, failingSince: null, stoppedAt: null },
    });
  },
);

t.test('an event, or all since an instant, is told once more under its id', async (t) => {
  const { clinic, host } = await stage(t, ['message.*']);
  await sendSms(clinic);
  const ids = host.calls().map(({ id }) => id);
  await must(clinic.post(`/v1/webhooks/mis/deliveries/${ids[1]}/replay`));
  t.same(
    host.calls().map(({ id }) => id),
    [...ids, ids[1]],
  );
  const all = await clinic.post('/v1/webhooks/mis/replay', { since: '2026-03-02T15:00:00Z' });
  t.match(all, { status: 202, body: { replayed: 2, next: null } });
  t.same(
    host.calls().map(({ id }) => id),
    [...ids, ids[1], ...ids],
  );
  const none = await clinic.post('/v1/webhooks/mis/replay', { since: '2026-03-02T15:00:01Z' });
  t.match(none.body, { replayed: 0 });
  const list = await must(clinic.get('/v1/webhooks/mis/deliveries?limit=1'));
  t.match(list.data, [{ id: ids[1], state: 'done', attempts: { length: 3 } }]);
  const rest = await must(
    clinic.get(`/v1/webhooks/mis/deliveries?limit=1&cursor=${list.nextCursor}`),
  );
  t.match(rest, { data: [{ id: ids[0] }], nextCursor: null });
});

t.test('a webhook that comes later can catch up with what another one heard', async (t) => {
  const { clinic, host } = await stage(t, ['message.sent']);
  await sendSms(clinic);
  const late = await startWebhookSimulator();
  t.teardown(() => late.close());
  await must(clinic.put('/v1/webhooks/late', { url: late.url, events: ['*'] }));
  await must(clinic.post('/v1/webhooks/late/replay', { since: '2026-03-01T00:00:00Z' }));
  t.same(
    late.calls().map(({ id }) => id),
    host.calls().map(({ id }) => id),
    'the same event under the same id',
  );
});

t.test('a secret is shown when it is made; while it is rotated both sign', async (t) => {
  const { api, clinic, host, secret } = await stage(t, ['message.sent']);
  t.match(secret, /^whsec_/);
  t.equal((await must(clinic.get('/v1/webhooks/mis'))).secret, undefined);
  t.notOk(JSON.stringify(await must(clinic.get('/v1/webhooks'))).includes('whsec_'));
  const rotated = await must(clinic.post('/v1/webhooks/mis/rotate'));
  t.not(rotated.secret, secret);
  t.match(rotated.rotatesUntil, String);
  await sendSms(clinic);
  t.ok(host.calls()[0]?.isSigned, 'who knows the old one still believes it');
  host.trust([String(rotated.secret)]);
  await sendSms(clinic);
  t.ok(host.calls()[1]?.isSigned, 'who knows the new one believes it already');
  api.clock.advance({ hours: 25 });
  await sendSms(clinic);
  t.equal(host.calls()[2]?.signature.split(' ').length, 1);
  t.ok(host.calls()[2]?.isSigned);
  const { rows } = await api.database.db
    .selectFrom('webhooks')
    .select(['secret', 'previous_secret'])
    .execute()
    .then((rows) => ({ rows }));
  t.notOk(
    Buffer.from(rows[0]?.secret ?? [])
      .toString('latin1')
      .includes('whsec_'),
    'sealed',
  );
});

t.test('a secret may be given, and another one given later is a rotation', async (t) => {
  const api = await testApi(t);
  const clinic = await api.clinic();
  const wish = { url: 'http://127.0.0.1:9/hook', events: ['*'] };
  const secret = `whsec_${Buffer.alloc(24, 3).toString('base64')}`;
  const made = await clinic.put('/v1/webhooks/mis', { ...wish, secret });
  t.match(made, { status: 201, body: { secret, rotatesUntil: null } });
  const same = await clinic.put('/v1/webhooks/mis', { ...wish, secret });
  t.match(same, { status: 200, body: { secret: undefined, rotatesUntil: null } });
  const other = `whsec_${Buffer.alloc(32, 4).toString('base64')}`;
  t.match(await clinic.put('/v1/webhooks/mis', { ...wish, secret: other }), {
    status: 200,
    body: { rotatesUntil: String },
  });
});

t.test('a wrong webhook is refused with every fault', async (t) => {
  const api = await testApi(t);
  const clinic = await api.clinic();
  const put = (body: object) => clinic.put('/v1/webhooks/mis', body);
  const url = 'http://127.0.0.1:9/hook';
  t.match(await put({ url: 'ftp://x', events: ['nothing.*', '*'], secret: 'short' }), {
    status: 400,
    body: {
      errors: [
        { pointer: '/events/0', code: 'unknown-event' },
        { pointer: '/url', code: 'url' },
        { pointer: '/secret', code: 'secret' },
      ],
    },
  });
  t.equal((await put({ url, events: [] })).status, 400);
  t.equal((await put({ url, events: ['*'], method: 'GET' })).status, 400);
  t.equal((await put({ url: `http://x/${'a'.repeat(3_000)}`, events: ['*'] })).status, 400);
  t.equal((await clinic.get('/v1/webhooks/none')).status, 404);
  t.equal((await clinic.delete('/v1/webhooks/none')).status, 404);
  for (const action of ['resume', 'rotate', 'test']) {
    t.equal((await clinic.post(`/v1/webhooks/none/${action}`)).status, 404);
  }
  for (let count = 0; count < 20; count += 1) {
    await must(clinic.put(`/v1/webhooks/w-${count}`, { url, events: ['channel.*'] }));
  }
  t.equal((await put({ url, events: ['*'] })).status, 422, 'a clinic has at most 20');
});

t.test('where private addresses are denied, none is taken or called', async (t) => {
  const api = await testApi(t, { deps: (deps) => ({ ...deps, http: closed(t) }) });
  const clinic = await api.clinic();
  const urls = [
    'http://example.org/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::]/',
    'https://0/',
    'https://①②⑦.⓪.⓪.①/',
    'https://127.0.0.1./',
    'https://[2002:7f00:1::]/',
    'https://[64:ff9b::7f00:1]/',
    'https://169.254.169.254/latest',
    'https://user:pass@example.org/',
    'https://example.org:22/',
    'file:///etc/passwd',
  ];
  for (const url of urls) {
    const { status } = await clinic.put('/v1/webhooks/mis', { url, events: ['*'] });
    t.equal(status, 400, url);
  }
  const named = { url: 'https://localhost/hook', events: ['message.sent'] };
  t.equal((await clinic.put('/v1/webhooks/mis', named)).status, 201, 'a name is looked up later');
  t.match(await must(clinic.post('/v1/webhooks/mis/test')), {
    ...{ ok: false, status: null, reason: 'private-address' },
  });
});

t.test('the test button tells what the receiver said', async (t) => {
  const { clinic, host } = await stage(t, ['message.sent']);
  t.match(await must(clinic.post('/v1/webhooks/mis/test')), {
    ok: true,
    status: 204,
    reason: null,
  });
  t.match(host.calls(), [{ isSigned: true, json: { type: 'webhook.test', data: {} } }]);
  host.answerWith({ status: 500 });
  t.match(await must(clinic.post('/v1/webhooks/mis/test')), { ok: false, status: 500 });
  await host.close();
  t.match(await must(clinic.post('/v1/webhooks/mis/test')), { ok: false, reason: 'refused' });
  t.match((await must(clinic.get('/v1/webhooks/mis/deliveries'))).data, []);
});

t.test('a receiver may ask us before it answers', async (t) => {
  const { clinic, host } = await stage(t, ['message.*']);
  host.onCall(async () => {
    await must(clinic.put('/v1/patients/p-7', patient));
  });
  await sendSms(clinic);
  t.same(typesOf(host.calls()), ['message.sent', 'message.delivered'], 'and still each comes once');
});

t.test('a webhook that is deleted hears nothing more, and nobody minds', async (t) => {
  const { clinic, host } = await stage(t, ['*']);
  host.answerWith({ status: 500 });
  await sendSms(clinic);
  t.equal((await clinic.delete('/v1/webhooks/mis')).status, 204);
  await sendSms(clinic);
  t.match((await must(clinic.get('/v1/webhooks'))).data, []);
});

t.test('the embedded database tells the host as well', async (t) => {
  const { clinic, host } = await stage(t, ['*'], 'pglite');
  await sendSms(clinic);
  t.same(typesOf(host.taken()), ['message.sent', 'message.delivered']);
});
