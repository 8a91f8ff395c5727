import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import fc from 'fast-check';
import type { Test } from 'tap';
import { Compile } from 'typebox/compile';
import type {
  AdapterConfig,
  AdapterContext,
  OutboundMessage,
  PreparedMessage,
  ProviderAdapter,
  RawRequest,
  SendOutcome,
} from '../../src/channels/channel.ts';
import { httpClient } from '../../src/channels/http.ts';
import { systemClock } from '../../src/clock.ts';
import { uuidv7 } from '../../src/uuid.ts';
import type { Faults } from '../simulators/control.ts';

/**
 * What every adapter owes the outbox, whatever its provider. A new adapter is one `AdapterUnderTest`
 * and passes or is none.
 */

export interface Stand {
  config: AdapterConfig;
  /**
   * What the provider really took, in order; null: this one keeps nothing. A provider that takes no
   * reference of ours has none to show.
   */
  accepted: (() => { clientRef: string | null; address: string; text: string }[]) | null;
  faults: ((faults: Faults) => void) | null;
  /** Whether `config` with other credentials is refused; null: there are none. */
  wrongConfig: AdapterConfig | null;
  /** The settings with another address to call; `options.baseUrl` unless told. */
  elsewhere?(origin: string): AdapterConfig;
  close(): Promise<void>;
}

export interface AdapterUnderTest {
  adapter: ProviderAdapter;
  /** A recipient for each number. */
  address(number: number): string;
  /** What a message needs beside text and recipient to be taken. */
  overrides?: Partial<OutboundMessage>;
  /** What a fault means where the protocol tells more than HTTP does; null: it cannot happen there. */
  fates?: Partial<Record<keyof Faults, object | null>>;
  start(): Promise<Stand>;
}

export interface Setup extends Stand {
  adapter: ProviderAdapter;
  context: AdapterContext;
  message(overrides?: Partial<OutboundMessage>): OutboundMessage;
  prepare(...messages: OutboundMessage[]): PreparedMessage[];
}

const callMsMax = 5_000;

export async function setup(
  t: Test,
  subject: AdapterUnderTest,
  callMs = callMsMax,
): Promise<Setup> {
  const stand = await subject.start();
  const http = httpClient({ allowPrivate: true });
  t.teardown(async () => {
    await http.close();
    await stand.close();
  });
  const { adapter } = subject;
  let count = 0;
  return {
    ...stand,
    adapter,
    context: contextOf(http, callMs),
    message: (overrides) => {
      count += 1;
      const now = systemClock.now();
      return {
        id: uuidv7(now),
        clientRef: uuidv7(now),
        purpose: 'care',
        to: subject.address(count),
        content: { subject: 'Визит', text: `Анна, ждём вас: ${count}` },
        expiresAt: now.add({ hours: 12 }),
        ...subject.overrides,
        ...overrides,
      };
    },
    prepare: (...messages) => messages.map((message) => adapter.prepare(message, stand.config)),
  };
}

export function contextOf(http: AdapterContext['http'], callMs = callMsMax): AdapterContext {
  const silent = () => {};
  return {
    signal: new AbortController().signal,
    deadline: systemClock.now().add({ milliseconds: callMs }),
    http,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    now: () => systemClock.now(),
  };
}

/** Messages as the outbox makes them for one call: one reference for all where the adapter says so. */
export function batchOf(setup: Setup, size: number): PreparedMessage[] {
  const { sharedClientRef } = setup.adapter.capabilities(setup.config);
  const first = setup.message();
  const rest = Array.from({ length: size - 1 }, () =>
    setup.message(sharedClientRef ? { clientRef: first.clientRef } : {}),
  );
  return setup.prepare(first, ...rest);
}

/** As many calls as the adapter needs for them. */
async function sendAll(
  { adapter, config, context }: Setup,
  batch: readonly PreparedMessage[],
): Promise<SendOutcome[]> {
  const { maxBatch } = adapter.capabilities(config);
  const outcomes: SendOutcome[] = [];
  for (let at = 0; at < batch.length; at += maxBatch) {
    outcomes.push(...(await adapter.send(batch.slice(at, at + maxBatch), config, context)));
  }
  return outcomes;
}

export function testAdapter(t: Test, subject: AdapterUnderTest): void {
  t.test('a message reaches the provider once, whole and under our reference', async (t) => {
    const given = await setup(t, subject);
    const message = given.message();
    const [outcome] = await given.adapter.send(given.prepare(message), given.config, given.context);
    t.match(outcome, { id: message.id, kind: 'accepted', providerMessageId: String });
    if (!given.accepted) return;
    const [taken] = given.accepted();
    t.match(taken, { address: message.to, text: message.content.text });
    if (taken?.clientRef !== null) t.equal(taken?.clientRef, message.clientRef);
    t.equal(given.accepted().length, 1);
  });

  t.test('each of a batch gets an outcome, and each patient their own text', async (t) => {
    const given = await setup(t, subject);
    const { maxBatch } = given.adapter.capabilities(given.config);
    const batch = batchOf(given, Math.min(maxBatch, 50));
    t.equal(new Set(batch.map(({ batchKey }) => batchKey)).size, 1, 'they may share a call');
    const outcomes = await sendAll(given, batch);
    t.same(outcomes.map(({ id }) => id).sort(), batch.map(({ id }) => id).sort());
    t.ok(outcomes.every(({ kind }) => kind === 'accepted'));
    if (!given.accepted) return;
    const accepted = given.accepted();
    const isNamed = accepted.every(({ clientRef }) => clientRef !== null);
    const wanted = batch.map(({ clientRef, to, content }) => [
      isNamed ? clientRef : null,
      to,
      content.text,
    ]);
    const got = accepted.map(({ clientRef, address, text }) => [clientRef, address, text]);
    t.same(got.sort(), wanted.sort());
  });

  t.test('an empty batch makes no call', async (t) => {
    const given = await setup(t, subject);
    t.same(await given.adapter.send([], given.config, given.context), []);
    t.same(given.accepted?.() ?? [], []);
  });

  t.test('preparing is pure', async (t) => {
    const given = await setup(t, subject);
    const message = Object.freeze({
      ...given.message(),
      content: Object.freeze({ text: 'Привет\n😀' }),
    });
    const [first, second] = given.prepare(message, message);
    t.same(first, second);
    t.match(first, message, 'nothing of the message is lost');
    t.ok(first && first.segments >= 1);
  });

  t.test('settings are checked, and every credential is marked as a secret', async (t) => {
    const given = await setup(t, subject);
    const credentials = Compile(given.adapter.credentialsSchema);
    const options = Compile(given.adapter.optionsSchema);
    t.ok(credentials.Check(given.config.credentials));
    t.ok(options.Check(given.config.options));
    t.notOk(credentials.Check({ ...given.config.credentials, smuggled: 'x' }));
    t.notOk(options.Check({ ...given.config.options, smuggled: 'x' }));
  });

  t.test('no outcome repeats an address, a text or a secret', async (t) => {
    const given = await setup(t, subject);
    const message = given.message();
    const secrets = [message.to.replace('+', ''), 'Анна', ...secretsOf(given.config)];
    const faults: Faults[] = [
      {},
      { acceptThenDropReply: true },
      { http5xx: true },
      { garbageBody: true },
    ];
    for (const fault of given.faults ? faults : [{}]) {
      given.faults?.(fault);
      const outcomes = await given.adapter.send(
        given.prepare(message),
        given.config,
        given.context,
      );
      const text = JSON.stringify(outcomes);
      for (const secret of secrets) t.notOk(text.includes(secret), `${JSON.stringify(fault)}`);
    }
  });

  t.test('a provider that nobody can reach took nothing', async (t) => {
    const given = await setup(t, subject);
    if (!given.faults) return;
    const config = elsewhere(given, await closedPort());
    const [outcome] = await given.adapter.send(
      given.prepare(given.message()),
      config,
      given.context,
    );
    t.match(outcome, { kind: 'rejected', error: { class: 'temporary', scope: 'channel' } });
  });

  const fates: [string, Faults, object, number][] = [
    [
      'an answer lost after the message was taken leaves it unknown',
      { acceptThenDropReply: true },
      unknown,
      1,
    ],
    [
      'a connection cut after the first byte leaves it unknown',
      { dropBeforeAccept: true },
      unknown,
      0,
    ],
    ['a failing provider leaves it unknown', { http5xx: true }, unknown, 0],
    [
      'a provider that fails after taking it leaves it unknown',
      { acceptThen5xx: true },
      unknown,
      1,
    ],
    ['an answer that cannot be read leaves it unknown', { garbageBody: true }, unknown, 1],
    [
      'a provider that is asked too much took nothing and says when to come back',
      { http429: true, retryAfterSeconds: 7 },
      { kind: 'rejected', error: { class: 'rate_limited', scope: 'channel', retryAfterMs: 7000 } },
      0,
    ],
    [
      'a provider that is asked too much may not say when to come back',
      { http429: true },
      { kind: 'rejected', error: { class: 'rate_limited', retryAfterMs: undefined } },
      0,
    ],
  ];
  for (const [name, fault, wanted, takenCount] of fates) {
    t.test(`${name}, and nothing is sent twice`, async (t) => {
      const given = await setup(t, subject);
      if (!given.faults || !given.accepted) return;
      const [knob] = Object.keys(fault) as (keyof Faults)[];
      const told = knob && subject.fates?.[knob];
      if (told === null) return;
      given.faults(fault);
      const batch = batchOf(given, 2);
      const outcomes = await sendAll(given, batch);
      t.equal(outcomes.length, 2);
      for (const outcome of outcomes) t.match(outcome, told ?? wanted);
      t.equal(given.accepted().length, takenCount * 2);
    });
  }

  t.test('a provider slower than the deadline leaves it unknown', async (t) => {
    const given = await setup(t, subject, 100);
    if (!given.faults) return;
    given.faults({ latencyMs: 2_000 });
    const [outcome] = await given.adapter.send(
      given.prepare(given.message()),
      given.config,
      given.context,
    );
    t.match(outcome, unknown);
  });

  t.test('a call given up before it began took nothing', async (t) => {
    const given = await setup(t, subject);
    if (!given.faults || !given.accepted) return;
    const context = { ...given.context, signal: AbortSignal.abort() };
    const [outcome] = await given.adapter.send(
      given.prepare(given.message()),
      given.config,
      context,
    );
    t.match(outcome, { kind: 'rejected', error: { class: 'temporary' } });
    t.same(given.accepted(), []);
  });

  t.test('wrong credentials pause the channel instead of failing the message', async (t) => {
    const given = await setup(t, subject);
    if (!given.wrongConfig) return;
    const [outcome] = await given.adapter.send(
      given.prepare(given.message()),
      given.wrongConfig,
      given.context,
    );
    t.match(outcome, { kind: 'rejected', error: { class: 'config', scope: 'channel' } });
    t.match(await given.adapter.health?.(given.wrongConfig, given.context), { ok: false });
  });

  t.test('asking how the account is sends nothing', async (t) => {
    const given = await setup(t, subject);
    t.match(await given.adapter.health?.(given.config, given.context), { ok: true });
    t.same(given.accepted?.() ?? [], []);
  });

  t.test('what became of a lost answer can be asked where the adapter says so', async (t) => {
    const given = await setup(t, subject);
    const { reconcile } = given.adapter.capabilities(given.config);
    const asks = reconcile === 'by_client_ref' || reconcile === 'by_recipient_time';
    t.equal(given.adapter.reconcile !== undefined, asks);
    if (!given.adapter.reconcile || !given.faults) return;
    given.faults({ acceptThenDropReply: true, times: 1 });
    const batch = batchOf(given, 3);
    const sentAt = systemClock.now();
    await sendAll(given, batch);
    const lost = given.message();
    const refs = [...batch, lost].map(({ id, clientRef, to, content: { text } }) => ({
      ...{ id, clientRef, to, text, sentAt },
    }));
    const outcomes = await given.adapter.reconcile(refs, given.config, given.context);
    const kindById = new Map(outcomes.map(({ id, kind }) => [id, kind]));
    for (const { id } of batch) t.equal(kindById.get(id), 'accepted');
    t.equal(kindById.get(lost.id), 'not_found');
  });

  t.test('an answer to that question that does not come leaves it unknown', async (t) => {
    const given = await setup(t, subject);
    if (!given.adapter.reconcile || !given.faults) return;
    const config = elsewhere(given, await closedPort());
    const ref = { ...given.message(), sentAt: systemClock.now() };
    const outcomes = await given.adapter.reconcile([ref], config, given.context);
    t.match(outcomes, [{ id: ref.id, kind: 'unknown' }]);
  });

  t.test('whatever calls us, an adapter neither breaks nor believes it unsigned', async (t) => {
    const given = await setup(t, subject);
    const word = fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom('1', '-3', '79161234567'));
    const names = ['id', 'phone', 'status', 'mes', 'to', 'ts', 'md5', 'sha1', 'event', 'email'];
    const fields = fc.dictionary(fc.constantFrom(...names), fc.oneof(word, fc.jsonValue()));
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fields.map((it) => Buffer.from(JSON.stringify(it))),
      fc.array(fields, { maxLength: 3 }).map((it) => Buffer.from(JSON.stringify(it))),
      fc
        .dictionary(fc.constantFrom(...names), word)
        .map((it) => Buffer.from(new URLSearchParams(it).toString())),
    );
    const headers = fc.dictionary(
      fc.constantFrom(
        'content-type',
        'x-twilio-email-event-webhook-signature',
        'x-twilio-email-event-webhook-timestamp',
        'x-hub-signature-256',
        'x-twilio-signature',
        'x-telegram-bot-api-secret-token',
      ),
      fc.string({ maxLength: 40 }),
    );
    fc.assert(
      fc.property(
        body,
        headers,
        fc.constantFrom('GET', 'POST'),
        word,
        (rawBody, heads, method, query) => {
          const request: RawRequest = {
            method,
            url: `https://clinic.example/v1/callbacks/c1?${encodeURIComponent(query)}`,
            headers: heads,
            rawBody,
            remoteIp: '192.0.2.1',
            receivedAt: systemClock.now(),
          };
          assert.equal(given.adapter.verifyCallback(request, given.config).ok, false);
          assert.ok(Array.isArray(given.adapter.parseCallback(request, given.config).events));
        },
      ),
    );
    t.pass('nothing was thrown');
  });
}

function elsewhere({ config, elsewhere }: Setup, origin: string): AdapterConfig {
  if (elsewhere) return elsewhere(origin);
  return { ...config, options: { ...config.options, baseUrl: origin } };
}

const unknown = { kind: 'unknown', error: { class: 'unknown_outcome' } };

function secretsOf(config: AdapterConfig): string[] {
  return Object.values(config.credentials).filter((value) => typeof value === 'string');
}

/** An address where nobody listens any more. */
async function closedPort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 1}`;
}
