/** A clinic of the test's own, and short words for telling it what happened. */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Test } from 'tap';
import { type FixedClock, fixedClock } from '../../src/clock.ts';
import type { Trx } from '../../src/database/connect.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { type Clinic, defaultSettings } from '../../src/history/clinic.ts';
import { createClinic } from '../../src/history/clinic-store.ts';
import type { Caller } from '../../src/history/key.ts';
import {
  type IntakeAnswer,
  type IntakeDeps,
  recordEvents,
} from '../../src/intake/record-events.ts';
import { type TestDatabase, testDatabase } from './postgres.ts';

export interface IntakeTest {
  deps: IntakeDeps;
  clock: FixedClock;
  database: TestDatabase;
  clinic: Clinic;
  caller: Caller;
  tell(...events: object[]): Promise<IntakeAnswer>;
  /** Reads as the clinic. */
  read<T>(work: (trx: Trx) => Promise<T>): Promise<T>;
  /** Another clinic in the same database. */
  another(overrides?: Partial<Clinic>): Promise<IntakeTest>;
}

export const startOfTests = '2026-03-28T12:00:00Z';

export async function intakeTest(
  t: Pick<Test, 'teardown'>,
  options: { engine?: TestDatabase['engine']; clinic?: Partial<Clinic> } = {},
): Promise<IntakeTest> {
  const database = await testDatabase(
    t,
    options.engine === undefined ? {} : { engine: options.engine },
  );
  return makeClinic(database, fixedClock(startOfTests), options.clinic);
}

async function makeClinic(
  database: TestDatabase,
  clock: FixedClock,
  overrides: Partial<Clinic> = {},
): Promise<IntakeTest> {
  const { db } = database;
  const told = {
    id: randomUUID(),
    name: 'Clínica Central',
    timeZone: 'America/Bogota',
    country: 'CO',
    language: 'es',
    currency: 'COP',
    mode: 'live' as const,
    testNow: null,
    settings: defaultSettings,
    ...overrides,
  };
  const clinic = await db.transaction().execute((trx) => createClinic(trx, told, clock.now()));
  const caller: Caller = {
    clinicId: clinic.id,
    keyId: randomUUID(),
    source: 'mis',
    scopes: ['intake'],
    clinic,
  };
  const deps: IntakeDeps = { db, clock };
  return {
    deps,
    clock,
    database,
    clinic,
    caller,
    tell: (...events) => recordEvents(deps, caller, events),
    read: (work) => withClinic(db, clinic.id, work),
    another: (others) => makeClinic(database, clock, others),
  };
}

let count = 0;

/** An event with an id of its own. */
export function event(type: string, data: object, more: object = {}): object {
  count += 1;
  return { id: `e-${count}`, type, occurredAt: '2026-03-01T10:00:00Z', data, ...more };
}

/** Everything a clinic knows and anyone can see, without the instants of receipt and the ids of ours. */
export async function knownState(test: IntakeTest): Promise<Record<string, unknown[]>> {
  return test.read(async (trx) => {
    const named = sql`left join patients p on p.clinic_id = o.clinic_id and p.id = o.patient_id`;
    const whose = sql`p.external_id as patient`;
    const [patients, appointments, visits, consents, points] = await Promise.all([
      sql<object>`
        select o.external_id, s.external_id as survivor, case when s.id is null then jsonb_build_array(o.is_known, o.family, o.given,
          o.birth_date, o.sms_address, o.email_address, o.active, o.deceased, o.tags, o.deleted_at is not null,
          o.erased_at is not null, o.occurred_at) end as shown
        from patients o left join patients s on s.clinic_id = o.clinic_id and s.id = o.replaced_by
        where o.clinic_id = ${test.clinic.id} order by o.external_id`.execute(trx),
      sql<object>`
        select o.external_id, ${whose}, o.status, o.start_at::text, o.end_at::text, o.services, o.deleted_at is not null as deleted, o.occurred_at::text
        from appointments o ${named} where o.clinic_id = ${test.clinic.id} order by o.external_id`.execute(
        trx,
      ),
      sql<object>`
        select o.external_id, ${whose}, o.status, o.started_at::text, o.ended_at::text, o.deleted_at is not null as deleted, o.occurred_at::text
        from visits o ${named} where o.clinic_id = ${test.clinic.id} order by o.external_id`.execute(
        trx,
      ),
      sql<object>`
        select ${whose}, o.purpose, o.channel, o.state, o.evidence, o.evidence_at::text, o.occurred_at::text
        from consents o ${named} where o.clinic_id = ${test.clinic.id} order by 1, 2, 3`.execute(
        trx,
      ),
      sql<object>`
        select ${whose}, o.address from patient_contact_points o ${named}
        where o.clinic_id = ${test.clinic.id} order by 1, 2`.execute(trx),
    ]);
    return {
      patients: patients.rows,
      appointments: appointments.rows,
      visits: visits.rows,
      consents: consents.rows,
      points: points.rows,
    };
  });
}
