import t, { type Test } from 'tap';
import type { RawRequest, SendOutcome } from '../../src/channels/channel.ts';
import { failure, refusal } from '../../src/channels/smsc/codes.ts';
import { encodeCp1251 } from '../../src/channels/smsc/cp1251.ts';
import { smscAdapter } from '../../src/channels/smsc/smsc.ts';
import { systemClock } from '../../src/clock.ts';
import { type SmscOptions, type SmscSimulator, startSmscSimulator } from '../simulators/smsc.ts';
import { setup as setUp } from './conformance.ts';
import { startReceiver } from './receiver.ts';
import { smscUnderTest } from './stands.ts';

async function setup(t: Test, options: SmscOptions = {}) {
  let simulator: SmscSimulator | undefined;
  const given = await setUp(
    t,
    smscUnderTest(options, (started) => {
      simulator = started;
    }),
  );
  if (!simulator) throw new Error('no simulator');
  return { ...given, simulator };
}

const config = {
  credentials: { apiKey: 'k', callbackSecret: 's3cret' },
  options: {},
  callbackUrl: 'https://clinic.example/v1/callbacks/c1',
};

function request(fields: Record<string, string>, query = '?charset=utf-8'): RawRequest {
  return {
    method: 'POST',
    url: `https://clinic.example/v1/callbacks/c1${query}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    rawBody: Buffer.from(new URLSearchParams(fields).toString()),
    remoteIp: '192.0.2.1',
    receivedAt: Temporal.Instant.from('2026-03-01T10:00:00Z'),
  };
}

const status = { id: '018f3c1e-7b2a-7c11-9d4e-2b1f0a9c77d1', phone: '79161234567', status: '1' };
const statusMd5 = '171f498143031816594defbd908bade8';
const inbound = { phone: '79161234567', mes: 'СТОП', to: '79037676757' };
const inboundMd5 = 'a9c3939cf22c682d3000638102bbc4ac';

t.test('callbacks are believed by the published signatures only', async (t) => {
  const verify = (fields: Record<string, string>) =>
    smscAdapter.verifyCallback(request(fields), config);
  t.same(verify({ ...status, md5: statusMd5 }), { ok: true });
  t.same(verify({ ...status, md5: statusMd5.toUpperCase() }), { ok: true });
  t.same(verify({ ...status, sha1: 'c786e223957bec410e7f3d51d2b67f91b09ce00e' }), { ok: true });
  t.same(verify({ ...inbound, md5: inboundMd5 }), { ok: true });
  const waitcall = { phone: '79161234567', ts: '1700000000', waitcall: '1' };
  t.same(verify({ ...waitcall, md5: '3bff7f19848e948285445c8dfef603b8' }), { ok: true });

  t.same(verify({ ...status, status: '20', md5: statusMd5 }), { ok: false, reason: 'bad' });
  t.same(verify({ ...status, md5: 'short' }), { ok: false, reason: 'bad' });
  t.same(verify(status), { ok: false, reason: 'missing' });
  t.same(verify({ ...status, crc32: '1234' }), { ok: false, reason: 'missing' });
  const open = { ...config, credentials: { apiKey: 'k' } };
  t.same(smscAdapter.verifyCallback(request({ ...status, md5: statusMd5 }), open), {
    ok: false,
    reason: 'not_configured',
  });
});

t.test('a Russian reply is understood in both charsets and forms', async (t) => {
  const cp1251 = Array.from(encodeCp1251('СТОП'), (byte) => `%${byte.toString(16)}`).join('');
  const form = `phone=79161234567&mes=${cp1251}&to=79037676757&md5=${inboundMd5}`;
  const old = { ...request({}, ''), rawBody: Buffer.from(form) };
  const json = {
    ...request({}),
    rawBody: Buffer.from(JSON.stringify({ ...inbound, md5: inboundMd5 })),
  };
  const get = {
    ...request({}, `?charset=utf-8&${new URLSearchParams({ ...inbound, md5: inboundMd5 })}`),
    method: 'GET',
    rawBody: Buffer.alloc(0),
  };
  for (const it of [request({ ...inbound, md5: inboundMd5 }), old, json, get]) {
    t.same(smscAdapter.verifyCallback(it, config), { ok: true });
    t.match(smscAdapter.parseCallback(it, config).events, [
      { type: 'inbound', from: '+79161234567', to: '+79037676757', text: 'СТОП' },
    ]);
  }
});

t.test('a status tells our reference, the number, the cost and the moment', async (t) => {
  const fields = { ...status, status: '20', err: '11', ts: '1700000000', cost: '2.88', md5: 'x' };
  const { events, reply } = smscAdapter.parseCallback(request(fields), config);
  t.match(reply, { status: 200 });
  t.match(events, [
    {
      type: 'status',
      clientRef: status.id,
      address: '+79161234567',
      status: 'failed',
      error: { class: 'recipient_permanent', providerCode: 'err-11' },
      cost: { micros: 2_880_000, currency: 'RUB' },
    },
  ]);
  t.equal(String(events[0]?.occurredAt), '2023-11-14T22:13:20Z');
  const again = smscAdapter.parseCallback(request(fields), config).events[0]?.dedupeKey;
  t.equal(again, events[0]?.dedupeKey);
  const other = smscAdapter.parseCallback(request({ ...fields, err: '12' }), config);
  t.not(other.events[0]?.dedupeKey, again);
  t.same(smscAdapter.parseCallback(request({ ...status, status: '-2' }), config).events, []);
});

t.test('every code of a refusal has its class', async (t) => {
  const classes = {
    1: 'message_permanent',
    2: 'config',
    3: 'config',
    4: 'temporary',
    5: 'message_permanent',
    6: 'message_permanent',
    7: 'recipient_permanent',
    8: 'recipient_permanent',
    9: 'unknown_outcome',
    10: 'unknown_outcome',
  };
  for (const [code, wanted] of Object.entries(classes)) {
    t.equal(refusal(Number(code), 1).class, wanted, `error ${code}`);
  }
  t.match(refusal(9, 1), { retryAfterMs: 60_000 });
  for (const code of [1, 5, 6, 7, 8]) {
    t.match(refusal(code, 2), { class: 'temporary', retryAlone: true }, `error ${code} in a batch`);
  }
  for (const code of [2, 3, 4, 9]) t.notOk(refusal(code, 2).retryAlone, `error ${code} in a batch`);
});

t.test('every cause of a failure has its class', async (t) => {
  const classes: [string, number[]][] = [
    ['recipient_permanent', [1, 11, 12, 13, 21, 248, 249]],
    ['suppressed', [219, 250, 252]],
    ['temporary', [6, 220, 237, 240, 246, 251]],
    ['message_permanent', [238, 247, 253, 255]],
    ['config', [239, 243, 244, 254]],
  ];
  for (const [wanted, causes] of classes) {
    for (const cause of causes) t.equal(failure(20, cause).class, wanted, `cause ${cause}`);
  }
  t.equal(failure(22, 0).class, 'recipient_permanent');
  t.equal(
    failure(25, 200).class,
    'recipient_permanent',
    'an unclear cause leaves it to the status',
  );
  t.equal(failure(24, 0).class, 'config');
  t.equal(failure(23, 0).class, 'message_permanent');
});

t.test('a text of several lines, colons and a Russian name arrives as it was', async (t) => {
  const given = await setup(t);
  const text = 'Анна Ёлкина:\nждём вас 1;2, 5+5=10 & 100% \\ «до» 😀';
  const one = given.message({ content: { text } });
  const two = given.message({ clientRef: one.clientRef, content: { text: `${text}!` } });
  await given.adapter.send(given.prepare(one), given.config, given.context);
  await given.adapter.send(given.prepare(one, two), given.config, given.context);
  t.same(
    given.simulator.messages().map((it) => it.text),
    [text, text, `${text}!`],
  );
  t.same(new Set(given.simulator.messages().map((it) => it.sender)), new Set(['CLINIC']));
});

t.test('a message that would spoil a batch travels alone', async (t) => {
  const given = await setup(t);
  const doubtful = given.prepare(
    given.message({ to: '+123' }),
    given.message({ content: { text: 'x'.repeat(1001) } }),
    given.message({ content: { text: '' } }),
  );
  t.same(
    doubtful.map(({ batchKey }) => batchKey),
    [null, null, null],
  );
  const [odd] = given.prepare(given.message({ content: { text: 'C:\\new' } }));
  t.equal(odd?.batchKey, null);
  if (odd) await given.adapter.send([odd], given.config, given.context);
  t.equal(given.simulator.messages()[0]?.text, 'C:\\new');
});

t.test('what a message cost and its parts are booked', async (t) => {
  const given = await setup(t);
  const long = given.message({ content: { text: 'я'.repeat(100) } });
  const [outcome] = await given.adapter.send(given.prepare(long), given.config, given.context);
  t.match(outcome, { segments: 2, cost: { micros: 2_880_000, currency: 'RUB' } });
  t.match(await given.adapter.health?.(given.config, given.context), {
    ok: true,
    balance: { micros: 999_997_120_000, currency: 'RUB' },
  });
});

t.test('a price is asked without sending', async (t) => {
  const given = await setup(t);
  const two = given.prepare(given.message(), given.message());
  t.same(await given.adapter.quote?.(two, given.config, given.context), {
    micros: 2_880_000,
    currency: 'RUB',
  });
  t.same(given.simulator.messages(), []);
});

t.test('a message must not come after its time', async (t) => {
  const given = await setup(t);
  const inOneHour = systemClock.now().add({ minutes: 61, seconds: 30 });
  const lives: [Temporal.Instant, string][] = [
    [inOneHour, '01:01'],
    [systemClock.now().add({ hours: 300 }), '24:00'],
    [systemClock.now().add({ seconds: 5 }), '00:01'],
  ];
  for (const [expiresAt, valid] of lives) {
    await given.adapter.send(
      given.prepare(given.message({ expiresAt })),
      given.config,
      given.context,
    );
    t.equal(given.simulator.messages().at(-1)?.valid, valid);
  }
  const [early, late] = given.prepare(
    given.message({ expiresAt: systemClock.now().add({ hours: 2 }) }),
    given.message({ expiresAt: systemClock.now().add({ hours: 5 }) }),
  );
  t.not(early?.batchKey, late?.batchKey, 'lives apart travel apart');
});

t.test('one wrong number of a batch harms only itself', async (t) => {
  const given = await setup(t);
  const good = given.message();
  const bad = given.message({ to: '+123', clientRef: good.clientRef });
  const outcomes = await given.adapter.send(given.prepare(good, bad), given.config, given.context);
  t.match(outcomes, [
    { id: good.id, kind: 'accepted' },
    { id: bad.id, kind: 'rejected', error: { class: 'recipient_permanent' } },
  ]);
  t.equal(given.simulator.messages().length, 1);
});

t.test('a batch under several references is a mistake of ours', async (t) => {
  const given = await setup(t);
  const batch = given.prepare(given.message(), given.message());
  await t.rejects(given.adapter.send(batch, given.config, given.context), /one client reference/);
});

t.test('an account without money keeps its messages', async (t) => {
  const given = await setup(t, { balance: 1 });
  const [outcome] = await given.adapter.send(
    given.prepare(given.message()),
    given.config,
    given.context,
  );
  t.match(outcome, {
    kind: 'rejected',
    error: { class: 'config', scope: 'channel', providerCode: 'send-3' },
  });
});

t.test('the twin of a lost call is unknown, not refused, and asking finds the first', async (t) => {
  const given = await setup(t);
  const message = given.message();
  const send = async (): Promise<SendOutcome | undefined> =>
    (await given.adapter.send(given.prepare(message), given.config, given.context))[0];
  given.simulator.faults({ acceptThenDropReply: true, times: 1 });
  t.match(await send(), { kind: 'unknown' });
  t.match(await send(), {
    kind: 'unknown',
    error: { providerCode: 'send-9', retryAfterMs: 60_000 },
  });
  const ref = { ...message, sentAt: systemClock.now() };
  t.match(await given.adapter.reconcile?.([ref], given.config, given.context), [
    { kind: 'accepted', status: 'delivered', providerMessageId: message.clientRef },
  ]);
  t.equal(given.simulator.messages().length, 1);
  given.simulator.advance(61_000);
  t.match(
    await send(),
    { kind: 'accepted' },
    'a minute later the twin is taken: ask, never repeat',
  );
});

t.test('two patients of one reference are told apart by their numbers', async (t) => {
  const given = await setup(t);
  const mother = given.message();
  const son = given.message({ clientRef: mother.clientRef });
  given.simulator.outcome(son.to, 20, 13);
  await given.adapter.send(given.prepare(mother, son), given.config, given.context);
  const refs = [son, mother].map((it) => ({ ...it, sentAt: systemClock.now() }));
  t.match(await given.adapter.reconcile?.(refs, given.config, given.context), [
    { id: son.id, kind: 'accepted', status: 'failed', error: { class: 'recipient_permanent' } },
    { id: mother.id, kind: 'accepted', status: 'delivered' },
  ]);
});

t.test('one bad text makes SMSC.ru refuse a batch, and each goes again alone', async (t) => {
  const given = await setup(t);
  const good = given.message();
  const bad = given.message({ clientRef: good.clientRef, content: { text: 'x'.repeat(1001) } });
  const batch = given.prepare(good, bad);
  t.same(batch[1]?.warnings, ['too-long', 'many-parts']);
  for (const outcome of await given.adapter.send(batch, given.config, given.context)) {
    t.match(outcome, { kind: 'rejected', error: { class: 'temporary', retryAlone: true } });
  }
  t.match(await given.adapter.send(batch.slice(1), given.config, given.context), [
    { kind: 'rejected', error: { class: 'message_permanent' } },
  ]);
  t.match(await given.adapter.send(batch.slice(0, 1), given.config, given.context), [
    { kind: 'accepted' },
  ]);
});

t.test(
  'answers about messages are read in every form, and never for another message',
  async (t) => {
    const given = await setup(t);
    const [one, two] = [given.message(), given.message()];
    const refs = [one, two].map((it) => ({ ...it, sentAt: systemClock.now() }));
    const kindsOf = async (answer: unknown) => {
      const body = Buffer.from(JSON.stringify(answer));
      const http = {
        ...given.context.http,
        request: async () => ({ kind: 'answered', status: 200, headers: {}, body }) as const,
      };
      const context = { ...given.context, http };
      return (await given.adapter.reconcile?.(refs, given.config, context))?.map((outcome) =>
        outcome.kind === 'accepted' ? outcome.status : outcome.kind,
      );
    };
    const named = (message: typeof one, status: number | string) => ({
      id: message.clientRef,
      phone: message.to.slice(1),
      status,
    });
    t.same(await kindsOf([named(two, 1), named(one, -3)]), ['not_found', 'delivered']);
    t.same(await kindsOf([named(two, '0'), named(one, '-1')]), ['queued', 'sent']);
    t.same(
      await kindsOf([{ status: -2 }, { status: 3 }]),
      ['queued', 'failed'],
      'unnamed: in order',
    );
    t.same(await kindsOf([{ status: 1 }]), ['unknown', 'unknown'], 'one for two is nobody’s');
    t.same(await kindsOf([named(two, 1), named(two, 1)]), ['unknown', 'delivered']);
    t.same(await kindsOf([named(one, 99), named(two, '')]), ['unknown', 'unknown']);
    t.same(await kindsOf({ error: 'x', error_code: 2 }), ['unknown', 'unknown']);
    t.same(await kindsOf('nonsense'), ['unknown', 'unknown']);
    t.same(await kindsOf([null, 1]), ['unknown', 'unknown']);
  },
);

t.test('an answer that names another reference or not this number leaves it unknown', async (t) => {
  const given = await setup(t);
  const message = given.message();
  const kindOf = async (answer: object) => {
    const body = Buffer.from(JSON.stringify(answer));
    const http = {
      ...given.context.http,
      request: async () => ({ kind: 'answered', status: 200, headers: {}, body }) as const,
    };
    const context = { ...given.context, http };
    return (await given.adapter.send(given.prepare(message), given.config, context))[0]?.kind;
  };
  const id = message.clientRef;
  t.equal(await kindOf({ id, cnt: 1 }), 'accepted');
  t.equal(await kindOf({ id, cnt: '1', phones: [{ phone: message.to, error: '0' }] }), 'accepted');
  t.equal(await kindOf({ id: 'other', cnt: 1 }), 'unknown');
  t.equal(await kindOf({ id, cnt: 1, phones: [{ phone: '70000000000' }] }), 'unknown');
  t.equal(await kindOf({}), 'unknown');
  t.equal(await kindOf({ error: 'x', error_code: '2' }), 'rejected');
});

t.test('a second question for many within a minute is answered later', async (t) => {
  const given = await setup(t);
  const refs = [given.message(), given.message()].map((it) => ({
    ...it,
    sentAt: systemClock.now(),
  }));
  const ask = async () => given.adapter.reconcile?.(refs, given.config, given.context);
  t.match(await ask(), [{ kind: 'not_found' }, { kind: 'not_found' }]);
  t.match(await ask(), [{ kind: 'unknown' }, { kind: 'unknown', error: { retryAfterMs: 60_000 } }]);
  given.simulator.advance(61_000);
  t.match(await ask(), [{ kind: 'not_found' }, { kind: 'not_found' }]);
});

for (const signature of ['md5', 'sha1'] as const) {
  for (const charset of ['utf-8', 'windows-1251'] as const) {
    for (const fmt of ['form', 'json'] as const) {
      if (fmt === 'json' && charset !== 'utf-8') continue;
      t.test(
        `receipts and replies arrive as ${fmt} in ${charset} under ${signature}`,
        async (t) => {
          const given = await setup(t);
          const receiver = await startReceiver();
          t.teardown(receiver.close);
          given.simulator.callbackTo({
            url: receiver.url,
            secret: 's3cret',
            signature,
            charset,
            fmt,
          });
          const message = given.message();
          await given.adapter.send(given.prepare(message), given.config, given.context);
          given.simulator.reply(message.to, 'Да: приду №1');
          await given.simulator.settled();
          const events = receiver.requests.flatMap((it) => {
            t.same(given.adapter.verifyCallback(it, given.config), { ok: true });
            return given.adapter.parseCallback(it, given.config).events;
          });
          t.match(events, [
            {
              type: 'status',
              clientRef: message.clientRef,
              address: message.to,
              status: 'delivered',
            },
            { type: 'inbound', from: message.to, text: 'Да: приду №1' },
          ]);
        },
      );
    }
  }
}

t.test('callbacks that come twice are one, and forged ones are none', async (t) => {
  const given = await setup(t);
  const receiver = await startReceiver();
  t.teardown(receiver.close);
  given.simulator.callbackTo({ url: receiver.url, secret: 's3cret' });
  given.simulator.faults({ callbackDuplicate: true, callbackReorder: true });
  await given.adapter.send(given.prepare(given.message()), given.config, given.context);
  await given.simulator.settled();
  const keys = receiver.requests.flatMap((it) =>
    given.adapter.parseCallback(it, given.config).events.map(({ dedupeKey }) => dedupeKey),
  );
  t.equal(keys.length, 2);
  t.equal(new Set(keys).size, 1);
  given.simulator.faults({ callbackBadSignature: true });
  await given.adapter.send(given.prepare(given.message()), given.config, given.context);
  await given.simulator.settled();
  const last = receiver.requests.at(-1);
  t.same(last && given.adapter.verifyCallback(last, given.config), { ok: false, reason: 'bad' });
});

t.test('the simulator reads what names no charset as Windows-1251, as SMSC.ru does', async (t) => {
  const simulator = await startSmscSimulator();
  t.teardown(simulator.close);
  const utf8 = new URLSearchParams({ apikey: 'k', phones: '79161234567', mes: 'Привет' });
  await fetch(`${simulator.url}/sys/send.php?${utf8}`);
  t.equal(simulator.messages()[0]?.text, 'РџСЂРёРІРµС‚');
  await fetch(`${simulator.url}/rest/send/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ login: 'l', psw: 'p', phones: '79161234568', mes: 'Привет', id: 7 }),
  });
  t.match(simulator.messages()[1], { text: 'Привет', clientRef: '7' });
});

t.test('the simulator takes ten thousand messages in batches, each once', async (t) => {
  const given = await setup(t);
  let number = 0;
  for (let call = 0; call < 100; call += 1) {
    const first = given.message({ to: `+7916${String(number).padStart(7, '0')}` });
    const batch = Array.from({ length: 100 }, () => {
      number += 1;
      const to = `+7916${String(number).padStart(7, '0')}`;
      return given.message({ to, clientRef: first.clientRef });
    });
    await given.adapter.send(given.prepare(...batch), given.config, given.context);
  }
  t.equal(new Set(given.simulator.messages().map(({ phone }) => phone)).size, 10_000);
  t.equal(given.simulator.messages().length, 10_000);
});
