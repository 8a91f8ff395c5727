import type { Db } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import { AppError } from '../errors.ts';
import { findClinic } from '../history/clinic-store.ts';
import { type Caller, hashKey, isKey } from '../history/key.ts';
import { findKey, findKeyOwner } from '../history/key-store.ts';

/** Whose a key is, remembered for some seconds so that not every request asks the database. */

/** How long a revoked key, or a setting changed by another process, may still be believed. */
const believedMs = 4_000;
const cachedKeysMax = 10_000;

export interface Callers {
  /** @throws AppError a 401 for a key that is unknown or revoked. */
  find(key: string): Promise<Caller>;
  peek(key: string): Caller | null;
  /** After a change of keys or settings: the database is asked anew. */
  forget(clinicId: string): void;
}

export function createCallers(db: Db): Callers {
  const known = new Map<string, { caller: Caller; until: number }>();
  const peek = (key: string) => {
    const entry = known.get(key);
    return entry && entry.until > performance.now() ? entry.caller : null;
  };
  return {
    peek,
    forget: (clinicId) => {
      for (const [key, { caller }] of known) if (caller.clinicId === clinicId) known.delete(key);
    },
    find: async (key) => {
      const cached = peek(key);
      // A test clinic's clock moves with each call, so that it is always read anew.
      if (cached && cached.clinic.mode === 'live') return cached;
      const caller = isKey(key) ? await readCaller(db, hashKey(key)) : null;
      if (caller === null) {
        known.delete(key);
        throw unauthorized();
      }
      if (known.size >= cachedKeysMax) known.clear();
      known.set(key, { caller, until: performance.now() + believedMs });
      return caller;
    },
  };
}

async function readCaller(db: Db, hash: Uint8Array): Promise<Caller | null> {
  const owner = await findKeyOwner(db, hash);
  if (owner === null) return null;
  return withClinic(db, owner.clinicId, async (trx) => {
    const key = await findKey(trx, owner.clinicId, owner.keyId);
    const clinic = await findClinic(trx, owner.clinicId);
    if (key === null || clinic === null || key.revokedAt !== null) return null;
    return { clinicId: clinic.id, keyId: key.id, source: key.source, scopes: key.scopes, clinic };
  });
}

export function unauthorized(): AppError {
  return new AppError('unauthorized', 'Give a valid key as "Authorization: Bearer <key>".');
}
