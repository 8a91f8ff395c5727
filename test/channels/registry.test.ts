import t from 'tap';
import { channelNames } from '../../src/channels/channel.ts';
import { parsePrice } from '../../src/channels/price.ts';
import { defaultProvider, findAdapter, servingAdapter } from '../../src/channels/registry.ts';

t.test('a clinic that names no provider gets the default of the channel', async (t) => {
  t.equal(defaultProvider('sms'), 'smsc');
  t.equal(defaultProvider('email'), 'sendgrid');
  t.equal(servingAdapter({ mode: 'live' }, 'sms', null)?.provider, 'smsc');
  t.equal(servingAdapter({ mode: 'live' }, 'email', 'sendgrid')?.provider, 'sendgrid');
  t.equal(servingAdapter({ mode: 'live' }, 'sms', 'sandbox')?.provider, 'sandbox');
  t.equal(servingAdapter({ mode: 'live' }, 'email', 'smsc'), null);
  t.equal(findAdapter('sms', 'nobody'), null);
});

t.test('a test clinic reaches no provider, whatever it has set', async (t) => {
  for (const channel of ['sms', 'email', 'whatsapp', 'telegram'] as const) {
    for (const provider of [null, 'smsc', 'sendgrid', 'nobody']) {
      t.equal(servingAdapter({ mode: 'test' }, channel, provider)?.provider, 'sandbox');
    }
  }
});

t.test('inbox and task are rows of ours in every clinic', async (t) => {
  for (const mode of ['live', 'test'] as const) {
    for (const channel of ['inbox', 'task'] as const) {
      t.match(servingAdapter({ mode }, channel, null), { channel, isLocal: true });
    }
  }
});

t.test('no adapter serves another channel than its own', async (t) => {
  for (const channel of channelNames) {
    const adapter = servingAdapter({ mode: 'live' }, channel, null);
    if (adapter) t.equal(adapter.channel, channel);
  }
});

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
