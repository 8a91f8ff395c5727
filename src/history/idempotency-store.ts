import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

/** Which request a key was used for: another route or another key of the clinic is another one. */
export interface IdempotencyRef {
  keyId: string;
  route: string;
  key: string;
}

export type Claim =
  | { kind: 'first' }
  | { kind: 'in-flight' }
  | { kind: 'other-request' }
  | { kind: 'answered'; status: number; answer: Uint8Array };

/**
 * Takes the key for one request. One that a process left behind without an answer may be taken again
 * after `abandonedAfterMs`, one older than `keptDays` for any other request. By the database's own clock: a test clinic's does not age requests.
 */
export async function claimIdempotencyKey(
  trx: Trx,
  clinicId: string,
  ref: IdempotencyRef,
  requestHash: Uint8Array,
  terms: { abandonedAfterMs: number; keptDays: number },
): Promise<Claim> {
  const claimed = await sql`
    insert into idempotency_keys as k (clinic_id, key_id, route, key, request_hash, created_at)
    values (${clinicId}, ${ref.keyId}, ${ref.route}, ${ref.key}, ${requestHash}, clock_timestamp())
    on conflict (clinic_id, key_id, route, key) do update set
      created_at = excluded.created_at, request_hash = excluded.request_hash, status = null, answer = null
    where (k.answer is null and k.request_hash = excluded.request_hash
        and k.created_at < excluded.created_at - make_interval(secs => ${terms.abandonedAfterMs / 1000}::double precision))
      or k.created_at < excluded.created_at - make_interval(days => ${terms.keptDays})
    returning 1`.execute(trx);
  if (claimed.rows.length > 0) return { kind: 'first' };
  return readClaim(trx, clinicId, ref, requestHash);
}

async function readClaim(
  trx: Trx,
  clinicId: string,
  ref: IdempotencyRef,
  requestHash: Uint8Array,
): Promise<Claim> {
  const row = await trx
    .selectFrom('idempotency_keys')
    .select(['request_hash', 'status', 'answer'])
    .where('clinic_id', '=', clinicId)
    .where('key_id', '=', ref.keyId)
    .where('route', '=', ref.route)
    .where('key', '=', ref.key)
    .executeTakeFirst();
  if (!row) return { kind: 'in-flight' };
  if (Buffer.compare(row.request_hash, requestHash) !== 0) return { kind: 'other-request' };
  if (row.status === null || row.answer === null) return { kind: 'in-flight' };
  return { kind: 'answered', status: row.status, answer: row.answer };
}

export async function storeIdempotentAnswer(
  trx: Trx,
  clinicId: string,
  ref: IdempotencyRef,
  answer: { status: number; sealed: Uint8Array },
): Promise<void> {
  await trx
    .updateTable('idempotency_keys')
    .set({ status: answer.status, answer: answer.sealed })
    .where('clinic_id', '=', clinicId)
    .where('key_id', '=', ref.keyId)
    .where('route', '=', ref.route)
    .where('key', '=', ref.key)
    .execute();
}

/** After a request that did nothing, so that it may be tried again under the same key. */
export async function releaseIdempotencyKey(
  trx: Trx,
  clinicId: string,
  ref: IdempotencyRef,
): Promise<void> {
  await trx
    .deleteFrom('idempotency_keys')
    .where('clinic_id', '=', clinicId)
    .where('key_id', '=', ref.keyId)
    .where('route', '=', ref.route)
    .where('key', '=', ref.key)
    .execute();
}

/** @returns how many were forgotten, `limit` at most. */
export async function forgetIdempotencyKeys(
  trx: Trx,
  clinicId: string,
  keptDays: number,
  limit: number,
): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from idempotency_keys where clinic_id = ${clinicId} and (key_id, route, key) in (
      select key_id, route, key from idempotency_keys
      where clinic_id = ${clinicId} and created_at < clock_timestamp() - make_interval(days => ${keptDays})
      order by created_at limit ${limit})`.execute(trx);
  return Number(numAffectedRows ?? 0n);
}
