import { type Kysely, sql } from 'kysely';

/**
 * In a backlog reminders leave before anything else, so the few that are due have to be found among all that
 * wait. The index reads `messages` once and holds up writes to them meanwhile, about a second for a million.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create index messages_reminders on messages (clinic_id, channel, next_at, priority desc, scheduled_at, id)
    where state in ('scheduled', 'held', 'retry') and purpose = 'transactional'`.execute(db);
}
