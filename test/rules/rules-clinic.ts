/** A clinic whose rules are planned at the instants a test names. */
import { sql } from 'kysely';
import type { Test } from 'tap';
import { findAdapter } from '../../src/channels/registry.ts';
import type { Db } from '../../src/database/connect.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { type PlanDeps, type PlanResult, planClinic } from '../../src/rules/plan.ts';
import { createSecrets } from '../../src/secrets.ts';
import { type ClinicWish, makeClinic } from '../support/factory.ts';
import { testDatabase } from '../support/postgres.ts';

export interface SeenMessage {
  patientId: string;
  channel: string;
  step: number;
  occurrence: string;
  state: string;
  reason: string | null;
  scheduledAt: string;
}

export interface RulesClinic {
  db: Db;
  id: string;
  deps: PlanDeps;
  plan(now: string): Promise<PlanResult>;
  /** By patient, occurrence and step. */
  messages(): Promise<SeenMessage[]>;
  journeys(): Promise<
    { patientId: string; occurrence: string; state: string; reason: string | null; dueAt: string }[]
  >;
  /** As if every message due by then had left, at its time. */
  send(until: string): Promise<void>;
}

export async function rulesClinic(
  t: Pick<Test, 'teardown'>,
  wish: ClinicWish = {},
): Promise<RulesClinic> {
  const { db } = await testDatabase(t);
  return clinicIn(db, wish);
}

export async function clinicIn(db: Db, wish: ClinicWish = {}): Promise<RulesClinic> {
  const id = await makeClinic(db, wish);
  const deps: PlanDeps = {
    db,
    secrets: createSecrets(new Uint8Array(32)),
    publicUrl: 'https://retorno.test',
    findAdapter,
  };
  return {
    db,
    id,
    deps,
    plan: (now) => planClinic(deps, id, Temporal.Instant.from(now)),
    messages: () =>
      withClinic(db, id, async (trx) => {
        const { rows } = await sql<SeenMessage>`
          select patient_id as "patientId", channel, step, occurrence, state, reason, scheduled_at as "scheduledAt"
          from messages where clinic_id = ${id} order by patient_id, occurrence, step, channel`.execute(
          trx,
        );
        return rows.map((row) => ({ ...row, scheduledAt: String(row.scheduledAt) }));
      }),
    journeys: () =>
      withClinic(db, id, async (trx) => {
        const { rows } = await sql<{
          patientId: string;
          occurrence: string;
          state: string;
          reason: string | null;
          dueAt: string;
        }>`
          select patient_id as "patientId", occurrence, state, reason, due_at as "dueAt"
          from journeys where clinic_id = ${id} order by patient_id, occurrence`.execute(trx);
        return rows.map((row) => ({ ...row, dueAt: String(row.dueAt) }));
      }),
    send: (until) =>
      withClinic(db, id, async (trx) => {
        await sql`
          with left_now as (
            update messages set state = 'delivered', attempt_no = 1, client_ref = id::text, sent_at = scheduled_at,
              next_at = null, reason = null
            where clinic_id = ${id} and state = 'scheduled' and scheduled_at <= ${until}::timestamptz
            returning clinic_id, patient_id
          )
          insert into replan (clinic_id, patient_id) select clinic_id, patient_id from left_now`.execute(
          trx,
        );
      }),
  };
}
