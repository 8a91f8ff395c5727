/** Messages by the host's own webhook and by a mail server: over the real API, HTTP and SMTP. */
import t from 'tap';
import { startSmtpSimulator } from '../simulators/smtp.ts';
import { startWebhookSimulator } from '../simulators/webhook.ts';
import { type Client, type TestApi, testApi } from '../support/api.ts';

const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;

async function must(
  asked: Promise<{ status: number; text: string; body: Record<string, unknown> }>,
) {
  const answer = await asked;
  if (answer.status >= 300) throw new Error(answer.text);
  return answer.body;
}

async function patientAt(clinic: Client): Promise<void> {
  await must(
    clinic.put('/v1/patients/p-1', {
      name: { given: 'Ana' },
      telecom: [{ system: 'email', value: 'ana@example.com' }],
    }),
  );
}

/** What the provider posts, as it arrives at the callback's address. */
async function callBack(
  api: TestApi,
  callbackUrl: unknown,
  post: { headers: object; body: string },
) {
  const answer = await api.app.inject({
    method: 'POST',
    url: new URL(String(callbackUrl)).pathname,
    headers: withoutLength(post.headers),
    payload: post.body,
  });
  return answer.statusCode;
}

function withoutLength(headers: object): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'content-length'));
}

t.test(
  'a push service takes a message by the patient’s own id, and tells how it fared',
  async (t) => {
    const api = await testApi(t);
    const clinic = await api.clinic();
    const push = await startWebhookSimulator({ secrets: [secret], clock: api.clock });
    const callbacks = await startWebhookSimulator();
    t.teardown(() => Promise.all([push.close(), callbacks.close()]));
    const channel = await must(
      clinic.put('/v1/channels/webhook', { credentials: { secret }, options: { url: push.url } }),
    );
    await patientAt(clinic);
    const message = await must(
      clinic.post('/v1/messages', {
        ...{ patientId: 'p-1', purpose: 'transactional', channel: 'webhook', text: 'Le esperamos' },
      }),
    );
    t.equal((await must(clinic.get(`/v1/messages/${message.id}`))).state, 'sent');
    t.match(push.taken()[0]?.json, {
      type: 'message.send',
      data: { ref: message.id, to: 'p-1', text: 'Le esperamos' },
    });

    push.callbackTo(callbacks.url);
    push.tell({ ref: message.id, status: 'read' });
    push.tell({ ref: message.id, text: 'STOP' });
    await push.settled();
    for (const call of callbacks.calls()) {
      t.equal(await callBack(api, channel.callbackUrl, call), 200);
      t.equal(await callBack(api, channel.callbackUrl, { ...call, body: `${call.body} ` }), 401);
    }
    t.equal((await must(clinic.get(`/v1/messages/${message.id}`))).state, 'read');
    t.match((await must(clinic.get('/v1/opt-outs?patientId=p-1'))).data, [{ origin: 'reply' }]);
  },
);

t.test('what a push service lost the answer to is sent again under the same id', async (t) => {
  const api = await testApi(t);
  const clinic = await api.clinic();
  const push = await startWebhookSimulator({ secrets: [secret], clock: api.clock });
  t.teardown(() => push.close());
  await must(
    clinic.put('/v1/channels/webhook', { credentials: { secret }, options: { url: push.url } }),
  );
  await patientAt(clinic);
  push.faults({ acceptThenDropReply: true, times: 1 });
  const message = await must(
    clinic.post('/v1/messages', {
      ...{ patientId: 'p-1', purpose: 'transactional', channel: 'webhook', text: 'Hola' },
    }),
  );
  await must(clinic.post('/v1/test/clock', { now: '2026-03-02T18:00:00Z' }));
  t.equal((await must(clinic.get(`/v1/messages/${message.id}`))).state, 'sent');
  t.same(
    push.calls().map(({ id }) => id),
    [message.id, message.id],
  );
});

t.test('a mail server that is set up is asked by the test button', async (t) => {
  const api = await testApi(t);
  const clinic = await api.clinic({ mode: 'live', now: undefined });
  const login = { user: 'clinic', pass: 'word' };
  const server = await startSmtpSimulator({ login });
  t.teardown(() => server.close());
  const put = (pass: string) =>
    clinic.put('/v1/channels/email', {
      provider: 'smtp',
      credentials: { url: `smtp://clinic:${pass}@127.0.0.1:${server.port}` },
      options: { sender: 'Clinic <clinic@example.org>' },
    });
  const shown = await put('word');
  t.equal(shown.status, 200);
  t.notOk(shown.text.includes('word'), 'the password is not shown');
  t.match(await must(clinic.post('/v1/channels/email/test')), { ok: true });
  await must(put('wrong'));
  t.match(await must(clinic.post('/v1/channels/email/test')), { ok: false });
  t.equal(server.mails().length, 0);
});
