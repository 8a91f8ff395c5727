import { type Static, Type } from 'typebox';
import { channelNames } from '../../channels/channel.ts';
import { defaultProvider } from '../../channels/registry.ts';
import { invalid, notFound } from '../../errors.ts';
import type { Clinic } from '../../history/clinic.ts';
import { formatMicros } from '../../money.ts';
import {
  type ChannelView,
  type EffectiveChannel,
  findConfiguredChannel,
  getChannel,
  listChannels,
  putChannel,
  resumeChannel,
} from '../../outbox/channel-store.ts';
import { channelWarnings } from '../../outbox/data-regions.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { wholeListOf } from '../page.ts';
import { Warning } from '../policy-words.ts';
import { ChannelName, Instant, Money, nullable, strict } from '../words.ts';

const Tariff = Type.Record(Type.String(), Type.String({ maxLength: 20 }), {
  maxProperties: 300,
  description: 'The price of one part by country, or `default`.',
  examples: [{ RU: '2.50', default: '4.00' }],
});

const Limits = strict(
  {
    perSecond: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000, description: 'Messages a second.' }),
    ),
    concurrency: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000, description: 'Calls at once.' }),
    ),
  },
  { description: 'Below what the provider itself takes.' },
);

const Options = Type.Object(
  {},
  {
    description: "What the provider's adapter offers, such as `sender` and `baseUrl`.",
    examples: [{ sender: 'CLINIC' }],
  },
);

const ChannelIn = strict(
  {
    provider: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 50,
        description: "Who delivers; the channel's first if absent, such as `smsc` for SMS.",
        examples: ['smsc'],
      }),
    ),
    enabled: Type.Optional(Type.Boolean({ description: 'On unless told.' })),
    credentials: Type.Optional(
      Type.Object(
        {},
        {
          description: 'Stored encrypted, never shown; kept if absent.',
          examples: [{ apiKey: '…' }],
        },
      ),
    ),
    options: Type.Optional(Options),
    tariff: Type.Optional(Tariff),
    limits: Type.Optional(Limits),
  },
  { title: 'ChannelIn' },
);

const ChannelOut = Type.Object(
  {
    channel: ChannelName,
    provider: Type.String({ description: 'Who delivers.' }),
    enabled: Type.Boolean(),
    hasCredentials: Type.Boolean(),
    options: Options,
    tariff: Tariff,
    limits: Limits,
    paused: nullable(
      Type.Object({ reason: Type.String(), since: Instant, resumeAt: nullable(Instant) }),
    ),
    callbackUrl: Type.String({ description: 'Where the provider reports to.' }),
    warnings: Type.Array(Warning, {
      description: 'Such as a provider that takes data out of the region the country wants.',
    }),
    updatedAt: Instant,
  },
  { title: 'Channel', description: 'A way to patients, and through whom.' },
);

const HealthOut = Type.Object(
  {
    ok: Type.Boolean(),
    balance: nullable(Money),
    detail: nullable(Type.String({ description: 'Our words for what is wrong.' })),
  },
  { title: 'ChannelHealth' },
);

/** A provider that says nothing for so long does not work. */
const healthMs = 8_000;

const Params = Type.Object({ channel: Type.String({ description: channelNames.join(', ') }) });

export const channelRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/channels',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listChannels',
        tags: ['Engagement'],
        summary: 'List the channels that were set up',
        response: { 200: wholeListOf(ChannelOut) },
      },
    },
    async (request) => {
      const { clinic, clinicId, run } = atClinic(deps, request);
      const channels = await run((trx) => listChannels(trx, clinicId));
      return { data: channels.map((channel) => toOut(deps, clinic, channel)), nextCursor: null };
    },
  );

  app.get(
    '/v1/channels/:channel',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getChannel',
        tags: ['Engagement'],
        summary: 'Show a channel, without its credentials',
        params: Params,
        response: { 200: ChannelOut },
      },
    },
    async (request) => {
      const { clinic, clinicId, run } = atClinic(deps, request);
      const name = channelOf(request.params.channel);
      const channel = await run((trx) => getChannel(trx, clinicId, name));
      if (channel === null) throw notFound('channel');
      return toOut(deps, clinic, channel);
    },
  );

  app.put(
    '/v1/channels/:channel',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'putChannel',
        tags: ['Engagement'],
        summary: 'Set a channel up whole; what waited for it is tried again',
        params: Params,
        body: ChannelIn,
        response: { 200: ChannelOut },
      },
    },
    async (request) => {
      const { clinic, now, run } = atClinic(deps, request);
      const name = channelOf(request.params.channel);
      const { provider = defaultProvider(name) } = request.body;
      if (provider === null) throw invalid('/provider', 'missing', 'This field is required.');
      const wish = { ...request.body, provider };
      const stored = await run((trx) => putChannel(deps, trx, clinic, name, wish, now));
      return toOut(deps, clinic, stored);
    },
  );

  app.post(
    '/v1/channels/:channel/resume',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'resumeChannel',
        tags: ['Engagement'],
        summary: 'End the rest of a channel, once what its provider refused is put right',
        params: Params,
        response: { 200: ChannelOut },
      },
    },
    async (request) => {
      const { clinic, clinicId, now, run } = atClinic(deps, request);
      const name = channelOf(request.params.channel);
      const resumed = await run(async (trx) => {
        await resumeChannel(trx, clinicId, name, now);
        return getChannel(trx, clinicId, name);
      });
      if (resumed === null) throw notFound('channel');
      return toOut(deps, clinic, resumed);
    },
  );

  app.post(
    '/v1/channels/:channel/test',
    {
      config: { access: 'manage', ticks: false },
      schema: {
        operationId: 'testChannel',
        tags: ['Engagement'],
        summary: 'Ask the provider whether the credentials work; nothing is sent to anybody',
        params: Params,
        response: { 200: HealthOut },
      },
    },
    async (request) => {
      const { clinic, clinicId, run } = atClinic(deps, request);
      const name = channelOf(request.params.channel);
      const channel = await run((trx) => findConfiguredChannel(deps, trx, clinicId, name));
      if (channel === null) throw notFound('channel');
      return askHealth(deps, clinic, channel, request.signal);
    },
  );
};

/** A test clinic reaches no provider, not even to ask. */
async function askHealth(
  deps: AppDeps,
  clinic: Clinic,
  { adapter, config }: EffectiveChannel,
  signal: AbortSignal,
): Promise<Static<typeof HealthOut>> {
  if (adapter.isLocal || adapter.health === undefined || clinic.mode === 'test') {
    return { ok: true, balance: null, detail: null };
  }
  const now = () => deps.clock.now();
  const deadline = now().add({ milliseconds: healthMs });
  const context = { signal, deadline, http: deps.http, log: deps.log, now };
  const { ok, balance, detail = null } = await adapter.health(config, context);
  const shown = balance && {
    amount: formatMicros(balance.micros, balance.currency),
    currency: balance.currency,
  };
  return { ok, balance: shown ?? null, detail };
}

function channelOf(name: string) {
  const known = channelNames.find((channel) => channel === name);
  if (known === undefined) throw notFound('channel');
  return known;
}

function toOut(deps: AppDeps, clinic: Clinic, channel: ChannelView) {
  const { callbackId, paused, updatedAt, ...view } = channel;
  return {
    ...view,
    paused: paused && {
      reason: paused.reason,
      since: paused.since.toString(),
      resumeAt: paused.resumeAt?.toString() ?? null,
    },
    callbackUrl: `${deps.publicUrl}/v1/callbacks/${callbackId}`,
    warnings: channelWarnings(deps, clinic, channel),
    updatedAt: updatedAt.toString(),
  };
}
