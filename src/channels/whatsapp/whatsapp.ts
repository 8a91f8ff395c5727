import type { AdapterContext, ProviderAdapter } from '../channel.ts';
import { callMeta } from './call.ts';
import { handshake, parseCallback, verifyCallback } from './callback.ts';
import { type WhatsappConfig, whatsappCredentials, whatsappOptions } from './config.ts';
import { buttonsMax, charactersMax, prepare, send } from './send.ts';

/**
 * WhatsApp by Meta's Cloud API. It has no idempotency key and tells nothing if asked, but each status
 * brings our reference back: what is unknown waits for that.
 */

const windowMs = 86_400_000;
const statusWaitMs = 15 * 60_000;

export const whatsappAdapter: ProviderAdapter<WhatsappConfig> = {
  channel: 'whatsapp',
  provider: 'whatsapp',
  isLocal: false,
  credentialsSchema: whatsappCredentials,
  optionsSchema: whatsappOptions,
  capabilities: () => ({
    maxBatch: 1,
    batchUniqueBy: 'none',
    sharedClientRef: false,
    concurrency: 20,
    rate: [
      { points: 80, perMs: 1_000, scope: 'channel' },
      { points: 1, perMs: 6_000, scope: 'recipient' },
    ],
    idempotency: 'none',
    reconcile: 'callback_only',
    reconcileTiming: { firstAfterMs: statusWaitMs, againAfterMs: statusWaitMs, batchMax: 100 },
    deliveryReceipts: 'push',
    inbound: 'push',
    buttons: { max: buttonsMax, payloadBytes: 128 },
    scheduling: false,
    cancel: false,
    templates: 'provider_approved',
    freeFormWindowMs: windowMs,
    body: { encoding: 'utf8', maxChars: charactersMax },
    cost: 'none',
    dataRegions: ['US'],
  }),
  prepare,
  send,
  health,
  handshake,
  verifyCallback,
  parseCallback,
};

async function health(config: WhatsappConfig, context: AdapterContext) {
  const answer = await callMeta('?fields=id', null, config, context);
  return 'error' in answer ? { ok: false, detail: answer.error.message } : { ok: true };
}
