import type { Trx } from '../database/connect.ts';
import { AppError } from '../errors.ts';
import { callPlanner } from './call-planner.ts';
import { findMessage, type MessageView } from './message-list-store.ts';
import { findConcerned, withdrawMessages } from './message-store.ts';

/**
 * Takes a message back that has not left. One that may be on the wire is marked, so that no further
 * attempt is made.
 * @returns null where there is none.
 * @throws AppError `conflict` for one that has left or ended.
 */
export async function cancelMessage(
  trx: Trx,
  clinicId: string,
  messageId: string,
  now: Temporal.Instant,
): Promise<MessageView | null> {
  const end = { state: 'cancelled', reason: 'cancelled' } as const;
  const { withdrawn, inFlight } = await withdrawMessages(
    trx,
    clinicId,
    { messageIds: [messageId] },
    end,
    now,
  );
  const message = await findMessage(trx, clinicId, messageId);
  if (message === null) return null;
  if (withdrawn.concat(inFlight).length === 0 && message.state !== 'cancelled')
    throw new AppError('conflict', `The message is ${message.state} and cannot be taken back.`);
  const { attempts, receipts, ...view } = message;
  await callPlanner(trx, clinicId, await findConcerned(trx, clinicId, withdrawn), now);
  return view;
}
