import { sql } from 'kysely';
import t from 'tap';
import { connect, type Db } from '../../src/database/connect.ts';
import { runtimeRole, withClinic } from '../../src/database/with-clinic.ts';
import { testDatabase } from '../support/postgres.ts';

const clinicId = '01931f5e-7c00-7000-8000-000000000001';

async function standing(db: Db): Promise<{ role: string; clinic: string | null; pid: number }> {
  const { rows } = await sql<{ role: string; clinic: string | null; pid: number }>`
    select current_user as role, current_setting('app.clinic_id', true) as clinic,
           pg_backend_pid() as pid`.execute(db);
  const [row] = rows;
  if (!row) throw new Error('The database did not answer.');
  return row;
}

t.test('a connection that served one clinic carries nothing of it on', async (t) => {
  const { url } = await testDatabase(t);
  const { db, close } = await connect({ url, poolSize: 1 });
  t.teardown(close);
  const before = await standing(db);
  t.not(before.role, runtimeRole);
  const within = await withClinic(db, clinicId, (trx) => standing(trx));
  t.match(within, { role: runtimeRole, clinic: clinicId, pid: before.pid });
  t.match(await standing(db), { role: before.role, clinic: '', pid: before.pid });
  const failing = withClinic(db, clinicId, async (trx) => sql`select 1 / 0`.execute(trx));
  await t.rejects(failing, { code: '22012' });
  t.match(await standing(db), { role: before.role, clinic: '', pid: before.pid });
});
