/** Clinics and what happened in them, with valid defaults for what a test does not care about. */
import { sql } from 'kysely';
import type { Db } from '../../src/database/connect.ts';
import type { ChannelName, ConsentState, Purpose } from '../../src/database/tables.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import type { ClinicSettings } from '../../src/history/clinic.ts';
import { createClinic, findClinic } from '../../src/history/clinic-store.ts';
import { wakeClinic } from '../../src/history/clinic-work-store.ts';
import { markReplan } from '../../src/history/replan-store.ts';
import { putTemplate } from '../../src/outbox/template-store.ts';
import type { Rule, RuleIn } from '../../src/rules/rule.ts';
import { activateRule, createRule } from '../../src/rules/rule-store.ts';
import { uuidv7 } from '../../src/uuid.ts';

export interface ClinicWish {
  now?: string;
  timeZone?: string;
  country?: string;
  currency?: string;
  mode?: 'live' | 'test';
  language?: string;
  settings?: Partial<ClinicSettings>;
}

/** A clinic with its clock at `now`, an SMS channel, and one template for each purpose. */
export async function makeClinic(db: Db, wish: ClinicWish = {}): Promise<string> {
  const now = Temporal.Instant.from(wish.now ?? '2026-03-02T06:00:00Z');
  const id = uuidv7(now);
  await withClinic(db, id, async (trx) => {
    await createClinic(
      trx,
      {
        id,
        name: 'North Clinic',
        timeZone: wish.timeZone ?? 'UTC',
        country: wish.country ?? 'KZ',
        language: wish.language ?? 'en',
        currency: wish.currency ?? 'KZT',
        mode: wish.mode ?? 'test',
        testNow: wish.mode === 'live' ? null : now,
        settings: {
          sendWindow: { start: '00:00', end: '24:00' },
          caps: { perDay: 1000, perWeek: 7000 },
          ...wish.settings,
        },
      },
      now,
    );
    for (const purpose of ['transactional', 'care', 'marketing'] as const) {
      await putTemplate(
        trx,
        id,
        purpose,
        { purpose, bodies: bodiesOf('Hello {{patient.name.given|dear patient}}') },
        now,
      );
    }
  });
  return id;
}

export function bodiesOf(text: string, channels: ChannelName[] = ['sms', 'email', 'inbox']) {
  return Object.fromEntries(
    channels.map((channel) => [channel, { en: { subject: 'Hello', text } }]),
  );
}

export interface PatientWish {
  id?: string;
  phone?: string | null;
  email?: string | null;
  birthDate?: string;
  gender?: 'male' | 'female' | 'other' | 'unknown';
  language?: string;
  timeZone?: string;
  preferredChannel?: string;
  reminderPreference?: unknown;
  tags?: string[];
  payer?: string;
  household?: string;
  city?: string;
  active?: boolean;
  deceased?: boolean;
  isKnown?: boolean;
  attributes?: Record<string, unknown>;
  createdAt?: string;
  consent?: Partial<Record<Purpose, ConsentState>>;
}

let phones = 0;

/** @returns our id. */
export async function makePatient(
  db: Db,
  clinicId: string,
  wish: PatientWish = {},
): Promise<string> {
  phones += 1;
  const createdAt = Temporal.Instant.from(wish.createdAt ?? '2020-01-01T00:00:00Z');
  const id = uuidv7(createdAt);
  const phone = wish.phone === undefined ? `+7701${String(phones).padStart(7, '0')}` : wish.phone;
  await withClinic(db, clinicId, async (trx) => {
    const addresses = [phone, wish.email ?? null].filter((address) => address !== null);
    for (const address of addresses) {
      await sql`
        insert into contact_points (clinic_id, address, kind, country)
        values (${clinicId}, ${address}, ${address.includes('@') ? 'email' : 'phone'}, 'KZ')
        on conflict do nothing`.execute(trx);
    }
    await trx
      .insertInto('patients')
      .values({
        clinic_id: clinicId,
        id,
        source: 'mis',
        external_id: wish.id ?? id,
        is_known: wish.isKnown ?? true,
        given: 'Ann',
        birth_date: wish.birthDate ?? null,
        gender: wish.gender ?? null,
        language: wish.language ?? null,
        time_zone: wish.timeZone ?? null,
        preferred_channel: wish.preferredChannel ?? null,
        reminder_preference:
          wish.reminderPreference === undefined ? null : JSON.stringify(wish.reminderPreference),
        tags: wish.tags ?? [],
        payer_id: wish.payer ?? null,
        household: wish.household ?? null,
        city: wish.city ?? null,
        active: wish.active ?? true,
        deceased: wish.deceased ?? false,
        attributes: JSON.stringify(wish.attributes ?? {}),
        sms_address: phone,
        email_address: wish.email ?? null,
        created_at: createdAt,
        updated_at: createdAt,
      })
      .execute();
    for (const address of addresses) {
      await trx
        .insertInto('patient_contact_points')
        .values({ clinic_id: clinicId, patient_id: id, address })
        .execute();
    }
    for (const [purpose, state] of Object.entries(wish.consent ?? {})) {
      for (const channel of ['sms', 'email', 'inbox', 'call'] as const) {
        await trx
          .insertInto('consents')
          .values({
            clinic_id: clinicId,
            patient_id: id,
            purpose: purpose as Purpose,
            channel,
            state,
            occurred_at: createdAt,
          })
          .execute();
      }
    }
    await mark(trx, clinicId, id, createdAt);
  });
  return id;
}

export interface VisitWish {
  id?: string;
  patientId: string;
  at: string;
  endsAt?: string;
  services?: string[];
  practitioner?: string;
  facts?: string[];
  status?: string;
  appointmentId?: string;
  amountMinor?: number;
  currency?: string;
  payer?: string;
}

let visits = 0;

/** @returns the host's id. */
export async function makeVisit(db: Db, clinicId: string, wish: VisitWish): Promise<string> {
  visits += 1;
  const id = wish.id ?? `v${visits}`;
  const at = Temporal.Instant.from(wish.at);
  await withClinic(db, clinicId, async (trx) => {
    await trx
      .insertInto('visits')
      .values({
        clinic_id: clinicId,
        source: 'mis',
        external_id: id,
        patient_id: wish.patientId,
        appointment_id: wish.appointmentId ?? null,
        status: wish.status ?? 'finished',
        started_at: at,
        ended_at: wish.endsAt ? Temporal.Instant.from(wish.endsAt) : null,
        practitioner_id: wish.practitioner ?? null,
        service_ids: wish.services ?? [],
        facts: wish.facts ?? [],
        payer_id: wish.payer ?? null,
        amount_minor: wish.amountMinor ?? null,
        currency: wish.amountMinor === undefined ? null : (wish.currency ?? 'KZT'),
        created_at: at,
        updated_at: at,
      })
      .execute();
    await mark(trx, clinicId, wish.patientId, at);
  });
  return id;
}

export interface AppointmentWish {
  id?: string;
  patientId: string;
  start: string;
  bookedAt: string;
  status?: string;
  confirmation?: string;
  timeZone?: string;
  services?: string[];
}

let appointments = 0;

/** @returns the host's id. */
export async function makeAppointment(
  db: Db,
  clinicId: string,
  wish: AppointmentWish,
): Promise<string> {
  appointments += 1;
  const id = wish.id ?? `a${appointments}`;
  const bookedAt = Temporal.Instant.from(wish.bookedAt);
  await withClinic(db, clinicId, async (trx) => {
    await trx
      .insertInto('appointments')
      .values({
        clinic_id: clinicId,
        source: 'mis',
        external_id: id,
        patient_id: wish.patientId,
        status: wish.status ?? 'booked',
        confirmation: wish.confirmation ?? null,
        start_at: Temporal.Instant.from(wish.start),
        time_zone: wish.timeZone ?? null,
        service_ids: wish.services ?? [],
        booked_at: bookedAt,
        occurred_at: bookedAt,
        created_at: bookedAt,
        updated_at: bookedAt,
      })
      .execute();
    await mark(trx, clinicId, wish.patientId, bookedAt);
  });
  return id;
}

export interface EventWish {
  id?: string;
  type: string;
  patientId: string;
  at: string;
  data?: Record<string, unknown>;
}

let events = 0;

/** Something the host told. @returns its id. */
export async function makeEvent(db: Db, clinicId: string, wish: EventWish): Promise<string> {
  events += 1;
  const id = wish.id ?? `e${events}`;
  const at = Temporal.Instant.from(wish.at);
  await withClinic(db, clinicId, async (trx) => {
    await sql`
      insert into intake_events (clinic_id, source, event_id, type, occurred_at, received_at, patient_id, body, outcome)
      values (${clinicId}, 'mis', ${id}, ${wish.type}, ${at}, ${at}, ${wish.patientId}, ${JSON.stringify(wish.data ?? {})}::json,
        'applied')`.execute(trx);
    await mark(trx, clinicId, wish.patientId, at);
  });
  return id;
}

export interface TreatmentWish {
  id?: string;
  patientId: string;
  step?: string;
  service?: string;
  /** Null when all is done. */
  dueOn: string | null;
}

let treatments = 0;

/** A plan with one open step, or the same plan with another one. @returns its id. */
export async function putTreatment(db: Db, clinicId: string, wish: TreatmentWish): Promise<string> {
  treatments += 1;
  const id = wish.id ?? `t${treatments}`;
  const at = Temporal.Instant.from('2026-01-01T00:00:00Z');
  const isOpen = wish.dueOn !== null;
  await withClinic(db, clinicId, async (trx) => {
    await sql`
      insert into treatments (clinic_id, source, external_id, patient_id, steps, next_step, next_service, next_due_on,
        occurred_at, content_hash, created_at, updated_at)
      values (${clinicId}, 'mis', ${id}, ${wish.patientId}, '[]', ${isOpen ? (wish.step ?? 's1') : null},
        ${isOpen ? (wish.service ?? 'crown') : null}, ${wish.dueOn}::date, ${at}, '', ${at}, ${at})
      on conflict (clinic_id, source, external_id) do update set next_step = excluded.next_step,
        next_service = excluded.next_service, next_due_on = excluded.next_due_on`.execute(trx);
    await mark(trx, clinicId, wish.patientId, at);
  });
  return id;
}

/** Runs one change of a clinic's history and notes whose plans it touches, as intake does. */
export async function change(
  db: Db,
  clinicId: string,
  patientIds: string[],
  statement: ReturnType<typeof sql>,
): Promise<void> {
  await withClinic(db, clinicId, async (trx) => {
    await statement.execute(trx);
    for (const id of patientIds)
      await mark(trx, clinicId, id, Temporal.Instant.from('2020-01-01T00:00:00Z'));
  });
}

type Trx = Parameters<typeof markReplan>[0];

async function mark(
  trx: Trx,
  clinicId: string,
  patientId: string,
  at: Temporal.Instant,
): Promise<void> {
  await markReplan(trx, clinicId, [patientId]);
  await wakeClinic(trx, clinicId, 'plan', at);
}

export const recall = {
  name: 'Recall',
  purpose: 'care',
  trigger: { type: 'visit', after: 'P180D' },
  steps: [{ channel: 'sms', template: 'care' }],
} as const satisfies RuleIn;

/** An active rule; `wish` is laid over a recall after 180 days by SMS. */
export async function makeRule(
  db: Db,
  clinicId: string,
  wish: Partial<RuleIn> = {},
  options: { now: string; active?: boolean } = { now: '2026-03-02T06:00:00Z' },
): Promise<Rule> {
  const change = { actor: 'key:test', now: Temporal.Instant.from(options.now) };
  return withClinic(db, clinicId, async (trx) => {
    const rule = await createRule(trx, clinicId, { ...recall, ...wish } as RuleIn, change);
    const clinic = await findClinic(trx, clinicId);
    if (options.active === false || clinic === null) return rule;
    const active = await activateRule(trx, clinic, rule.id, { ...change, by: 'Dr. Ivanova' });
    if (active === null) throw new Error('The rule is gone.');
    return active;
  });
}
