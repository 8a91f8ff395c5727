import t, { type Test } from 'tap';
import type { RawRequest } from '../../src/channels/channel.ts';
import { sendgridAdapter } from '../../src/channels/sendgrid/sendgrid.ts';
import {
  type SendgridOptions,
  type SendgridOutcome,
  type SendgridSimulator,
  startSendgridSimulator,
} from '../simulators/sendgrid.ts';
import { setup as setUp } from './conformance.ts';
import { startReceiver } from './receiver.ts';
import { sendgridUnderTest } from './stands.ts';

async function setup(t: Test, options: SendgridOptions = {}) {
  let simulator: SendgridSimulator | undefined;
  const given = await setUp(
    t,
    sendgridUnderTest(options, (started) => {
      simulator = started;
    }),
  );
  if (!simulator) throw new Error('no simulator');
  return { ...given, simulator };
}

/** The vector of SendGrid's own library, whose body ends with a line break. */
const vector = {
  key: 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==',
  signature:
    'MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=',
  timestamp: '1600112502',
  body: `${JSON.stringify([
    {
      email: 'hello@world.com',
      event: 'dropped',
      reason: 'Bounced Address',
      sg_event_id: 'ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA',
      sg_message_id: 'LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0',
      'smtp-id': '<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>',
      timestamp: 1600112492,
    },
  ])}\r\n`,
};

function request(overrides: Partial<typeof vector> = {}, at = '2020-09-14T19:42:00Z'): RawRequest {
  const { signature, timestamp, body } = { ...vector, ...overrides };
  return {
    method: 'POST',
    url: 'https://clinic.example/v1/callbacks/c1',
    headers: {
      'x-twilio-email-event-webhook-signature': signature,
      'x-twilio-email-event-webhook-timestamp': timestamp,
    },
    rawBody: Buffer.from(body),
    remoteIp: '192.0.2.1',
    receivedAt: Temporal.Instant.from(at),
  };
}

const config = {
  credentials: { apiKey: 'SG.k', webhookPublicKey: vector.key },
  options: { sender: 'clinic@example.org' },
  callbackUrl: 'https://clinic.example/v1/callbacks/c1',
};

t.test(
  'events are believed by the published signature, byte for byte and while fresh',
  async (t) => {
    const verify = (it: RawRequest) => sendgridAdapter.verifyCallback(it, config);
    t.same(verify(request()), { ok: true });
    t.same(verify(request({ body: vector.body.trimEnd() })), { ok: false, reason: 'bad' });
    t.same(verify(request({ timestamp: '1600112503' })), { ok: false, reason: 'bad' });
    t.same(verify(request({ timestamp: 'soon' })), { ok: false, reason: 'bad' });
    t.same(verify(request({ signature: 'AAAA' })), { ok: false, reason: 'bad' });
    t.same(verify(request({ signature: '' })), { ok: false, reason: 'missing' });
    t.same(verify(request({}, '2020-09-14T19:51:42Z')), { ok: true });
    t.same(verify(request({}, '2020-09-14T19:51:43Z')), { ok: false, reason: 'stale' });
    t.same(verify(request({}, '2020-09-14T19:31:00Z')), { ok: false, reason: 'stale' });
    const open = { ...config, credentials: { apiKey: 'SG.k' } };
    t.same(sendgridAdapter.verifyCallback(request(), open), {
      ok: false,
      reason: 'not_configured',
    });
    const broken = { ...config, credentials: { apiKey: 'SG.k', webhookPublicKey: 'AAAA' } };
    t.same(sendgridAdapter.verifyCallback(request(), broken), { ok: false, reason: 'bad' });
  },
);

t.test('a dropped mail fails and holds the address back', async (t) => {
  const { events, reply } = sendgridAdapter.parseCallback(request(), config);
  t.match(reply, { status: 200 });
  t.match(events, [
    {
      type: 'status',
      status: 'failed',
      address: 'hello@world.com',
      providerMessageId: 'LRzXl_NHStOGhQ4kofSm_A',
      error: { class: 'recipient_permanent' },
    },
    { type: 'suppression', reason: 'hard_bounce', purposes: 'all' },
  ]);
  t.equal(String(events[0]?.occurredAt), '2020-09-14T19:41:32Z');
  t.equal(new Set(events.map(({ dedupeKey }) => dedupeKey)).size, 2);
});

t.test('a batch is one call, with every patient’s own mail in it', async (t) => {
  const given = await setup(t);
  const batch = given.prepare(
    given.message({ content: { subject: 'A', text: 'Анна\n«да»', html: '<p>Анна &amp; Ко</p>' } }),
    given.message({
      content: { subject: 'B', text: '{{name}} %text% -html-', html: '<p>$& $1</p>' },
    }),
  );
  const outcomes = await given.adapter.send(batch, given.config, given.context);
  t.ok(outcomes.every(({ kind }) => kind === 'accepted'));
  t.equal(given.simulator.calls(), 1);
  t.match(given.simulator.messages(), [
    {
      subject: 'A',
      text: 'Анна\n«да»',
      html: '<p>Анна &amp; Ко</p>',
      clientRef: batch[0]?.clientRef,
    },
    {
      subject: 'B',
      text: '{{name}} %text% -html-',
      html: '<p>$& $1</p>',
      from: 'clinic@example.org',
    },
  ]);
});

t.test('mails that cannot share a body travel alone', async (t) => {
  const given = await setup(t);
  const [plain, html, long, tagged] = given.prepare(
    given.message({ content: { text: 'a' } }),
    given.message({ content: { text: 'a', html: '<p>a</p>' } }),
    given.message({ content: { text: 'я'.repeat(5_000) } }),
    given.message({ content: { text: 'x %retorno:text% y' } }),
  );
  t.not(plain?.batchKey, html?.batchKey);
  const [odd] = given.prepare(given.message({ to: 'nobody@nowhere' }));
  t.equal(odd?.batchKey, null, 'a doubtful address');
  t.equal(long?.batchKey, null);
  t.equal(tagged?.batchKey, null);
  for (const alone of [long, tagged]) {
    if (!alone) continue;
    await given.adapter.send([alone], given.config, given.context);
    t.equal(given.simulator.messages().at(-1)?.text, alone.content.text);
  }
});

t.test('a thousand mails of the greatest size that may share a call are taken', async (t) => {
  const given = await setup(t);
  const text = 'x'.repeat(9_900);
  const batch = given.prepare(
    ...Array.from({ length: 1000 }, () => given.message({ content: { subject: 's', text } })),
  );
  t.not(batch[0]?.batchKey, null);
  const outcomes = await given.adapter.send(batch, given.config, given.context);
  t.ok(outcomes.every(({ kind }) => kind === 'accepted'));
  t.equal(given.simulator.messages().length, 1000);
});

t.test('one click unsubscribes', async (t) => {
  const given = await setup(t);
  const unsubscribeUrl = 'https://clinic.example/l/TOKEN';
  await given.adapter.send(
    given.prepare(given.message({ unsubscribeUrl }), given.message()),
    given.config,
    given.context,
  );
  t.same(
    given.simulator.messages().map(({ headers }) => headers),
    [
      {
        'List-Unsubscribe': `<${unsubscribeUrl}>`,
        'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
      },
      {},
    ],
  );
});

t.test('a mail without a subject gets the first line of its text', async (t) => {
  const given = await setup(t);
  const [message] = given.prepare(given.message({ content: { text: '\nПора к врачу\nЖдём' } }));
  t.same(message?.warnings, ['no-subject']);
  if (message) await given.adapter.send([message], given.config, given.context);
  t.equal(given.simulator.messages()[0]?.subject, 'Пора к врачу');
});

t.test('a wrong address ends its message, and of a batch each goes again alone', async (t) => {
  const given = await setup(t);
  const [good, bad] = given.prepare(given.message(), given.message({ to: 'nobody@nowhere' }));
  if (!good || !bad) return;
  t.match(await given.adapter.send([good, bad], given.config, given.context), [
    { kind: 'rejected', error: { class: 'temporary', retryAlone: true } },
    { kind: 'rejected', error: { class: 'temporary', retryAlone: true } },
  ]);
  t.match(await given.adapter.send([bad], given.config, given.context), [
    { kind: 'rejected', error: { class: 'recipient_permanent', scope: 'recipient' } },
  ]);
  t.same(given.simulator.messages(), []);
});

t.test('X-RateLimit-Reset says when to come back where Retry-After does not', async (t) => {
  const given = await setup(t);
  const now = Temporal.Instant.from('2026-03-01T10:00:00Z');
  const reset = String(now.epochMilliseconds / 1000 + 30);
  const answer = (headers: Record<string, string>) => ({
    ...given.context,
    now: () => now,
    http: {
      ...given.context.http,
      request: async () =>
        ({ kind: 'answered', status: 429, headers, body: Buffer.alloc(0) }) as const,
    },
  });
  const waits: [Record<string, string>, number][] = [
    [{ 'x-ratelimit-reset': reset }, 30_000],
    [{ 'retry-after': '5', 'x-ratelimit-reset': reset }, 5_000],
    [{ 'retry-after': 'Sun, 01 Mar 2026 10:02:00 GMT' }, 120_000],
    [{ 'retry-after': 'Sun, 01 Mar 2026 09:00:00 GMT' }, 0],
    [{ 'retry-after': '999999999' }, 86_400_000],
  ];
  for (const [headers, retryAfterMs] of waits) {
    const batch = given.prepare(given.message());
    t.match(await given.adapter.send(batch, given.config, answer(headers)), [
      { kind: 'rejected', error: { class: 'rate_limited', retryAfterMs } },
    ]);
  }
});

const statuses: [number, string, string][] = [
  [400, 'rejected', 'message_permanent'],
  [401, 'rejected', 'config'],
  [403, 'rejected', 'config'],
  [404, 'rejected', 'config'],
  [405, 'rejected', 'config'],
  [408, 'rejected', 'temporary'],
  [413, 'rejected', 'message_permanent'],
  [425, 'rejected', 'temporary'],
  [302, 'rejected', 'config'],
  [500, 'unknown', 'unknown_outcome'],
  [502, 'unknown', 'unknown_outcome'],
  [503, 'unknown', 'unknown_outcome'],
  [504, 'unknown', 'unknown_outcome'],
];

t.test('every status has its class', async (t) => {
  const given = await setup(t);
  for (const [status, kind, errorClass] of statuses) {
    const http = {
      ...given.context.http,
      request: async () =>
        ({ kind: 'answered', status, headers: {}, body: Buffer.from('{}') }) as const,
    };
    const batch = given.prepare(given.message());
    t.match(
      await given.adapter.send(batch, given.config, { ...given.context, http }),
      [{ kind, error: { class: errorClass, httpStatus: status } }],
      `status ${status}`,
    );
  }
});

const fates: [SendgridOutcome, string[], string[]][] = [
  ['delivered', ['sent', 'delivered'], []],
  ['deferred', ['sent', 'sent'], []],
  ['bounce', ['sent', 'failed recipient_permanent'], ['hard_bounce all']],
  ['blocked', ['sent', 'failed temporary'], []],
  ['dropped', ['failed recipient_permanent'], ['hard_bounce all']],
  ['async-bounce', ['sent', 'delivered', 'failed recipient_permanent'], ['hard_bounce all']],
  ['open', ['sent', 'delivered', 'read'], []],
  ['click', ['sent', 'delivered', 'clicked'], []],
  ['spamreport', ['sent', 'delivered'], ['complaint all']],
  ['unsubscribe', ['sent', 'delivered'], ['unsubscribe care,marketing']],
];

for (const [outcome, wantedStatuses, wantedSuppressions] of fates) {
  t.test(`a mail whose fate is "${outcome}" is told so by signed events`, async (t) => {
    const given = await setup(t);
    const receiver = await startReceiver();
    t.teardown(receiver.close);
    given.simulator.webhookTo(receiver.url);
    const message = given.message();
    given.simulator.outcome(message.to, outcome);
    await given.adapter.send(given.prepare(message), given.config, given.context);
    await given.simulator.settled();
    t.equal(receiver.requests.length, 1);
    const events = receiver.requests.flatMap((it) => {
      t.same(given.adapter.verifyCallback(it, given.config), { ok: true });
      return given.adapter.parseCallback(it, given.config).events;
    });
    const told = events.flatMap((event) =>
      event.type === 'status' ? [[event.status, event.error?.class].filter(Boolean).join(' ')] : [],
    );
    const heldBack = events.flatMap((event) =>
      event.type === 'suppression' ? [`${event.reason} ${event.purposes}`] : [],
    );
    t.same(told, wantedStatuses);
    t.same(heldBack, wantedSuppressions);
    t.match(events[0], { clientRef: message.clientRef, address: message.to });
    t.notOk(JSON.stringify(events.map(({ raw }) => raw)).includes(message.to));
  });
}

t.test('events that are forged, old or repeated are known as such', async (t) => {
  const given = await setup(t);
  const receiver = await startReceiver();
  t.teardown(receiver.close);
  given.simulator.webhookTo(receiver.url);
  const verdictUnder = async (faults: Parameters<SendgridSimulator['faults']>[0]) => {
    given.simulator.faults(faults);
    await given.adapter.send(given.prepare(given.message()), given.config, given.context);
    await given.simulator.settled();
    return receiver.requests.splice(0);
  };
  const verdicts = (requests: RawRequest[]) =>
    requests.map((it) => given.adapter.verifyCallback(it, given.config));
  t.same(verdicts(await verdictUnder({ callbackBadSignature: true })), [
    { ok: false, reason: 'bad' },
  ]);
  t.same(verdicts(await verdictUnder({ callbackOldTimestamp: true })), [
    { ok: false, reason: 'stale' },
  ]);
  const twice = await verdictUnder({ callbackDuplicate: true, callbackDelayMs: 5 });
  const keys = twice.flatMap((it) =>
    given.adapter.parseCallback(it, given.config).events.map(({ dedupeKey }) => dedupeKey),
  );
  t.same([keys.length, new Set(keys).size], [4, 2]);
});

t.test('the simulator is also worked over HTTP', async (t) => {
  const simulator = await startSendgridSimulator();
  t.teardown(simulator.close);
  const at = `${simulator.url}/__sim/sendgrid`;
  const json = { 'content-type': 'application/json' };
  await fetch(`${at}/faults`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ http429: 1, times: 1 }),
  });
  const mail = JSON.stringify({
    from: { email: 'clinic@example.org' },
    personalizations: [
      { to: [{ email: 'p@example.com' }], subject: 's', custom_args: { mid: 'm1' } },
    ],
    content: [{ type: 'text/plain', value: 'text' }],
  });
  const send = () =>
    fetch(`${simulator.url}/v3/mail/send`, {
      method: 'POST',
      headers: { ...json, authorization: 'Bearer SG.any' },
      body: mail,
    });
  t.equal((await send()).status, 429);
  const taken = await send();
  t.equal(taken.status, 202);
  t.ok(taken.headers.get('x-message-id'));
  t.match(await (await fetch(`${at}/messages`)).json(), { total: 1, data: [{ clientRef: 'm1' }] });
  t.match(await (await fetch(`${at}/key`)).json(), { publicKey: simulator.publicKey });
});
