import { sql } from 'kysely';
import type { Channel } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { EffectiveChannel } from './channel-store.ts';
import type { GuardFacts } from './guard-store.ts';

/** A text that leaves at the last moment of the window arrives after it. */
const marginMs = 300_000;

/**
 * To which of these messages' recipients any text may go, since they wrote lately. Of an address that
 * several persons share nobody knows who wrote, so that an undecided text opens nothing.
 */
export async function findOpenConversations(
  trx: Trx,
  clinicId: string,
  channel: EffectiveChannel | null,
  messages: readonly Pick<GuardFacts, 'id' | 'patientId' | 'address'>[],
  now: Temporal.Instant,
): Promise<Set<string>> {
  const windowMs = channel?.adapter.capabilities(channel.config).freeFormWindowMs;
  if (channel === null || windowMs === undefined || messages.length === 0) return new Set();
  const since = now.subtract({ milliseconds: windowMs - marginMs });
  const patientIds = [...new Set(messages.map(({ patientId }) => patientId))];
  const wrote = await findWriters(trx, clinicId, channel.channel, patientIds, since);
  return new Set(
    messages
      .filter(({ patientId, address }) => wrote.has(`${patientId} ${address}`))
      .map(({ id }) => id),
  );
}

/** What was said on a page behind a link came by another way. */
async function findWriters(
  trx: Trx,
  clinicId: string,
  channel: Channel,
  patientIds: readonly string[],
  since: Temporal.Instant,
): Promise<Set<string>> {
  const { rows } = await sql<{ patient_id: string; address: string }>`
    select distinct patient_id, address from replies
    where clinic_id = ${clinicId} and patient_id = any(${[...patientIds]}::uuid[]) and channel = ${channel}
      and address is not null and received_at > ${since} and not starts_with(dedupe_key, 'link:')`.execute(
    trx,
  );
  return new Set(rows.map((row) => `${row.patient_id} ${row.address}`));
}
