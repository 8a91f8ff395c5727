import fc from 'fast-check';
import t from 'tap';
import { checkWebhook, isWebhookSecret, newWebhookSecret, signWebhook } from '../src/signature.ts';

/** From the tests of the specification's own libraries. */
const golden = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  at: Temporal.Instant.fromEpochMilliseconds(1_614_265_330_000),
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};

const call = (headers: Record<string, string>, body = golden.body, receivedAt = golden.at) => ({
  headers,
  body: Buffer.from(body),
  receivedAt,
});

t.test('a call is signed as the specification says', async (t) => {
  t.same(signWebhook(golden, [golden.secret]), {
    'webhook-id': golden.id,
    'webhook-timestamp': '1614265330',
    'webhook-signature': golden.signature,
  });
  t.equal(checkWebhook(call(signWebhook(golden, [golden.secret])), golden.secret), 'ok');
});

t.test('while a secret is rotated both sign, and either is enough', async (t) => {
  const [older, newer] = [newWebhookSecret(), newWebhookSecret()];
  const headers = signWebhook(golden, [newer, older]);
  t.equal(headers['webhook-signature']?.split(' ').length, 2);
  t.equal(checkWebhook(call(headers), older), 'ok');
  t.equal(checkWebhook(call(headers), newer), 'ok');
  t.equal(checkWebhook(call(headers), golden.secret), 'bad');
});

t.test('whatever is changed, the signature no longer holds', async (t) => {
  const headers = signWebhook(golden, [golden.secret]);
  const changes: [string, Record<string, string>, string?][] = [
    ['the body', headers, '{"test": 2432232315}'],
    ['the id', { ...headers, 'webhook-id': 'msg_other' }],
    ['the time', { ...headers, 'webhook-timestamp': '1614265331' }],
    ['the signature', { ...headers, 'webhook-signature': 'v1,AAAA' }],
    ['its version', { ...headers, 'webhook-signature': golden.signature.replace('v1,', 'v2,') }],
    ['a time that is none', { ...headers, 'webhook-timestamp': '1614265330 ' }],
  ];
  for (const [what, changed, body] of changes) {
    t.equal(checkWebhook(call(changed, body), golden.secret), 'bad', what);
  }
  for (const name of Object.keys(headers)) {
    t.equal(checkWebhook(call({ ...headers, [name]: '' }), golden.secret), 'missing', name);
  }
});

t.test('a call is believed for five minutes, in both directions', async (t) => {
  const headers = signWebhook(golden, [golden.secret]);
  const verdict = (seconds: number) =>
    checkWebhook(call(headers, golden.body, golden.at.add({ seconds })), golden.secret);
  t.equal(verdict(300), 'ok');
  t.equal(verdict(-300), 'ok');
  t.equal(verdict(301), 'stale');
  t.equal(verdict(-301), 'stale');
});

t.test(
  'any body that was signed is known again, and nothing that comes breaks the check',
  async (t) => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.uuid(), (text, id) => {
        const body = text.toWellFormed();
        const headers = signWebhook({ id, at: golden.at, body }, [golden.secret]);
        return checkWebhook(call(headers, body), golden.secret) === 'ok';
      }),
    );
    const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature'];
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...names), fc.string()),
        fc.string(),
        (headers, body) => checkWebhook(call(headers, body), golden.secret) !== 'ok',
      ),
    );
    t.pass('the properties hold');
  },
);

t.test('a secret has the form and the length of the specification', async (t) => {
  t.ok(isWebhookSecret(newWebhookSecret()));
  t.not(newWebhookSecret(), newWebhookSecret());
  t.ok(isWebhookSecret(golden.secret));
  const of = (bytes: number) => `whsec_${Buffer.alloc(bytes, 1).toString('base64')}`;
  for (const bytes of [24, 32, 63, 64]) t.ok(isWebhookSecret(of(bytes)), `${bytes} bytes`);
  for (const bytes of [0, 23, 65, 100]) t.notOk(isWebhookSecret(of(bytes)), `${bytes} bytes`);
  for (const wrong of ['', 'secret', `whpk_${'A'.repeat(32)}`, `whsec_${'!'.repeat(32)}`]) {
    t.notOk(isWebhookSecret(wrong), wrong);
  }
});
