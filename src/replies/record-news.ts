import { readActionId } from '../channels/action.ts';
import type { Channel, InboundNews, NormalizedEvent } from '../channels/channel.ts';
import type { Db, Trx } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import type { Clinic } from '../history/clinic.ts';
import { recordReceipts } from '../outbox/receipts.ts';
import { type IncomingReply, recordReply } from './record-reply.ts';
import { findMessageOfProvider, findMessageTo } from './reply-store.ts';

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
      const messageId = await findAnswered(trx, clinic.id, channel, event);
      const reply = toReply(channel, event);
      await recordReply(trx, clinic, messageId === null ? reply : { ...reply, messageId }, now);
    });
  }
}

/** By what the provider says, else by the button's own id, which counts from its recipient alone. */
async function findAnswered(
  trx: Trx,
  clinicId: string,
  channel: Channel,
  { from, action, inReplyTo }: InboundNews,
): Promise<string | null> {
  const answered = action?.inReplyTo ?? inReplyTo;
  const known =
    answered === undefined ? null : await findMessageOfProvider(trx, clinicId, channel, answered);
  const named = action === undefined ? null : readActionId(action.id)?.messageId;
  if (known !== null || !named) return known;
  return findMessageTo(trx, clinicId, { id: named, channel, address: from });
}

/** A button that is none of ours says what it shows. */
function toReply(channel: Channel, event: NormalizedEvent & InboundNews): IncomingReply {
  const { from, text, action, dedupeKey, occurredAt: receivedAt } = event;
  const tapped = action === undefined ? undefined : readActionId(action.id)?.kind;
  const said: IncomingReply = {
    ...{ channel, text: text || (tapped ?? action?.id ?? ''), dedupeKey, receivedAt },
    ...(tapped === undefined ? {} : { tapped }),
  };
  return from === '' ? said : { ...said, from };
}
