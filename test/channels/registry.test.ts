import t from 'tap';
import { parsePrice } from '../../src/channels/price.ts';
import { defaultProvider, findAdapter, providersOf } from '../../src/channels/registry.ts';

t.test('a clinic that names no provider gets the default of the channel', async (t) => {
  t.equal(defaultProvider('sms'), 'smsc');
  t.equal(defaultProvider('email'), 'sendgrid');
  t.equal(findAdapter('sms', 'sandbox')?.provider, 'sandbox');
  t.equal(findAdapter('email', 'smsc'), null);
  t.equal(findAdapter('sms', 'nobody'), null);
});

t.test('inbox and task are rows of ours', async (t) => {
  for (const channel of ['inbox', 'task'] as const) {
    t.match(findAdapter(channel, channel), { channel, isLocal: true });
  }
});

t.test(
  "the sandbox stands in for every channel with a provider, and is nobody's default",
  async (t) => {
    for (const channel of ['sms', 'email', 'whatsapp', 'telegram'] as const) {
      t.match(findAdapter(channel, 'sandbox'), { channel });
      t.notOk(providersOf(channel).includes('sandbox'));
    }
  },
);

t.test('prices are read to the millionth', async (t) => {
  const micros = (amount: unknown) => parsePrice(amount, 'RUB')?.micros ?? null;
  t.equal(micros('1.44'), 1_440_000);
  t.equal(micros('0.000001'), 1);
  t.equal(micros(2.5), 2_500_000);
  t.equal(micros('-3,1'), -3_100_000);
  t.equal(micros('100'), 100_000_000);
  t.equal(micros('0'), 0);
  for (const none of ['', 'free', '1e3', '1.2.3', null, undefined, Number.NaN, {}]) {
    t.equal(micros(none), null, String(none));
  }
});
