import { Type } from 'typebox';
import type { Channel, LocalAdapter } from './channel.ts';

/** A channel that is a table of ours: the outbox writes its row where it records the intent to send. */
export function localAdapter(channel: Channel): LocalAdapter {
  return {
    channel,
    provider: channel,
    isLocal: true,
    credentialsSchema: Type.Object({}, { additionalProperties: false }),
    optionsSchema: Type.Object({}, { additionalProperties: false }),
    capabilities: () => ({
      maxBatch: 1000,
      batchUniqueBy: 'none',
      sharedClientRef: false,
      concurrency: 1,
      idempotency: 'transactional',
      reconcile: 'none',
      deliveryReceipts: 'none',
      inbound: 'none',
      buttons: null,
      scheduling: false,
      cancel: true,
      templates: 'local',
      body: { encoding: 'utf8', maxChars: 10_000 },
      cost: 'none',
      dataRegions: [],
    }),
    prepare: (message) => ({
      ...message,
      segments: 1,
      warnings: [],
      batchKey: 'any',
      wire: null,
    }),
  };
}
