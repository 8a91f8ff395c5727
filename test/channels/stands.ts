import { sendgridAdapter } from '../../src/channels/sendgrid/sendgrid.ts';
import { smscAdapter } from '../../src/channels/smsc/smsc.ts';
import { telegramAdapter } from '../../src/channels/telegram/telegram.ts';
import { twilioAdapter } from '../../src/channels/twilio/twilio.ts';
import { whatsappAdapter } from '../../src/channels/whatsapp/whatsapp.ts';
import {
  type SendgridOptions,
  type SendgridSimulator,
  startSendgridSimulator,
} from '../simulators/sendgrid.ts';
import { type SmscOptions, type SmscSimulator, startSmscSimulator } from '../simulators/smsc.ts';
import {
  startTelegramSimulator,
  type TelegramOptions,
  type TelegramSimulator,
} from '../simulators/telegram.ts';
import {
  startTwilioSimulator,
  type TwilioOptions,
  type TwilioSimulator,
} from '../simulators/twilio.ts';
import {
  startWhatsappSimulator,
  type WhatsappOptions,
  type WhatsappSimulator,
} from '../simulators/whatsapp.ts';
import type { AdapterUnderTest } from './conformance.ts';

/** Our real adapters, each in front of its simulator. */

const callbackUrl = 'https://clinic.example/v1/callbacks/c1';

export function smscUnderTest(
  options: SmscOptions = {},
  onStart: (simulator: SmscSimulator) => void = () => {},
): AdapterUnderTest {
  return {
    adapter: smscAdapter,
    address: (number) => `+7916${String(number).padStart(7, '0')}`,
    start: async () => {
      const simulator = await startSmscSimulator({ apiKey: 'right-key', ...options });
      onStart(simulator);
      const settings = { options: { baseUrl: simulator.url, sender: 'CLINIC' }, callbackUrl };
      return {
        config: { ...settings, credentials: { apiKey: 'right-key', callbackSecret: 's3cret' } },
        accepted: () =>
          simulator.messages().map(({ clientRef, phone, text }) => ({
            clientRef,
            address: `+${phone}`,
            text,
          })),
        faults: simulator.faults,
        wrongConfig: { ...settings, credentials: { apiKey: 'wrong-key' } },
        close: simulator.close,
      };
    },
  };
}

export function sendgridUnderTest(
  options: SendgridOptions = {},
  onStart: (simulator: SendgridSimulator) => void = () => {},
): AdapterUnderTest {
  return {
    adapter: sendgridAdapter,
    address: (number) => `patient${number}@example.com`,
    start: async () => {
      const simulator = await startSendgridSimulator({ apiKey: 'SG.right', ...options });
      onStart(simulator);
      const settings = {
        options: { baseUrl: simulator.url, sender: 'Clinic <clinic@example.org>' },
        callbackUrl,
      };
      const webhookPublicKey = simulator.publicKey;
      return {
        config: { ...settings, credentials: { apiKey: 'SG.right', webhookPublicKey } },
        accepted: () =>
          simulator.messages().map(({ clientRef, to, text }) => ({ clientRef, address: to, text })),
        faults: simulator.faults,
        wrongConfig: { ...settings, credentials: { apiKey: 'SG.wrong', webhookPublicKey } },
        close: simulator.close,
      };
    },
  };
}

export function whatsappUnderTest(
  options: WhatsappOptions = {},
  onStart: (simulator: WhatsappSimulator) => void = () => {},
): AdapterUnderTest {
  return {
    adapter: whatsappAdapter,
    address: (number) => `+55119${String(80_000_000 + number)}`,
    overrides: { mayWriteFreely: true },
    start: async () => {
      const account = {
        accessToken: 'EAAright',
        phoneNumberId: '106540352242922',
        appSecret: 'app-secret',
      };
      const simulator = await startWhatsappSimulator({ ...account, ...options });
      onStart(simulator);
      const settings = { options: { baseUrl: simulator.url }, callbackUrl };
      const credentials = { ...account, verifyToken: 'verify-me' };
      return {
        config: { ...settings, credentials },
        accepted: () =>
          simulator.messages().map(({ clientRef, to, text }) => ({ clientRef, address: to, text })),
        faults: simulator.faults,
        wrongConfig: { ...settings, credentials: { ...credentials, accessToken: 'EAAwrong' } },
        close: simulator.close,
      };
    },
  };
}

export function telegramUnderTest(
  options: TelegramOptions = {},
  onStart: (simulator: TelegramSimulator) => void = () => {},
): AdapterUnderTest {
  return {
    adapter: telegramAdapter,
    address: (number) => `telegram:${700_000_000 + number}`,
    start: async () => {
      const account = { botToken: '1234567:AAright', secretToken: 'se-cret' };
      const simulator = await startTelegramSimulator({ ...account, ...options });
      onStart(simulator);
      const settings = { options: { baseUrl: simulator.url }, callbackUrl };
      return {
        config: { ...settings, credentials: account },
        accepted: () =>
          simulator.messages().map(({ chatId, text }) => ({
            ...{ clientRef: null, address: `telegram:${chatId}`, text },
          })),
        faults: simulator.faults,
        wrongConfig: { ...settings, credentials: { ...account, botToken: '1234567:AAwrong' } },
        close: simulator.close,
      };
    },
  };
}

export function twilioUnderTest(
  channel: 'sms' | 'whatsapp',
  { callbackUrl: url = callbackUrl, ...options }: TwilioOptions & { callbackUrl?: string } = {},
  onStart: (simulator: TwilioSimulator) => void = () => {},
): AdapterUnderTest {
  return {
    adapter: twilioAdapter(channel),
    address: (number) => `+55119${String(80_000_000 + number)}`,
    ...(channel === 'whatsapp' ? { overrides: { mayWriteFreely: true } } : {}),
    start: async () => {
      const account = { accountSid: `AC${'12ab'.repeat(8)}`, authToken: 'right-token' };
      const simulator = await startTwilioSimulator({ ...account, ...options });
      onStart(simulator);
      const settings = {
        options: { baseUrl: simulator.url, sender: '+15005550006' },
        callbackUrl: url,
      };
      return {
        config: { ...settings, credentials: account },
        accepted: () =>
          simulator.messages().map(({ clientRef, to, body }) => ({
            ...{ clientRef, address: to.replace('whatsapp:', ''), text: body },
          })),
        faults: simulator.faults,
        wrongConfig: { ...settings, credentials: { ...account, authToken: 'wrong-token' } },
        close: simulator.close,
      };
    },
  };
}
