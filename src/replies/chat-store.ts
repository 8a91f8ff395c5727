import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';

export interface ChatOwner {
  /** Who is meant, after merges. */
  id: string;
  linkedChat: string | null;
  language: string | null;
}

/** @returns null for whoever was deleted or erased. */
export async function findChatOwner(
  trx: Trx,
  clinicId: string,
  patientId: string,
): Promise<ChatOwner | null> {
  const { rows } = await sql<ChatOwner>`
    select p.id, p.linked_chat as "linkedChat", p.language
    from patients named
    join patients p on p.clinic_id = ${clinicId} and p.id = coalesce(named.replaced_by, named.id)
    where named.clinic_id = ${clinicId} and named.id = ${patientId}
      and p.deleted_at is null and p.erased_at is null`.execute(trx);
  return rows[0] ?? null;
}

/** The chat is theirs now, in place of another that they linked before; the caller holds both their locks. */
export async function setLinkedChat(
  trx: Trx,
  clinicId: string,
  patientId: string,
  address: string,
  now: Temporal.Instant,
): Promise<void> {
  await sql`
    delete from patient_contact_points c using patients p
    where p.clinic_id = ${clinicId} and p.id = ${patientId}
      and c.clinic_id = ${clinicId} and c.patient_id = p.id and c.address = p.linked_chat
      and not p.telecom @> jsonb_build_array(jsonb_build_object('address', p.linked_chat))`.execute(
    trx,
  );
  await sql`
    update patients set linked_chat = ${address}, telegram_address = ${address}, updated_at = ${now}
    where clinic_id = ${clinicId} and id = ${patientId}`.execute(trx);
  await sql`
    insert into patient_contact_points (clinic_id, patient_id, address)
    values (${clinicId}, ${patientId}, ${address}) on conflict do nothing`.execute(trx);
}
