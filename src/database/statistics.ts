import { sql } from 'kysely';
import { loop, type Service } from '../service.ts';
import type { Db } from './connect.ts';

/**
 * The embedded database has nobody who keeps its planner's statistics, as autovacuum does on PostgreSQL.
 * Without them a query that finds today's visits by index reads all of them instead.
 */

const idleMs = 2_000;
/** A table is looked at anew when it has a quarter more pages than when it was last. */
const growth = 1.25;
const pagesMin = 8;

/** @returns the tables that were looked at. */
export async function analyzeGrown(db: Db): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = current_schema()
    where c.relkind = 'r'
      and pg_relation_size(c.oid) / current_setting('block_size')::int
        > greatest(c.relpages, 0) * ${growth}::float8 + ${pagesMin}::int
    order by 1`.execute(db);
  for (const { name } of rows) await sql`analyze ${sql.table(name)}`.execute(db);
  return rows.map(({ name }) => name);
}

export function keepStatistics(db: Db, onError: (error: unknown) => void): Service {
  return loop({
    round: async () => {
      await analyzeGrown(db);
      return 'idle';
    },
    idleMs,
    onError,
  });
}
