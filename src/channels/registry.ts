import type { Channel, ChannelAdapter } from './channel.ts';
import { inboxAdapter } from './inbox.ts';
import { sandboxAdapter } from './sandbox.ts';
import { sendgridAdapter } from './sendgrid/sendgrid.ts';
import { smscAdapter } from './smsc/smsc.ts';
import { smtpAdapter } from './smtp/smtp.ts';
import { taskAdapter } from './task.ts';
import { telegramAdapter } from './telegram/telegram.ts';
import { twilioAdapter } from './twilio/twilio.ts';
import { webhookAdapter } from './webhook/webhook.ts';
import { whatsappAdapter } from './whatsapp/whatsapp.ts';

/** All ways to a patient. A new one is a file and a line here; a channel's first is its default. */
const adapters: readonly ChannelAdapter[] = [
  smscAdapter,
  sendgridAdapter,
  smtpAdapter,
  whatsappAdapter,
  telegramAdapter,
  twilioAdapter('sms'),
  twilioAdapter('whatsapp'),
  webhookAdapter,
  inboxAdapter,
  taskAdapter,
  sandboxAdapter('sms'),
  sandboxAdapter('email'),
  sandboxAdapter('whatsapp'),
  sandboxAdapter('telegram'),
];

const sandbox = 'sandbox';

export function findAdapter(channel: Channel, provider: string): ChannelAdapter | null {
  return adapters.find((it) => it.channel === channel && it.provider === provider) ?? null;
}

/** The channel's providers, the default first, without the sandbox. */
export function providersOf(channel: Channel): string[] {
  return adapters
    .filter((it) => it.channel === channel && it.provider !== sandbox)
    .map(({ provider }) => provider);
}

export function defaultProvider(channel: Channel): string | null {
  return providersOf(channel)[0] ?? null;
}
