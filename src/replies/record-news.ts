import type { Channel, InboundNews, NormalizedEvent } from '../channels/channel.ts';
import type { Db } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import type { Clinic } from '../history/clinic.ts';
import { recordReceipts } from '../outbox/receipts.ts';
import { type IncomingReply, recordReply } from './record-reply.ts';
import { findMessageOfProvider } from './reply-store.ts';

/**
 * All that a provider tells in one call: reports about messages, and what people answered. Each answer
 * is a transaction of its own, since it locks people first; a call that broke off is told again, and what
 * was recorded of it counts once.
 */
export async function recordNews(
  db: Db,
  clinic: Clinic,
  channel: Channel,
  events: readonly NormalizedEvent[],
  now: Temporal.Instant,
): Promise<void> {
  await withClinic(db, clinic.id, (trx) => recordReceipts(trx, clinic.id, channel, events, now));
  for (const event of events) {
    if (event.type !== 'inbound') continue;
    await withClinic(db, clinic.id, async (trx) => {
      const inReplyTo = event.action?.inReplyTo ?? event.inReplyTo;
      const messageId =
        inReplyTo === undefined
          ? null
          : await findMessageOfProvider(trx, clinic.id, channel, inReplyTo);
      const reply = toReply(channel, event);
      await recordReply(trx, clinic, messageId === null ? reply : { ...reply, messageId }, now);
    });
  }
}

/** A button speaks by its name, which is a word of ours. */
function toReply(channel: Channel, event: NormalizedEvent & InboundNews): IncomingReply {
  const { from, text, action, dedupeKey, occurredAt: receivedAt } = event;
  const said = { channel, text: action?.id ?? text ?? '', dedupeKey, receivedAt };
  return from === '' ? said : { ...said, from };
}
