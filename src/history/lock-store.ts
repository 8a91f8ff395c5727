import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

/**
 * The rows that every write which can remove a reason to send, and every commit of an intent to send,
 * take first: patients, then contact points, each in the order of their keys.
 */
export type LockStrength = 'share' | 'update';

/** `update` does not block foreign keys to the row; `share` lets any number of senders read at once. */
function lockClause(strength: LockStrength) {
  return strength === 'share' ? sql`for share` : sql`for no key update`;
}

export async function lockPatients(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
  strength: LockStrength,
): Promise<void> {
  if (patientIds.length === 0) return;
  await sql`
    select from patients
    where clinic_id = ${clinicId} and id = any(${[...patientIds]}::uuid[])
    order by id ${lockClause(strength)}`.execute(trx);
}

export async function lockAddresses(
  trx: Trx,
  clinicId: string,
  addresses: readonly string[],
  strength: LockStrength,
): Promise<void> {
  if (addresses.length === 0) return;
  await sql`
    select from contact_points
    where clinic_id = ${clinicId} and address = any(${[...addresses]}::text[])
    order by address ${lockClause(strength)}`.execute(trx);
}

export interface LockedPatient {
  id: string;
  /** Who took their place in a merge. */
  replacedBy: string | null;
  /** Whether somebody answers for them. */
  hasGuardian: boolean;
  household: string | null;
}

/**
 * Takes those of the patients' rows that nobody else holds: a sender never waits for a writer, so it may
 * hold messages already.
 */
export async function lockFreePatients(
  trx: Trx,
  clinicId: string,
  patientIds: readonly string[],
): Promise<LockedPatient[]> {
  if (patientIds.length === 0) return [];
  const { rows } = await sql<LockedPatient>`
    select id, replaced_by as "replacedBy", guardian_id is not null as "hasGuardian", household from patients
    where clinic_id = ${clinicId} and id = any(${[...patientIds]}::uuid[])
    for no key update skip locked`.execute(trx);
  return rows;
}

/** Takes those of the contact points' rows that nobody else holds. */
export async function lockFreeAddresses(
  trx: Trx,
  clinicId: string,
  addresses: readonly string[],
): Promise<Set<string>> {
  if (addresses.length === 0) return new Set();
  const { rows } = await sql<{ address: string }>`
    select address from contact_points
    where clinic_id = ${clinicId} and address = any(${[...addresses]}::text[])
    for no key update skip locked`.execute(trx);
  return new Set(rows.map((row) => row.address));
}
