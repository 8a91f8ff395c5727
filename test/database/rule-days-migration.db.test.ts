import { promises as fs } from 'node:fs';
import path from 'node:path';
import { sql } from 'kysely';
import { FileMigrationProvider, Migrator } from 'kysely/migration';
import t from 'tap';
import type { Db, Trx } from '../../src/database/connect.ts';
import { connect } from '../../src/database/connect.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { createDatabase, dropDatabase, sharedPostgres } from '../support/postgres-server.ts';

const migrationFolder = path.join(import.meta.dirname, '..', '..', 'migrations');
const now = Temporal.Instant.from('2026-01-12T12:00:00Z');

t.test('the days of rules that had no limits are counted from what they sent', async (t) => {
  const postgres = await sharedPostgres();
  const name = await createDatabase(postgres);
  const { db, close } = await connect({ url: postgres.url(name) });
  t.teardown(async () => {
    await close();
    await dropDatabase(postgres, name);
  });
  const provider = new FileMigrationProvider({ fs, path, migrationFolder });
  const migrator = new Migrator({ db, provider });
  t.equal((await migrator.migrateTo('0010_test_clock_lease')).error, undefined);
  const bogota = await fill(db, 'America/Bogota');
  const utc = await fill(db, 'UTC');
  t.equal((await migrator.migrateToLatest()).error, undefined);
  const counted = [['2026-01-01', 9, 90, 0]];
  t.same(await daysOf(db, bogota), [
    ...counted,
    ['2026-01-10', 1, 5, 1],
    // A further step, and the first of somebody else.
    ['2026-01-11', 1, 10, 2],
  ]);
  t.same(await daysOf(db, utc), [...counted, ['2026-01-11', 1, 10, 2], ['2026-01-12', 1, 5, 1]]);
});

/** A clinic as it was then, with two journeys of three messages, and one that waits. */
async function fill(db: Db, timeZone: string): Promise<string> {
  const clinicId = uuidv7(now);
  await sql`insert into clinics (id, name, time_zone, country, language, currency, mode)
    values (${clinicId}, 'Clinic', ${timeZone}, 'CO', 'es', 'COP', 'live')`.execute(db);
  await withClinic(db, clinicId, async (trx) => {
    const [patient, rule] = [uuidv7(now), uuidv7(now)];
    await sql`insert into patients (clinic_id, id, source, external_id, is_known, created_at, updated_at)
      values (${clinicId}, ${patient}, 'mis', '1', true, ${now}, ${now})`.execute(trx);
    await sql`insert into rules (clinic_id, id, name, state, version, definition, created_at, updated_at)
      values (${clinicId}, ${rule}, 'Recall', 'draft', 1, '{}', ${now}, ${now})`.execute(trx);
    // While the rule had a limit it was counted, and what it sent may be gone by now.
    await sql`insert into rule_days (clinic_id, rule_id, local_day, contacts, cost_micros)
      values (${clinicId}, ${rule}, '2026-01-01', 9, 90)`.execute(trx);
    const first = await addJourney(trx, { clinicId, patient, rule, occurrence: 'visit:1' });
    const second = await addJourney(trx, { clinicId, patient, rule, occurrence: 'visit:2' });
    const message = { clinicId, patient, rule };
    await addMessage(trx, { ...message, journey: first, step: 0, sentAt: '2026-01-11T02:00:00Z' });
    await addMessage(trx, { ...message, journey: first, step: 1, sentAt: '2026-01-11T15:00:00Z' });
    await addMessage(trx, { ...message, journey: second, step: 0, sentAt: '2026-01-12T03:00:00Z' });
    await addMessage(trx, { ...message, journey: second, step: 1, sentAt: null });
  });
  return clinicId;
}

interface Place {
  clinicId: string;
  patient: string;
  rule: string;
}

async function addJourney(
  trx: Trx,
  { clinicId, patient, rule, occurrence }: Place & { occurrence: string },
): Promise<string> {
  const id = uuidv7(now);
  await sql`insert into journeys (clinic_id, id, rule_id, rule_version, patient_id, occurrence, anchor, due_at,
      expires_at, state, created_at, updated_at)
    values (${clinicId}, ${id}, ${rule}, 1, ${patient}, ${occurrence}, '{}', ${now}, ${now}, 'active', ${now}, ${now})`.execute(
    trx,
  );
  return id;
}

async function addMessage(
  trx: Trx,
  {
    clinicId,
    patient,
    rule,
    journey,
    step,
    sentAt,
  }: Place & { journey: string; step: number; sentAt: string | null },
): Promise<void> {
  const waits = sentAt === null;
  await sql`insert into messages (clinic_id, id, rule_id, journey_id, step, patient_id, purpose, channel, state,
      scheduled_at, expires_at, next_at, attempt_no, client_ref, sent_at, cost_micros, created_at, updated_at)
    values (${clinicId}, ${uuidv7(now)}, ${rule}, ${journey}, ${step}, ${patient}, 'care', 'sms',
      ${waits ? 'scheduled' : 'delivered'}, ${now}, ${now}, ${waits ? now : null}, ${waits ? 0 : 1},
      ${waits ? null : 'ref'}, ${sentAt}, ${waits ? null : 5}, ${now}, ${now})`.execute(trx);
}

async function daysOf(db: Db, clinicId: string) {
  return withClinic(db, clinicId, async (trx) => {
    const rows = await trx
      .selectFrom('rule_days')
      .select(['local_day', 'contacts', 'cost_micros', 'messages'])
      .where('clinic_id', '=', clinicId)
      .orderBy('local_day')
      .execute();
    return rows.map((row) => [row.local_day, row.contacts, row.cost_micros, row.messages]);
  });
}
