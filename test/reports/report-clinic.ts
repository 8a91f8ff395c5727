/** A clinic whose journeys, visits and bookings are written down row by row, for the reports' tests. */
import type { Db, Trx } from '../../src/database/connect.ts';
import type {
  ChannelName,
  JourneyState,
  MessageState,
  Purpose,
} from '../../src/database/tables.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { createClinic } from '../../src/history/clinic-store.ts';
import type { ReportClinic } from '../../src/reports/period.ts';
import { uuidv7 } from '../../src/uuid.ts';

const madeAt = Temporal.Instant.from('2026-01-01T00:00:00Z');

export interface ReportFixture {
  clinic: ReportClinic;
  read<T>(work: (trx: Trx) => Promise<T>): Promise<T>;
  patient(options?: { deceased?: boolean }): Promise<string>;
  rule(options?: { name?: string; purpose?: Purpose; attributionWindow?: string }): Promise<string>;
  journey(options: JourneyOptions): Promise<string>;
  message(options: MessageOptions): Promise<string>;
  visit(options: {
    patientId: string;
    at: string;
    end?: string;
    amount?: number;
    currency?: string;
    appointmentId?: string;
    status?: string;
  }): Promise<void>;
  appointment(options: {
    id?: string;
    patientId: string;
    at: string;
    bookedAt: string;
    status?: string;
  }): Promise<string>;
}

interface JourneyOptions {
  ruleId: string;
  patientId: string;
  dueAt: string;
  holdout?: boolean;
  state?: JourneyState;
  reason?: string;
}

interface MessageOptions {
  journeyId?: string;
  ruleId?: string;
  patientId: string;
  at: string;
  step?: number;
  purpose?: Purpose;
  channel?: ChannelName;
  state?: MessageState;
  reason?: string;
  costMicros?: number;
  currency?: string;
  segments?: number;
  repliedAt?: string;
}

const sentStates: readonly MessageState[] = ['sent', 'delivered', 'read', 'failed'];
const endedStates: readonly MessageState[] = ['suppressed', 'cancelled', 'expired', 'failed'];

export async function reportFixture(
  db: Db,
  { timeZone = 'Europe/Moscow', currency = 'RUB' } = {},
): Promise<ReportFixture> {
  const clinic = { id: uuidv7(madeAt), timeZone, currency };
  const write = <T>(work: (trx: Trx) => Promise<T>) => withClinic(db, clinic.id, work);
  const base = { name: 'A clinic', country: 'RU', language: 'ru', mode: 'live' as const };
  await write((trx) => createClinic(trx, { ...base, ...clinic, testNow: null }, madeAt));
  let counter = 0;
  const next = () => `n${++counter}`;
  const made = { created_at: madeAt, updated_at: madeAt };

  return {
    clinic,
    read: write,
    patient: async ({ deceased = false } = {}) => {
      const id = uuidv7(madeAt);
      const row = { clinic_id: clinic.id, id, source: 'mis', external_id: next(), ...made };
      await write((trx) =>
        trx
          .insertInto('patients')
          .values({ ...row, is_known: true, deceased })
          .execute(),
      );
      return id;
    },
    rule: async ({ name = 'Recall', purpose = 'care', attributionWindow } = {}) => {
      const id = uuidv7(madeAt);
      const definition = JSON.stringify({ name, purpose, attributionWindow });
      const row = { clinic_id: clinic.id, id, name, version: 1, definition, ...made };
      await write((trx) =>
        trx
          .insertInto('rules')
          .values({ ...row, state: 'active', active_from: madeAt })
          .execute(),
      );
      return id;
    },
    journey: async ({ ruleId, patientId, dueAt, holdout = false, state, reason }) => {
      const id = uuidv7(madeAt);
      const due = Temporal.Instant.from(dueAt);
      await write((trx) =>
        trx
          .insertInto('journeys')
          .values({
            clinic_id: clinic.id,
            id,
            rule_id: ruleId,
            rule_version: 1,
            patient_id: patientId,
            occurrence: next(),
            anchor: '{}',
            due_at: due,
            expires_at: due,
            state: holdout ? 'suppressed' : (state ?? 'finished'),
            reason: holdout ? 'holdout' : (reason ?? null),
            holdout,
            ...made,
          })
          .execute(),
      );
      return id;
    },
    message: async (options) => {
      const id = uuidv7(madeAt);
      const at = Temporal.Instant.from(options.at);
      const state = options.state ?? 'sent';
      await write((trx) =>
        trx
          .insertInto('messages')
          .values({
            clinic_id: clinic.id,
            id,
            rule_id: options.ruleId ?? null,
            journey_id: options.journeyId ?? null,
            step: options.step ?? 0,
            patient_id: options.patientId,
            purpose: options.purpose ?? 'care',
            channel: options.channel ?? 'sms',
            state,
            reason: options.reason ?? (state === 'failed' ? 'rejected' : null),
            scheduled_at: at,
            expires_at: at,
            next_at: state === 'held' || state === 'scheduled' ? at : null,
            sent_at: sentStates.includes(state) ? at : null,
            attempt_no: 1,
            client_ref: id,
            settled_at: endedStates.includes(state) ? at : null,
            segments: options.segments ?? null,
            replied_at:
              options.repliedAt === undefined ? null : Temporal.Instant.from(options.repliedAt),
            cost_micros: options.costMicros ?? null,
            cost_currency: options.costMicros === undefined ? null : (options.currency ?? currency),
            ...made,
          })
          .execute(),
      );
      return id;
    },
    visit: async ({ patientId, at, end, amount, currency: paid, appointmentId, status }) => {
      await write((trx) =>
        trx
          .insertInto('visits')
          .values({
            clinic_id: clinic.id,
            source: 'mis',
            external_id: next(),
            patient_id: patientId,
            appointment_id: appointmentId ?? null,
            status: status ?? 'finished',
            started_at: Temporal.Instant.from(at),
            ended_at: Temporal.Instant.from(end ?? at),
            amount_minor: amount ?? null,
            currency: amount === undefined ? null : (paid ?? currency),
            ...made,
          })
          .execute(),
      );
    },
    appointment: async ({ id = next(), patientId, at, bookedAt, status = 'booked' }) => {
      await write((trx) =>
        trx
          .insertInto('appointments')
          .values({
            clinic_id: clinic.id,
            source: 'mis',
            external_id: id,
            patient_id: patientId,
            status,
            start_at: Temporal.Instant.from(at),
            booked_at: Temporal.Instant.from(bookedAt),
            ...made,
          })
          .execute(),
      );
      return id;
    },
  };
}
