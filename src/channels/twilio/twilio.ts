import { textOf } from '../call.ts';
import type { AdapterCapabilities, AdapterContext, ProviderAdapter } from '../channel.ts';
import { parsePrice } from '../price.ts';
import { callTwilio } from './call.ts';
import { parseCallback, verifyCallback } from './callback.ts';
import { type TwilioConfig, twilioCredentials, twilioOptions } from './config.ts';
import { reconcile } from './reconcile.ts';
import { charactersMax, prepareSms, prepareWhatsapp, send, type TwilioChannel } from './send.ts';

/**
 * Twilio's Messages API, for SMS and for WhatsApp. It has no idempotency key; our reference travels in the
 * address of the status callback, and a message can be looked for by recipient, time and text.
 */

const questionsMax = 20;
const windowMs = 86_400_000;

const common = {
  maxBatch: 1,
  batchUniqueBy: 'none',
  sharedClientRef: false,
  concurrency: 20,
  idempotency: 'none',
  reconcile: 'by_recipient_time',
  reconcileTiming: { firstAfterMs: 90_000, againAfterMs: 300_000, batchMax: questionsMax },
  deliveryReceipts: 'push',
  inbound: 'push',
  buttons: null,
  scheduling: true,
  cancel: false,
  cost: 'none',
  dataRegions: ['US'],
} as const;

const capabilities: Readonly<Record<TwilioChannel, AdapterCapabilities>> = {
  sms: {
    ...common,
    templates: 'local',
    body: { encoding: 'gsm7_ucs2', maxChars: charactersMax },
  },
  whatsapp: {
    ...common,
    rate: [{ points: 10, perMs: 1_000, scope: 'channel' }],
    templates: 'provider_approved',
    freeFormWindowMs: windowMs,
    body: { encoding: 'utf8', maxChars: charactersMax },
  },
};

export function twilioAdapter(channel: TwilioChannel): ProviderAdapter<TwilioConfig> {
  return {
    channel,
    provider: 'twilio',
    isLocal: false,
    credentialsSchema: twilioCredentials,
    optionsSchema: twilioOptions,
    capabilities: () => capabilities[channel],
    prepare: channel === 'sms' ? prepareSms : prepareWhatsapp,
    send: (batch, config, context) => send(channel, batch, config, context),
    reconcile: (refs, config, context) => reconcile(channel, refs, config, context),
    health,
    verifyCallback,
    parseCallback,
  };
}

async function health(config: TwilioConfig, context: AdapterContext) {
  const answer = await callTwilio('/Balance.json', null, config, context);
  if ('error' in answer) return { ok: false, detail: answer.error.message };
  const balance = parsePrice(answer.fields.balance, textOf(answer.fields.currency));
  return balance === null ? { ok: true } : { ok: true, balance };
}
