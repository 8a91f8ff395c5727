/** A clinic with patients and a provider that counts what it takes; for tests of the outbox. */
import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Test } from 'tap';
import { Type } from 'typebox';
import type {
  AdapterCapabilities,
  Channel,
  ChannelAdapter,
  PreparedMessage,
  ProviderAdapter,
  ReconcileOutcome,
  SendOutcome,
} from '../../src/channels/channel.ts';
import { findAdapter } from '../../src/channels/registry.ts';
import { type FixedClock, fixedClock } from '../../src/clock.ts';
import type { Db } from '../../src/database/connect.ts';
import type { ConsentState, Purpose } from '../../src/database/tables.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import type { ClinicSettings } from '../../src/history/clinic.ts';
import { createClinic } from '../../src/history/clinic-store.ts';
import type { DispatchDeps } from '../../src/outbox/dispatch.ts';
import { enqueueMessages, type NewMessage } from '../../src/outbox/message-store.ts';
import { createSecrets } from '../../src/secrets.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { testDatabase } from '../support/postgres.ts';

/** A Wednesday, noon in the clinic. */
export const noon = Temporal.Instant.from('2026-11-25T12:00:00Z');

export interface OutboxClinic {
  db: Db;
  clinicId: string;
  clock: FixedClock;
  deps: DispatchDeps;
  provider: CountingProvider;
  addPatient(options?: PatientOptions): Promise<string>;
  enqueue(message: Partial<NewMessage> & { patientId: string }): Promise<string>;
  message(id: string): Promise<Record<string, unknown>>;
  in<T>(work: Parameters<typeof withClinic<T>>[2]): Promise<T>;
}

export interface PatientOptions {
  phone?: string | null;
  timeZone?: string;
  deceased?: boolean;
  active?: boolean;
  consent?: Partial<Record<Purpose, ConsentState>>;
}

export interface ClinicOptions {
  country?: string;
  mode?: 'live' | 'test';
  settings?: Partial<ClinicSettings>;
  /** False leaves the clinic without any provider. */
  withChannel?: boolean;
  limits?: { perSecond?: number; concurrency?: number };
  capabilities?: Partial<AdapterCapabilities>;
  answer?: CountingProvider['answer'];
}

export async function outboxClinic(
  t: Pick<Test, 'teardown'>,
  options: ClinicOptions = {},
): Promise<OutboxClinic> {
  const { db } = await testDatabase(t);
  return clinicIn(db, options);
}

/** One more clinic in the same database. */
export async function clinicIn(db: Db, options: ClinicOptions = {}): Promise<OutboxClinic> {
  const clock = fixedClock(noon);
  const provider = countingProvider(options);
  const deps = dispatchDeps(db, clock, [provider.adapter]);
  const clinicId = uuidv7(noon);
  const within: OutboxClinic['in'] = (work) => withClinic(db, clinicId, work);
  await within(async (trx) => {
    await createClinic(
      trx,
      {
        id: clinicId,
        name: 'Clinic',
        timeZone: 'UTC',
        country: options.country ?? 'KZ',
        language: 'en',
        currency: 'USD',
        mode: options.mode ?? 'live',
        testNow: options.mode === 'test' ? noon : null,
        ...(options.settings && { settings: options.settings }),
      },
      noon,
    );
    if (options.withChannel === false) return;
    await trx
      .insertInto('channels')
      .values({
        clinic_id: clinicId,
        channel: 'sms',
        provider: provider.adapter.provider,
        enabled: true,
        tariff: JSON.stringify({ default: '0.05' }),
        limits: JSON.stringify(options.limits ?? {}),
        updated_at: noon,
      })
      .execute();
  });
  let patients = 0;
  return {
    db,
    clinicId,
    clock,
    deps,
    provider,
    in: within,
    addPatient: (patient = {}) => {
      patients += 1;
      const number = String(patients).padStart(7, '0');
      return within((trx) => insertPatient(trx, clinicId, `+7916${number}`, patient));
    },
    enqueue: async (message) => {
      const [id] = await within((trx) =>
        enqueueMessages(trx, clinicId, [{ ...plain(message), ...message }], clock.now()),
      );
      if (id === undefined) throw new Error('The message was not stored.');
      return id;
    },
    message: (id) =>
      within((trx) =>
        trx
          .selectFrom('messages')
          .selectAll()
          .where('clinic_id', '=', clinicId)
          .where('id', '=', id)
          .executeTakeFirstOrThrow(),
      ),
  };
}

const plainMessage = {
  purpose: 'transactional',
  channel: 'sms',
  body: { text: 'We expect you tomorrow.' },
  address: null,
  guard: {},
  state: 'scheduled',
  scheduledAt: noon,
  expiresAt: noon.add({ hours: 48 }),
} as const;

/** Whatever has a template needs no words of its own. */
function plain({ template }: Partial<NewMessage>) {
  const { body, ...others } = plainMessage;
  return template === undefined ? { ...others, body } : others;
}

async function insertPatient(
  trx: Parameters<Parameters<typeof withClinic>[2]>[0],
  clinicId: string,
  usualPhone: string,
  options: PatientOptions,
): Promise<string> {
  const id = uuidv7(noon);
  const phone = options.phone === undefined ? usualPhone : options.phone;
  if (phone !== null) {
    await sql`insert into contact_points (clinic_id, address, kind, country) values (${clinicId}, ${phone}, 'phone', 'RU')
      on conflict do nothing`.execute(trx);
  }
  await trx
    .insertInto('patients')
    .values({
      clinic_id: clinicId,
      id,
      source: 'mis',
      external_id: id,
      is_known: true,
      given: 'Ann',
      active: options.active ?? true,
      deceased: options.deceased ?? false,
      time_zone: options.timeZone ?? null,
      sms_address: phone,
      created_at: noon,
      updated_at: noon,
    })
    .execute();
  if (phone !== null) {
    await trx
      .insertInto('patient_contact_points')
      .values({ clinic_id: clinicId, patient_id: id, address: phone })
      .execute();
  }
  for (const [purpose, state] of Object.entries(options.consent ?? {})) {
    await trx
      .insertInto('consents')
      .values({
        clinic_id: clinicId,
        patient_id: id,
        purpose: purpose as Purpose,
        channel: 'sms',
        state,
        occurred_at: noon,
      })
      .execute();
  }
  return id;
}

export function dispatchDeps(
  db: Db,
  clock: FixedClock,
  adapters: readonly ChannelAdapter[],
): DispatchDeps {
  const find = (channel: Channel, provider: string) =>
    adapters.find((it) => it.channel === channel && it.provider === provider) ??
    findAdapter(channel, provider);
  return {
    db,
    clock,
    secrets: createSecrets(new Uint8Array(32)),
    publicUrl: 'https://retorno.test',
    findAdapter: find,
    http: {
      request: async () => ({ kind: 'not-sent', reason: 'refused' }),
      connect: async () => ({ kind: 'not-sent', reason: 'refused' }),
    },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    faults: () => {},
    random: () => 0.5,
    monotonicMs: () => performance.now(),
    pause: (ms) => pause(ms),
  };
}

/** Stands in for a provider: it counts every message it was given, and answers as told. */
export interface CountingProvider {
  adapter: ProviderAdapter;
  /** By message id: how often it came. */
  taken: Map<string, number>;
  texts: Map<string, string>;
  calls: string[][];
  answer: (message: PreparedMessage) => SendOutcome | Promise<SendOutcome>;
  reconcile: (ref: { id: string; clientRef: string }) => ReconcileOutcome;
}

export function countingProvider(options: ClinicOptions = {}): CountingProvider {
  const provider: CountingProvider = {
    taken: new Map(),
    texts: new Map(),
    calls: [],
    answer: options.answer ?? accepted,
    reconcile: ({ id }) => ({ id, kind: 'not_found', raw: null }),
    adapter: {
      channel: 'sms',
      provider: 'counting',
      isLocal: false,
      credentialsSchema: Type.Object({}),
      optionsSchema: Type.Object({}),
      capabilities: () => ({
        maxBatch: 1,
        batchUniqueBy: 'none',
        sharedClientRef: false,
        concurrency: 10,
        idempotency: 'none',
        reconcile: 'by_client_ref',
        reconcileTiming: { firstAfterMs: 90_000, againAfterMs: 300_000, batchMax: 100 },
        deliveryReceipts: 'push',
        inbound: 'none',
        buttons: null,
        scheduling: false,
        cancel: false,
        templates: 'local',
        body: { encoding: 'gsm7_ucs2', maxChars: 1000 },
        cost: 'local',
        dataRegions: [],
        ...options.capabilities,
      }),
      prepare: (message) => ({
        ...message,
        segments: 1,
        warnings: [],
        batchKey: 'any',
        wire: null,
      }),
      send: async (batch) => {
        provider.calls.push(batch.map(({ id }) => id));
        for (const message of batch) {
          provider.taken.set(message.id, (provider.taken.get(message.id) ?? 0) + 1);
          provider.texts.set(message.id, message.content.text);
        }
        return Promise.all(batch.map((message) => provider.answer(message)));
      },
      reconcile: async (refs) => refs.map((ref) => provider.reconcile(ref)),
      verifyCallback: () => ({ ok: false, reason: 'not_configured' }),
      parseCallback: () => ({ events: [] }),
    },
  };
  return provider;
}

export function accepted({ id, clientRef }: { id: string; clientRef: string }): SendOutcome {
  return { id, kind: 'accepted', providerMessageId: `provider-${clientRef}`, raw: null };
}
