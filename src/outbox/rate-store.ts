import { sql } from 'kysely';
import type { Channel } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { EffectiveChannel } from './channel-store.ts';

/**
 * The rate of a provider's account, kept in the channel's row so that all replicas together hold it:
 * each reserves the instants at which its messages leave. And when recipients were last written to.
 */

/** A reservation goes no further ahead, so that a lease covers the wait. */
const horizonMs = 8_000;
/** Nobody can be asked about these: the fewer are committed ahead of their call, the fewer a crash leaves unknown. */
const blindAheadMs = 1_000;

/** How far ahead of its call a message is committed at most: what waits so long is unknown after a crash. */
export function aheadMs(channel: EffectiveChannel): number {
  return isBlind(channel) ? blindAheadMs : horizonMs;
}

/** Whether nobody can be asked what became of a message. */
export function isBlind({ adapter, config }: EffectiveChannel): boolean {
  const { reconcile } = adapter.capabilities(config);
  return reconcile === 'none' || reconcile === 'callback_only';
}

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
  withinMs = horizonMs,
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

/**
 * When these addresses were called since then, the latest first. Their rows have to be locked: what another
 * replica commits meanwhile is not seen.
 */
export async function findRecentCalls(
  trx: Trx,
  clinicId: string,
  { channel, addresses }: { channel: Channel; addresses: readonly string[] },
  since: Temporal.Instant,
): Promise<Map<string, Temporal.Instant[]>> {
  if (addresses.length === 0) return new Map();
  const { rows } = await sql<{ address: string; started_at: Temporal.Instant }>`
    select m.address, a.started_at from messages m
    join attempts a on a.clinic_id = ${clinicId} and a.message_id = m.id
    where m.clinic_id = ${clinicId} and m.address = any(${[...addresses]}::text[]) and m.channel = ${channel}
      and m.attempt_no > 0 and m.updated_at > ${since} and a.started_at > ${since}
    order by a.started_at desc`.execute(trx);
  const calls = Map.groupBy(rows, ({ address }) => address);
  return new Map([...calls].map(([address, each]) => [address, each.map((row) => row.started_at)]));
}
