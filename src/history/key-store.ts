import { sql } from 'kysely';
import type { Db, Trx } from '../database/connect.ts';
import { uuidv7 } from '../uuid.ts';
import type { Clinic } from './clinic.ts';
import { mintKey, type Scope } from './key.ts';

export interface StoredKey {
  id: string;
  name: string;
  source: string;
  scopes: Scope[];
  /** How the key begins, to tell it from others. */
  prefix: string;
  createdAt: Temporal.Instant;
  revokedAt: Temporal.Instant | null;
}

export interface KeyOwner {
  clinicId: string;
  keyId: string;
}

/** @returns the key itself, which cannot be read again. */
export async function createKey(
  trx: Trx,
  clinic: Pick<Clinic, 'id' | 'mode'>,
  wish: { name: string; source: string; scopes: readonly Scope[] },
  now: Temporal.Instant,
): Promise<StoredKey & { key: string }> {
  const minted = mintKey(clinic.mode);
  const id = uuidv7(now);
  await trx
    .insertInto('keys')
    .values({
      clinic_id: clinic.id,
      id,
      name: wish.name,
      source: wish.source,
      scopes: [...wish.scopes],
      prefix: minted.prefix,
      created_at: now,
    })
    .execute();
  await trx
    .insertInto('key_index')
    .values({ hash: minted.hash, clinic_id: clinic.id, key_id: id })
    .execute();
  const { name, source } = wish;
  return {
    id,
    name,
    source,
    scopes: [...wish.scopes],
    prefix: minted.prefix,
    createdAt: now,
    revokedAt: null,
    key: minted.key,
  };
}

/** Whose key has this hash; the one question asked before the clinic is known. */
export async function findKeyOwner(db: Db, hash: Uint8Array): Promise<KeyOwner | null> {
  const row = await db
    .selectFrom('key_index')
    .select(['clinic_id', 'key_id'])
    .where('hash', '=', hash)
    .executeTakeFirst();
  return row ? { clinicId: row.clinic_id, keyId: row.key_id } : null;
}

export async function findKey(trx: Trx, clinicId: string, id: string): Promise<StoredKey | null> {
  const row = await selectKeys(trx, clinicId).where('id', '=', id).executeTakeFirst();
  return row ? toKey(row) : null;
}

/** A page of keys by id, so by age; revoked ones too. */
export async function listKeys(
  trx: Trx,
  clinicId: string,
  page: { afterId: string | null; limit: number },
): Promise<StoredKey[]> {
  const rows = await selectKeys(trx, clinicId)
    .$if(page.afterId !== null, (query) => query.where('id', '>', page.afterId ?? ''))
    .orderBy('id')
    .limit(page.limit)
    .execute();
  return rows.map(toKey);
}

/** @returns false when there is no such key; a revoked one stays revoked since its first time. */
export async function revokeKey(
  trx: Trx,
  clinicId: string,
  id: string,
  now: Temporal.Instant,
): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    with revoked as (
      update keys set revoked_at = coalesce(revoked_at, ${now})
      where clinic_id = ${clinicId} and id = ${id} returning id
    ), forgotten as (
      delete from key_index where clinic_id = ${clinicId} and key_id = ${id}
    )
    select id from revoked`.execute(trx);
  return rows.length > 0;
}

function selectKeys(trx: Trx, clinicId: string) {
  return trx
    .selectFrom('keys')
    .select(['id', 'name', 'source', 'scopes', 'prefix', 'created_at', 'revoked_at'])
    .where('clinic_id', '=', clinicId);
}

type KeyRow = Awaited<ReturnType<ReturnType<typeof selectKeys>['execute']>>[number];

function toKey(row: KeyRow): StoredKey {
  return {
    id: row.id,
    name: row.name,
    source: row.source,
    // Only `createKey` writes them.
    scopes: row.scopes as Scope[],
    prefix: row.prefix,
    createdAt: row.created_at,
    revokedAt: row.revoked_at,
  };
}
