/** A live clinic with a full outbox, written straight into the database, and what it takes to drain it. */
import { sql } from 'kysely';
import { httpClient } from '../src/channels/http.ts';
import { findAdapter } from '../src/channels/registry.ts';
import { fixedClock } from '../src/clock.ts';
import { connect, type Database, type Trx } from '../src/database/connect.ts';
import { migrateToLatest } from '../src/database/migrate.ts';
import { withClinic } from '../src/database/with-clinic.ts';
import { defaultSettings } from '../src/history/clinic.ts';
import { createClinic } from '../src/history/clinic-store.ts';
import { createLog } from '../src/log.ts';
import { putChannel } from '../src/outbox/channel-store.ts';
import { type DispatchDeps, dispatchClinic } from '../src/outbox/dispatch.ts';
import { createSecrets } from '../src/secrets.ts';
import { uuidv7 } from '../src/uuid.ts';
import type { Job } from './queues.ts';

/** Noon in Moscow. */
export const noon = Temporal.Instant.from('2026-03-02T09:00:00Z');
const fillTimeoutMs = 600_000;

export interface OutboxClinic {
  fill(jobs: readonly Job[]): Promise<void>;
  /** Seconds until nothing is due; throws if not every message was sent. */
  drain(messages: number): Promise<number>;
  close(): Promise<void>;
}

export async function openOutbox(
  url: string,
  provider: { baseUrl: string; batch: number },
): Promise<OutboxClinic> {
  const database = await connect({ url, poolSize: 10 });
  await migrateToLatest(database.db);
  const http = httpClient({ allowPrivate: true });
  const deps = dispatchDeps(database, http);
  const clinicId = uuidv7(noon);
  await withClinic(database.db, clinicId, async (trx) => {
    const clinic = await createClinic(trx, newClinic(clinicId), noon);
    const channel = {
      provider: 'smsc',
      credentials: { login: 'bench', password: 'bench' },
      options: provider,
    };
    await putChannel(deps, trx, clinic, 'sms', channel, noon);
  });
  return {
    fill: async (jobs) => {
      await withClinic(database.db, clinicId, (trx) => fill(trx, clinicId, jobs), {
        statementTimeoutMs: fillTimeoutMs,
      });
      // As autovacuum does within a minute.
      await sql`analyze`.execute(database.db);
    },
    drain: async (messages) => {
      const started = performance.now();
      let sent = 0;
      for (let remaining = true; remaining; ) {
        const result = await dispatchClinic(deps, clinicId, noon);
        sent += result.sent;
        remaining = result.remaining;
      }
      const seconds = (performance.now() - started) / 1000;
      if (sent !== messages) throw new Error(`${sent} of ${messages} messages were sent.`);
      return seconds;
    },
    close: async () => {
      await http.close();
      await database.close();
    },
  };
}

function newClinic(id: string) {
  return {
    ...{ id, name: 'Bench', timeZone: 'Europe/Moscow', country: 'RU', language: 'ru' },
    ...{ currency: 'RUB', mode: 'live' as const, testNow: null },
    settings: {
      ...defaultSettings,
      sendWindow: { start: '00:00', end: '24:00' },
      messagesPerDay: 100_000_000,
    },
  };
}

function dispatchDeps(database: Database, http: DispatchDeps['http']): DispatchDeps {
  return {
    db: database.db,
    clock: fixedClock(noon),
    secrets: createSecrets(Buffer.alloc(32, 1)),
    publicUrl: 'http://127.0.0.1',
    findAdapter,
    http,
    log: createLog('warn'),
    faults: () => {},
    random: Math.random,
    monotonicMs: () => performance.now(),
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  };
}

async function fill(trx: Trx, clinicId: string, jobs: readonly Job[]): Promise<void> {
  const rows = JSON.stringify(
    jobs.map(({ to, text }) => ({ id: uuidv7(noon), patient: uuidv7(noon), to, text })),
  );
  await sql`
    with jobs as materialized (
      select * from jsonb_to_recordset(${rows}::jsonb) as job (id uuid, patient uuid, "to" text, text text)
    ), contact_points as (
      insert into contact_points (clinic_id, address, kind, country)
      select ${clinicId}, "to", 'phone', 'RU' from jobs
    ), patients as (
      insert into patients (clinic_id, id, source, external_id, is_known, given, sms_address, created_at, updated_at)
      select ${clinicId}, patient, 'mis', patient, true, 'Bench', "to", ${noon}, ${noon} from jobs
    )
    insert into messages (clinic_id, id, patient_id, purpose, channel, body, address, guard, state,
      scheduled_at, expires_at, next_at, created_at, updated_at)
    select ${clinicId}, id, patient, 'transactional', 'sms', jsonb_build_object('text', text), "to", '{}', 'scheduled',
      ${noon}, ${noon.add({ hours: 12 })}, ${noon}, ${noon}, ${noon}
    from jobs order by id`.execute(trx);
}
