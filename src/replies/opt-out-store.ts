import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import {
  liftOptOut,
  liftOptOutsOfAddress,
  listOptOuts,
  recordOptOut,
} from '../history/consent-store.ts';
import { lockAddresses, lockPatients } from '../history/lock-store.ts';
import { tellOptOut } from '../history/opt-out-news-store.ts';

/** What patients stop and start by themselves. */

export type Whom = { patientId: string } | { address: string };

/**
 * Stops care and marketing on all channels. Who says it again renews it: it then also beats a consent
 * that was proved meanwhile.
 */
export async function stopAll(
  trx: Trx,
  clinicId: string,
  whom: Whom,
  origin: 'reply' | 'link',
  now: Temporal.Instant,
): Promise<void> {
  const patientId = 'patientId' in whom ? whom.patientId : null;
  const address = 'address' in whom ? whom.address : null;
  if (patientId !== null) await lockPatients(trx, clinicId, [patientId], 'update');
  if (address !== null) await lockAddresses(trx, clinicId, [address], 'update');
  const { rows: renewed } = await sql<{ id: string }>`
    update opt_outs set created_at = ${now}
    where clinic_id = ${clinicId} and lifted_at is null and channel is null and purpose is null and origin = ${origin}
      and patient_id is not distinct from ${patientId}::uuid and address is not distinct from ${address}::text
    returning id`.execute(trx);
  if (renewed.length === 0) await recordOptOut(trx, clinicId, { ...whom, origin }, now);
  for (const { id } of renewed) await tellOptOut(trx, clinicId, id, now);
}

/**
 * Lifts what an address had stopped on that channel; with `ownerId`, whose address it is alone, what that
 * person had stopped too.
 */
export async function startAgain(
  trx: Trx,
  clinicId: string,
  from: { address: string | null; channel: ChannelName; ownerId: string | null },
  now: Temporal.Instant,
): Promise<void> {
  const { address, channel, ownerId } = from;
  if (address !== null) await liftOptOutsOfAddress(trx, clinicId, address, channel, now);
  if (ownerId === null) return;
  const own = (await listOptOuts(trx, clinicId, ownerId)).filter(
    (optOut) =>
      optOut.patientId === ownerId && (optOut.channel === null || optOut.channel === channel),
  );
  for (const { id } of own) await liftOptOut(trx, clinicId, id, 'reply', now);
}
