import { Type } from 'typebox';
import type { Channel, OutboundMessage, ProviderAdapter } from './channel.ts';
import { wordSms } from './sms-wording.ts';

/** Takes everything and sends nothing: what a test clinic has instead of a provider. */
export function sandboxAdapter(channel: Channel): ProviderAdapter {
  return {
    channel,
    provider: 'sandbox',
    isLocal: false,
    credentialsSchema: Type.Object({}, { additionalProperties: false }),
    optionsSchema: Type.Object({}, { additionalProperties: false }),
    capabilities: () => ({
      maxBatch: 1000,
      batchUniqueBy: 'none',
      sharedClientRef: false,
      concurrency: 100,
      idempotency: 'provider_key',
      reconcile: 'by_client_ref',
      reconcileTiming: { firstAfterMs: 0, againAfterMs: 0, batchMax: 1000 },
      deliveryReceipts: 'none',
      inbound: 'none',
      buttons: null,
      scheduling: false,
      cancel: false,
      templates: 'local',
      body: { encoding: channel === 'sms' ? 'gsm7_ucs2' : 'utf8', maxChars: 10_000 },
      cost: 'local',
      dataRegions: [],
    }),
    prepare: (message) => ({
      ...message,
      ...(channel === 'sms' ? wordedSms(message) : { segments: 1, warnings: [] }),
      batchKey: 'any',
      wire: null,
    }),
    send: async (batch) => batch.map(taken),
    // What was sent here before a crash came as far as anything ever does.
    reconcile: async (refs) => refs.map(taken),
    verifyCallback: () => ({ ok: false, reason: 'not_configured' }),
    parseCallback: () => ({ events: [] }),
    health: async () => ({ ok: true }),
  };
}

/** As any provider of ours would count it. */
function wordedSms({ content, to }: OutboundMessage) {
  const { encoding, segments, warnings } = wordSms(content.text, to, {});
  return { encoding, segments, warnings };
}

function taken({ id, clientRef }: { id: string; clientRef: string }) {
  const providerMessageId = `sandbox-${clientRef}`;
  return { id, kind: 'accepted', providerMessageId, status: 'delivered', raw: null } as const;
}
