import { type Selectable, sql } from 'kysely';
import { Compile } from 'typebox/compile';
import {
  type AdapterConfig,
  type Channel,
  type ChannelAdapter,
  channelNames,
} from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { ChannelsTable } from '../database/tables.ts';
import { AppError, type Fault } from '../errors.ts';
import type { Clinic } from '../history/clinic.ts';
import { parseMicros } from '../money.ts';
import { schemaFaults } from '../schema-faults.ts';
import type { Secrets } from '../secrets.ts';
import { recheckHeld } from './message-store.ts';

/** Which channels a clinic has, through whom, and at what price. Credentials go in and never come out. */

export interface ChannelLimits {
  perSecond?: number;
  concurrency?: number;
}

/** By country, or `default`: the price of one part as a decimal text. */
export type Tariff = Readonly<Record<string, string>>;

export interface ChannelIn {
  provider: string;
  enabled?: boolean;
  /** Kept as they are if absent and the provider stays. */
  credentials?: object;
  options?: object;
  tariff?: Tariff;
  limits?: ChannelLimits;
}

export interface ChannelView {
  channel: Channel;
  provider: string;
  enabled: boolean;
  hasCredentials: boolean;
  options: object;
  tariff: Tariff;
  limits: ChannelLimits;
  /** Null while it works; else why its messages wait, and until when. */
  paused: { reason: string; since: Temporal.Instant; resumeAt: Temporal.Instant | null } | null;
  /** Names this channel in the address that the provider calls. */
  callbackId: string;
  updatedAt: Temporal.Instant;
}

export interface ChannelDeps {
  secrets: Secrets;
  /** Without a slash at its end. */
  publicUrl: string;
  findAdapter: (channel: Channel, provider: string) => ChannelAdapter | null;
}

/** A channel that a message can leave by. */
export interface EffectiveChannel {
  channel: Channel;
  provider: string;
  adapter: ChannelAdapter;
  config: AdapterConfig;
  tariff: Tariff;
  limits: ChannelLimits;
  /** Until when its messages wait; null while it works. */
  resumeAt: Temporal.Instant | null;
  /** Since when it rests. */
  pausedAt: Temporal.Instant | null;
  /** Whether it may be chosen for a patient who named no channel; the inbox only once it was set up. */
  isOffered: boolean;
}

const columns = [
  'channel',
  'provider',
  'enabled',
  'credentials',
  'options',
  'tariff',
  'limits',
  'paused_reason',
  'paused_at',
  'resume_at',
  'updated_at',
] as const;

type Row = Pick<Selectable<ChannelsTable>, (typeof columns)[number]>;

/**
 * Sets a channel up, whole; what was paused is tried again at once.
 * @throws AppError `validation` naming every fault.
 */
export async function putChannel(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  channel: Channel,
  input: ChannelIn,
  now: Temporal.Instant,
): Promise<ChannelView> {
  const before = await findRow(trx, clinic.id, channel);
  const kept = before?.provider === input.provider ? before.credentials : null;
  const adapter = checkChannel(deps, channel, input, kept !== null);
  const credentials = input.credentials
    ? deps.secrets.seal(JSON.stringify(input.credentials), sealContext(clinic.id, channel))
    : kept;
  const values = {
    provider: adapter.provider,
    enabled: input.enabled ?? true,
    credentials,
    options: JSON.stringify(input.options ?? {}),
    tariff: JSON.stringify(input.tariff ?? {}),
    limits: JSON.stringify(input.limits ?? {}),
    paused_reason: null,
    paused_at: null,
    resume_at: null,
    updated_at: now,
  };
  const row = await trx
    .insertInto('channels')
    .values({ clinic_id: clinic.id, channel, ...values })
    .onConflict((conflict) => conflict.columns(['clinic_id', 'channel']).doUpdateSet(values))
    .returning(columns)
    .executeTakeFirstOrThrow();
  await recheckHeld(trx, clinic.id, { reasons: ['channel-paused'] }, now);
  return toView(clinic.id, row);
}

function checkChannel(
  deps: ChannelDeps,
  channel: Channel,
  input: ChannelIn,
  hasKept: boolean,
): ChannelAdapter {
  const adapter = deps.findAdapter(channel, input.provider);
  if (adapter === null || adapter.provider === sandboxProvider) {
    throw refused([
      {
        pointer: '/provider',
        code: 'unknown-provider',
        detail: `The channel ${channel} has no such provider.`,
      },
    ]);
  }
  const credentials = input.credentials ?? (hasKept ? null : {});
  const faults = [
    ...(credentials === null
      ? []
      : schemaFaultsAt('/credentials', adapter.credentialsSchema, credentials)),
    ...schemaFaultsAt('/options', adapter.optionsSchema, input.options ?? {}),
    ...tariffFaults(input.tariff ?? {}),
  ];
  if (faults.length > 0) throw refused(faults);
  return adapter;
}

function schemaFaultsAt(
  pointer: string,
  schema: ChannelAdapter['optionsSchema'],
  value: object,
): Fault[] {
  const check = Compile(schema);
  if (check.Check(value)) return [];
  return schemaFaults(check.Errors(value)).map((fault) => ({
    ...fault,
    pointer: pointer + fault.pointer,
  }));
}

const tariffKeyForm = /^(?:[A-Z]{2}|default)$/;

function tariffFaults(tariff: Tariff): Fault[] {
  return Object.entries(tariff)
    .filter(([country, price]) => !tariffKeyForm.test(country) || parseMicros(price) === null)
    .map(([country]) => ({
      pointer: `/tariff/${country.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      code: 'tariff',
      detail: 'A price is a decimal of up to six places, by a country of two letters or default.',
    }));
}

function refused(faults: Fault[]): AppError {
  return new AppError('validation', 'The channel cannot be set up like this.', { faults });
}

export async function getChannel(
  trx: Trx,
  clinicId: string,
  channel: Channel,
): Promise<ChannelView | null> {
  const row = await findRow(trx, clinicId, channel);
  return row ? toView(clinicId, row) : null;
}

export async function listChannels(trx: Trx, clinicId: string): Promise<ChannelView[]> {
  const rows = await trx
    .selectFrom('channels')
    .select(columns)
    .where('clinic_id', '=', clinicId)
    .orderBy('channel')
    .execute();
  return rows.map((row) => toView(clinicId, row));
}

async function findRow(trx: Trx, clinicId: string, channel: Channel): Promise<Row | undefined> {
  return trx
    .selectFrom('channels')
    .select(columns)
    .where('clinic_id', '=', clinicId)
    .where('channel', '=', channel)
    .executeTakeFirst();
}

function toView(clinicId: string, row: Row): ChannelView {
  return {
    channel: row.channel,
    provider: row.provider,
    enabled: row.enabled,
    hasCredentials: row.credentials !== null,
    options: row.options,
    tariff: row.tariff,
    limits: row.limits,
    paused:
      row.paused_reason !== null && row.paused_at !== null
        ? { reason: row.paused_reason, since: row.paused_at, resumeAt: row.resume_at }
        : null,
    callbackId: callbackId(clinicId, row.channel),
    updatedAt: row.updated_at,
  };
}

/** Stands in for every provider of a test clinic. */
export const sandboxProvider = 'sandbox';

const providerChannels: readonly Channel[] = ['sms', 'email', 'whatsapp', 'telegram'];

/**
 * The channels by which a clinic's messages can leave. A test clinic has all that need a provider, in
 * the sandbox; the webhook is there once it was set up, the inbox and staff tasks always.
 */
export async function effectiveChannels(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
): Promise<Map<Channel, EffectiveChannel>> {
  const rows = await trx
    .selectFrom('channels')
    .select(columns)
    .where('clinic_id', '=', clinic.id)
    .execute();
  const byChannel = new Map(rows.map((row) => [row.channel, row]));
  const channels = new Map<Channel, EffectiveChannel>();
  for (const channel of channelNames) {
    const effective = effectiveChannel(deps, clinic, channel, byChannel.get(channel));
    if (effective) channels.set(channel, effective);
  }
  return channels;
}

function effectiveChannel(
  deps: ChannelDeps,
  clinic: Clinic,
  channel: Channel,
  row: Row | undefined,
): EffectiveChannel | null {
  if (clinic.mode === 'test' && providerChannels.includes(channel)) {
    if (row?.enabled === false) return null;
    const adapter = deps.findAdapter(channel, sandboxProvider);
    return adapter && withDefaults(deps, clinic.id, adapter, { tariff: row?.tariff ?? {} });
  }
  if (channel === 'task' || (channel === 'inbox' && row === undefined)) {
    const adapter = deps.findAdapter(channel, channel);
    const given = { tariff: row?.tariff ?? {}, isOffered: false };
    return adapter && withDefaults(deps, clinic.id, adapter, given);
  }
  if (!row?.enabled) return null;
  const adapter = deps.findAdapter(channel, row.provider);
  return adapter && openRow(deps, clinic.id, adapter, row);
}

function openRow(
  deps: ChannelDeps,
  clinicId: string,
  adapter: ChannelAdapter,
  row: Row,
): EffectiveChannel {
  const credentials: object =
    row.credentials === null
      ? {}
      : JSON.parse(deps.secrets.open(row.credentials, sealContext(clinicId, row.channel)));
  return withDefaults(deps, clinicId, adapter, {
    credentials,
    options: row.options,
    tariff: row.tariff,
    limits: row.limits,
    resumeAt: row.resume_at,
    pausedAt: row.paused_at,
  });
}

function withDefaults(
  deps: ChannelDeps,
  clinicId: string,
  adapter: ChannelAdapter,
  given: Partial<
    Pick<EffectiveChannel, 'tariff' | 'limits' | 'resumeAt' | 'pausedAt' | 'isOffered'> & {
      credentials: object;
      options: object;
    }
  >,
): EffectiveChannel {
  return {
    channel: adapter.channel,
    provider: adapter.provider,
    adapter,
    config: {
      credentials: given.credentials ?? {},
      options: given.options ?? {},
      callbackUrl: `${deps.publicUrl}/v1/callbacks/${callbackId(clinicId, adapter.channel)}`,
    },
    tariff: given.tariff ?? {},
    limits: given.limits ?? {},
    resumeAt: given.resumeAt ?? null,
    pausedAt: given.pausedAt ?? null,
    isOffered: given.isOffered ?? true,
  };
}

/** For callbacks and questions about old messages: also a channel that is switched off or paused. */
export async function findConfiguredChannel(
  deps: ChannelDeps,
  trx: Trx,
  clinicId: string,
  channel: Channel,
): Promise<EffectiveChannel | null> {
  const row = await findRow(trx, clinicId, channel);
  const adapter = row && deps.findAdapter(channel, row.provider);
  return row && adapter ? openRow(deps, clinicId, adapter, row) : null;
}

/** Holds a channel's messages until then: the provider refuses the account, or is away. What rested already goes on resting. */
export async function pauseChannel(
  trx: Trx,
  clinicId: string,
  channel: Channel,
  pause: { reason: string; resumeAt: Temporal.Instant },
  now: Temporal.Instant,
): Promise<void> {
  await trx
    .updateTable('channels')
    .set({
      paused_reason: pause.reason,
      paused_at: sql`coalesce(paused_at, ${now}::timestamptz)`,
      resume_at: pause.resumeAt,
    })
    .where('clinic_id', '=', clinicId)
    .where('channel', '=', channel)
    .execute();
}

/** After a send that went well, or when somebody has put things right: what waited is due at once. */
export async function resumeChannel(
  trx: Trx,
  clinicId: string,
  channel: Channel,
  now: Temporal.Instant,
): Promise<void> {
  await trx
    .updateTable('channels')
    .set({ paused_reason: null, paused_at: null, resume_at: null })
    .where('clinic_id', '=', clinicId)
    .where('channel', '=', channel)
    .where('paused_reason', 'is not', null)
    .execute();
  await recheckHeld(trx, clinicId, { reasons: ['channel-paused'] }, now);
}

const uuidBytes = 16;

/** Carries the clinic, so that a callback finds it without a search over all of them. */
export function callbackId(clinicId: string, channel: Channel): string {
  const clinic = Buffer.from(clinicId.replaceAll('-', ''), 'hex');
  return Buffer.concat([clinic, Buffer.from(channel)]).toString('base64url');
}

/** @returns null for what is no such id. */
export function parseCallbackId(id: string): { clinicId: string; channel: Channel } | null {
  const bytes = Buffer.from(id, 'base64url');
  const channel = channelNames.find((name) => name === bytes.toString('latin1', uuidBytes));
  if (channel === undefined) return null;
  const hex = bytes.toString('hex', 0, uuidBytes);
  const clinicId = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  return { clinicId, channel };
}

function sealContext(clinicId: string, channel: Channel): string {
  return `${clinicId}/channels/${channel}/credentials`;
}
