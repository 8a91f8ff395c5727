import type { Channel, NormalizedEvent } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { recordReceipts } from '../outbox/receipts.ts';
import { recordReply } from './record-reply.ts';

/** All that a provider tells in one call: reports about messages, and what people answered. */
export async function recordNews(
  trx: Trx,
  clinic: Clinic,
  channel: Channel,
  events: readonly NormalizedEvent[],
  now: Temporal.Instant,
): Promise<void> {
  await recordReceipts(trx, clinic.id, channel, events, now);
  for (const event of events) {
    if (event.type !== 'inbound') continue;
    const reply = {
      channel,
      from: event.from,
      text: event.text ?? event.action?.id ?? '',
      dedupeKey: event.dedupeKey,
      receivedAt: event.occurredAt,
    };
    await recordReply(trx, clinic, reply, now);
  }
}
