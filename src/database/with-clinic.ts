import { sql } from 'kysely';
import type { Db, Trx } from './connect.ts';

/** The role that sees one clinic's rows only: it owns no table and cannot skip row level security. */
export const runtimeRole = 'retorno_runtime';

export interface WithClinicOptions {
  /** How long one statement may run. Planning and reports need longer than a request. */
  statementTimeoutMs?: number;
  /** What only one transaction at a time may do for this clinic, such as `intake`. */
  turn?: string;
  /** False for what a crash of the database may undo without harm, such as a claim: its commit does not wait. */
  isDurable?: boolean;
}

const statementTimeoutDefaultMs = 15_000;
const lockTimeoutMs = 10_000;
const idleTimeoutMs = 60_000;

/**
 * The only way to a clinic's rows. Before `work` runs, the transaction (and it alone) takes the
 * runtime role, the clinic, its time-outs, and durable commits that no server default can undo.
 */
export async function withClinic<T>(
  db: Db,
  clinicId: string,
  work: (trx: Trx) => Promise<T>,
  options: WithClinicOptions = {},
): Promise<T> {
  return db.transaction().execute(async (trx) => {
    await sql`select
      set_config('role', ${runtimeRole}, true),
      set_config('app.clinic_id', ${clinicId}, true),
      set_config('statement_timeout', ${String(options.statementTimeoutMs ?? statementTimeoutDefaultMs)}, true),
      set_config('lock_timeout', ${String(lockTimeoutMs)}, true),
      set_config('idle_in_transaction_session_timeout', ${String(idleTimeoutMs)}, true),
      set_config('synchronous_commit', ${options.isDurable === false ? 'off' : 'on'}, true)
      ${options.turn === undefined ? sql`` : sql`, pg_advisory_xact_lock(hashtextextended(${`${options.turn}/${clinicId}`}, 0))`}`.execute(
      trx,
    );
    return work(trx);
  });
}

/**
 * Refuses a database in which the wall between clinics would not stand: the runtime role must be
 * powerless, and every table with a `clinic_id` must enforce row level security.
 * @throws Error that names what is wrong.
 */
export async function assertWalled(db: Db): Promise<void> {
  const role = await sql<{ super: boolean; bypass: boolean; owns: number }>`
    select rolsuper as super, rolbypassrls as bypass,
           (select count(*)::int from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relowner = r.oid and n.nspname = current_schema()) as owns
    from pg_roles r where rolname = ${runtimeRole}`.execute(db);
  const runtime = role.rows[0];
  if (!runtime) throw new Error(`The database has no role ${runtimeRole}: migrate it first.`);
  if (runtime.super || runtime.bypass || runtime.owns > 0) {
    throw new Error(
      `The role ${runtimeRole} may skip row level security: it must be no superuser, have no BYPASSRLS and own no table.`,
    );
  }
  const open = await sql<{ name: string }>`
    select c.relname as name from pg_class c
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = current_schema()
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'clinic_id' and not a.attisdropped
    where c.relkind in ('r', 'p')
      and not (c.relrowsecurity and (c.relforcerowsecurity or c.relname in ('key_index', 'clinic_work')))
    order by 1`.execute(db);
  if (open.rows.length > 0) {
    throw new Error(
      `Row level security is not forced on: ${open.rows.map((row) => row.name).join(', ')}.`,
    );
  }
  await withClinic(db, '00000000-0000-0000-0000-000000000000', async (trx) => {
    const probe = await sql<{ role: string }>`select current_user as role`.execute(trx);
    if (probe.rows[0]?.role !== runtimeRole) {
      throw new Error(
        `The database user cannot take the role ${runtimeRole}: GRANT ${runtimeRole} TO it.`,
      );
    }
  });
}
