import { sql } from 'kysely';
import type { Channel } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';

/**
 * The rate of a provider's account, kept in the channel's row so that all replicas together hold it:
 * each reserves the instants at which its messages leave.
 */

/** A reservation goes no further ahead, so that a lease covers the wait. */
const horizonMs = 8_000;

export interface Slots {
  /** How many messages may leave within the horizon. */
  free: number;
  /** How long from now until the first of them may. */
  delayMs: number;
}

/** Locks the account's rate until the transaction ends. `withinMs` is at most the horizon. */
export async function findSlots(
  trx: Trx,
  clinicId: string,
  channel: Channel,
  perSecond: number,
  withinMs: number = horizonMs,
): Promise<Slots> {
  const { rows } = await sql<{ delay_ms: number }>`
    select greatest(0, extract(epoch from next_slot_at - clock_timestamp()) * 1000)::float8 as delay_ms
    from channels where clinic_id = ${clinicId} and channel = ${channel} for no key update`.execute(
    trx,
  );
  const delayMs = rows[0]?.delay_ms ?? 0;
  const free = Math.floor(((withinMs - delayMs) / 1000) * perSecond);
  const isSlow = perSecond * withinMs < 1_000;
  return { free: Math.max(0, isSlow && delayMs === 0 ? 1 : free), delayMs };
}

export async function takeSlots(
  trx: Trx,
  clinicId: string,
  channel: Channel,
  perSecond: number,
  taken: number,
): Promise<void> {
  if (taken === 0) return;
  await sql`
    update channels set next_slot_at = greatest(next_slot_at, clock_timestamp())
      + ${`${Math.ceil((taken * 1000) / perSecond)} ms`}::interval
    where clinic_id = ${clinicId} and channel = ${channel}`.execute(trx);
}
