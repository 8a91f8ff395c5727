import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { httpClient } from '../../src/channels/http.ts';
import type { Db } from '../../src/database/connect.ts';
import { findClinic } from '../../src/history/clinic-store.ts';
import { putChannel } from '../../src/outbox/channel-store.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import type { FaultPoint } from '../../src/outbox/fault.ts';
import { reconcileClinic } from '../../src/outbox/reconcile.ts';
import { type SmscSimulator, startSmscSimulator } from '../simulators/smsc.ts';
import { testDatabase } from '../support/postgres.ts';
import type { Errand } from './dispatch-process.ts';
import { clinicIn, noon, type OutboxClinic } from './outbox-clinic.ts';

/**
 * The process is killed at every named point of the way; other processes finish its work. The
 * provider counts what it took: each message once, none missing.
 */

const script = path.join(import.meta.dirname, 'dispatch-process.ts');
const messages = 8;
/** Dozens of processes, each of which loads the code anew. */
const timeout = 240_000;

const points: readonly FaultPoint[] = [
  'after_recover',
  'after_expire',
  'after_pick',
  'after_locks',
  'after_judge',
  'before_begin_commit',
  'after_begin',
  'before_send',
  'after_send',
  'before_outcome_commit',
  'after_outcome',
  'before_reschedule',
  'after_reschedule',
];

/** These are passed only after an answer was lost. */
const pointsOfQuestions: readonly FaultPoint[] = [
  'before_reconcile',
  'after_reconcile_answer',
  'before_reconcile_commit',
  'after_reconcile',
];

t.test('a crash at any point sends nothing twice and loses nothing', { timeout }, async (t) => {
  const { db, url } = await testDatabase(t);
  const simulator = await startSmscSimulator({ limits: false });
  t.teardown(() => simulator.close());
  for (const name of points) {
    simulator.clear();
    const clinic = await clinicAtSmsc(db, simulator);
    t.equal(await work(clinic, url, noon, { name, hit: 1 }), 'SIGKILL', `killed at ${name}`);
    await finish(clinic);
    await check(t, clinic, simulator, name);
  }
});

t.test('a crash while a lost answer is asked for does the same', { timeout }, async (t) => {
  const { db, url } = await testDatabase(t);
  const simulator = await startSmscSimulator({ limits: false });
  t.teardown(() => simulator.close());
  for (const name of pointsOfQuestions) {
    simulator.clear();
    const clinic = await clinicAtSmsc(db, simulator);
    simulator.faults({ acceptThenDropReply: true, times: 1 });
    await work(clinic, url, noon, null);
    const later = noon.add({ minutes: 2 });
    t.equal(await work(clinic, url, later, { name, hit: 1 }), 'SIGKILL', `killed at ${name}`);
    await finish(clinic);
    await check(t, clinic, simulator, name);
  }
});

async function clinicAtSmsc(db: Db, simulator: SmscSimulator): Promise<OutboxClinic> {
  const clinic = await clinicIn(db, { withChannel: false });
  await clinic.in(async (trx) => {
    const found = await findClinic(trx, clinic.clinicId);
    if (found === null) throw new Error('The clinic is missing.');
    const channel = {
      provider: 'smsc',
      credentials: { login: 'clinic', password: 'secret' },
      options: { baseUrl: simulator.url, batch: 3 },
    };
    await putChannel(clinic.deps, trx, found, 'sms', channel, noon);
  });
  for (let count = 0; count < messages; count += 1) {
    await clinic.enqueue({ patientId: await clinic.addPatient() });
  }
  return clinic;
}

/** @returns how the process ended. */
async function work(
  clinic: OutboxClinic,
  url: string,
  now: Temporal.Instant,
  fault: Errand['fault'],
): Promise<string> {
  const errand: Errand = { url, clinicId: clinic.clinicId, now: now.toString(), fault };
  const child = spawn(process.execPath, [script, JSON.stringify(errand)], { stdio: 'inherit' });
  const [code, signal] = await once(child, 'exit');
  await untilGone(clinic.db);
  return signal ?? String(code);
}

const looksMax = 10_000;

/** The database hears of a killed process a little later: until then its locks stand. */
async function untilGone(db: Db): Promise<void> {
  for (let looks = 0; looks < looksMax; looks += 1) {
    const { rows } = await sql<{ open: number }>`
      select count(*)::int as open from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state like '%in transaction%'`.execute(
      db,
    );
    if (rows[0]?.open === 0) return;
  }
}

const minutesMax = 45;

/** Leases run out, time goes on, and another dispatcher takes over. */
async function finish(clinic: OutboxClinic): Promise<void> {
  const http = httpClient({ allowPrivate: true });
  const deps = { ...clinic.deps, http };
  for (let minutes = 3; minutes <= minutesMax && !(await isDone(clinic)); minutes += 3) {
    clinic.clock.set(noon.add({ minutes }));
    await clinic.in((trx) =>
      sql`update messages set lease_until = clock_timestamp() - interval '1 s'
        where clinic_id = ${clinic.clinicId} and lease_until is not null`.execute(trx),
    );
    await reconcileClinic(deps, clinic.clinicId, clinic.clock.now());
    await dispatchClinic(deps, clinic.clinicId, clinic.clock.now());
  }
  await http.close();
}

async function isDone(clinic: OutboxClinic): Promise<boolean> {
  const states = await statesOf(clinic);
  return states.every((state) => state === 'sent' || state === 'delivered');
}

async function statesOf(clinic: OutboxClinic): Promise<string[]> {
  const rows = await clinic.in((trx) =>
    trx.selectFrom('messages').select('state').where('clinic_id', '=', clinic.clinicId).execute(),
  );
  return rows.map((row) => row.state);
}

async function check(
  t: Test,
  clinic: OutboxClinic,
  simulator: SmscSimulator,
  name: string,
): Promise<void> {
  const phones = simulator.messages().map((message) => message.phone);
  t.equal(phones.length, messages, `${name}: every message was taken`);
  t.equal(new Set(phones).size, messages, `${name}: none twice`);
  const states = await statesOf(clinic);
  t.ok(
    states.every((state) => state === 'sent' || state === 'delivered'),
    `${name}: ${states.join(', ')}`,
  );
}
