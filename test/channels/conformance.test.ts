import t from 'tap';
import { sandboxAdapter } from '../../src/channels/sandbox.ts';
import { testAdapter } from './conformance.ts';
import {
  sendgridUnderTest,
  smscUnderTest,
  telegramUnderTest,
  twilioUnderTest,
  whatsappUnderTest,
} from './stands.ts';

t.test('SMSC.ru', (t) => {
  testAdapter(t, smscUnderTest());
  t.end();
});

t.test('SendGrid', (t) => {
  testAdapter(t, sendgridUnderTest());
  t.end();
});

t.test('WhatsApp', (t) => {
  testAdapter(t, whatsappUnderTest());
  t.end();
});

t.test('Telegram', (t) => {
  testAdapter(t, telegramUnderTest());
  t.end();
});

for (const channel of ['sms', 'whatsapp'] as const) {
  t.test(`Twilio for ${channel}`, (t) => {
    testAdapter(t, twilioUnderTest(channel));
    t.end();
  });
}

t.test('the sandbox', (t) => {
  testAdapter(t, {
    adapter: sandboxAdapter('sms'),
    address: (number) => `+7916${String(number).padStart(7, '0')}`,
    start: async () => ({
      config: {
        credentials: {},
        options: {},
        callbackUrl: 'https://clinic.example/v1/callbacks/c1',
      },
      accepted: null,
      faults: null,
      wrongConfig: null,
      close: async () => {},
    }),
  });
  t.end();
});
