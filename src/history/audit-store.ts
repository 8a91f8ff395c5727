import type { Trx } from '../database/connect.ts';
import { uuidv7 } from '../uuid.ts';

/** One thing somebody did; ids only, never a patient's data. */
export interface AuditEntry {
  /** `operator`, `key:<id>`, or `system`. */
  actor: string;
  /** Noun and verb, such as `rule.activated`. */
  action: string;
  /** What it was done to: an id of ours or a name. */
  subject: string;
  detail?: Record<string, unknown>;
}

/** Written in the transaction that does the thing, and never changed afterwards. */
export async function recordAudit(
  trx: Trx,
  clinicId: string,
  entry: AuditEntry,
  now: Temporal.Instant,
): Promise<void> {
  await trx
    .insertInto('audit_entries')
    .values({
      clinic_id: clinicId,
      id: uuidv7(now),
      at: now,
      actor: entry.actor,
      action: entry.action,
      subject: entry.subject,
      detail: JSON.stringify(entry.detail ?? {}),
    })
    .execute();
}
