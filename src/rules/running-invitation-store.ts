import { sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { invites, isRunning } from '../outbox/invitation-store.ts';

/** The invitation of another rule that a patient is in the middle of; null where there is none. */
export async function findRunningInvitation(
  trx: Trx,
  clinicId: string,
  patientId: string,
  ruleId: string,
): Promise<{ ruleId: string; name: string } | null> {
  const { rows } = await sql<{ ruleId: string; name: string }>`
    select r.id as "ruleId", r.definition ->> 'name' as name
    from journeys i join rules r on r.clinic_id = ${clinicId} and r.id = i.rule_id
    where i.clinic_id = ${clinicId} and i.patient_id = ${patientId} and i.rule_id <> ${ruleId}
      and ${invites()} and ${isRunning(clinicId)}
    order by i.due_at limit 1`.execute(trx);
  return rows[0] ?? null;
}
