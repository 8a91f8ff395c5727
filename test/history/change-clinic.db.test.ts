import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import t from 'tap';
import type { Db } from '../../src/database/connect.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { changeClinic } from '../../src/history/change-clinic.ts';
import { wakeClinic } from '../../src/history/clinic-work-store.ts';
import { testApi } from '../support/api.ts';

async function somebodyWaits(db: Db): Promise<void> {
  for (;;) {
    const { rows } = await sql`
      select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(db);
    if (rows.length > 0) return;
    await pause(5);
  }
}

t.test('a clinic is changed while its messages are planned', async (t) => {
  const { clinic, database } = await testApi(t);
  const { db } = database;
  const { id } = await clinic();
  const now = Temporal.Instant.from('2026-03-02T15:00:00Z');
  const earlier = now.subtract({ hours: 24 });
  let changed: Promise<unknown> = Promise.resolve();
  await withClinic(db, id, async (trx) => {
    await wakeClinic(trx, id, 'dispatch', earlier);
    changed = withClinic(db, id, (own) =>
      changeClinic(own, id, { name: 'Nueva' }, 'test', now, null),
    );
    changed.catch(() => {});
    await somebodyWaits(db);
    await wakeClinic(trx, id, 'plan', earlier);
  });
  t.match(await changed, { name: 'Nueva' });
});

t.test('a window and caps take no field but their own', async (t) => {
  const { clinic } = await testApi(t);
  const owner = await clinic();
  for (const name of ['sendWindow', 'caps']) {
    const answer = await owner.patch('/v1/clinic', { [name]: { other: 1 } });
    t.equal(answer.status, 400, answer.text);
    t.match(answer.body.errors, [{ pointer: `/${name}/other`, code: 'unknown-field' }]);
  }
});
