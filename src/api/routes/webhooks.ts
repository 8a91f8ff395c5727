import { type Static, Type } from 'typebox';
import { notFound } from '../../errors.ts';
import { hostEventPatterns } from '../../history/host-event.ts';
import { callReceiver } from '../../outbox/webhooks/deliver.ts';
import {
  listDeliveries,
  replayDelivery,
  replayMax,
  replaySince,
} from '../../outbox/webhooks/delivery-store.ts';
import { findReceiver, openReceiver } from '../../outbox/webhooks/receiver-store.ts';
import {
  type Delivery,
  deliveryStates,
  type Webhook,
  webhookNamePattern,
  webhookStates,
  webhookUrlCharsMax,
} from '../../outbox/webhooks/webhook.ts';
import {
  deleteWebhook,
  findWebhook,
  listWebhooks,
  putWebhook,
  resumeWebhook,
  rotateSecret,
  type StoredWebhook,
} from '../../outbox/webhooks/webhook-store.ts';
import { isUuid, uuidv7 } from '../../uuid.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { pageOf, pageQuery, pager, readInstant, wholeListOf } from '../page.ts';
import { done, Id, Instant, nullable, strict } from '../words.ts';

const Url = Type.String({
  minLength: 1,
  maxLength: webhookUrlCharsMax,
  description: 'Where to post: https, without a redirect, at a public address.',
  examples: ['https://mis.example.org/hooks/retorno'],
});
const Events = Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
  minItems: 1,
  maxItems: 50,
  uniqueItems: true,
  description: `What to tell: ${hostEventPatterns.map((pattern) => `\`${pattern}\``).join(', ')}.`,
  examples: [['appointment.*', 'message.delivered']],
});
const secretAbout = 'Signs each call by Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.';

const WebhookIn = strict(
  {
    url: Url,
    events: Events,
    secret: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        description: `${secretAbout} Made if absent and there is none; another than before is a rotation.`,
        examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
      }),
    ),
  },
  { title: 'WebhookIn' },
);

const WebhookOut = Type.Object(
  {
    name: Type.String({ examples: ['mis'] }),
    url: Url,
    events: Events,
    state: Type.Enum([...webhookStates], {
      description:
        '`paused`: its receiver failed for days, and what happens is kept for it. `disabled`: it answered 410.',
    }),
    stoppedAt: nullable(Instant),
    failingSince: nullable(Instant),
    rotatesUntil: nullable(Instant),
    waiting: Type.Integer({ description: 'Events it has not heard yet.' }),
    createdAt: Instant,
    updatedAt: Instant,
    secret: Type.Optional(
      Type.String({ description: `${secretAbout} Shown when it is made, never again.` }),
    ),
  },
  { title: 'Webhook', description: "A receiver of the host's, and what it is told." },
);

const Attempt = Type.Object({
  at: Instant,
  durationMs: Type.Integer(),
  status: nullable(Type.Integer({ description: 'What was answered; never its body.' })),
  reason: nullable(Type.String({ description: 'Why no whole answer came, such as `timeout`.' })),
});

const DeliveryOut = Type.Object(
  {
    id: Type.String({ description: 'The id of the event: `webhook-id` of every attempt.' }),
    type: Type.String({ examples: ['message.delivered'] }),
    state: Type.Enum([...deliveryStates]),
    timestamp: Type.String({ description: "When it happened, by the clinic's clock." }),
    nextAttemptAt: nullable(Instant),
    settledAt: nullable(Instant),
    attempts: Type.Array(Attempt, { description: 'The last 20, in their order.' }),
  },
  { title: 'WebhookDelivery', description: 'How far one event has come to one webhook.' },
);

const TestedOut = Type.Object(
  {
    ok: Type.Boolean({ description: 'Whether it was answered with a 2xx.' }),
    status: nullable(Type.Integer()),
    reason: nullable(Type.String({ description: 'Why no whole answer came.' })),
    durationMs: Type.Integer(),
  },
  { title: 'WebhookTested' },
);

const Params = Type.Object({
  name: Type.String({
    pattern: webhookNamePattern,
    description: "The host's name for it.",
    examples: ['mis'],
  }),
});

const tags = ['Engagement'] as const;
/** Below the time that a request may take. */
const testCallMs = 8_000;

export const webhookRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/webhooks',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listWebhooks',
        tags: [...tags],
        summary: 'List the webhooks of the host by name',
        response: { 200: wholeListOf(WebhookOut) },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const webhooks = await run((trx) => listWebhooks(trx, clinicId));
      return { data: webhooks.map(toOut), nextCursor: null };
    },
  );

  app.put(
    '/v1/webhooks/:name',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'putWebhook',
        tags: [...tags],
        summary: 'Set up a webhook whole; one that was paused is told again',
        params: Params,
        body: WebhookIn,
        response: { 200: WebhookOut, 201: WebhookOut },
      },
    },
    async (request, reply) => {
      const { caller, clinicId, run } = atClinic(deps, request);
      const wish = { ...request.body, name: request.params.name, source: caller.source };
      const stored = await run((trx) => putWebhook(deps, trx, clinicId, wish, deps.clock.now()));
      reply.code(stored.isNew ? 201 : 200);
      return toOutWithSecret(stored);
    },
  );

  app.get(
    '/v1/webhooks/:name',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getWebhook',
        tags: [...tags],
        summary: 'Show a webhook and how far it is behind',
        params: Params,
        response: { 200: WebhookOut },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const webhook = await run((trx) => findWebhook(trx, clinicId, request.params.name));
      if (webhook === null) throw notFound('webhook');
      return toOut(webhook);
    },
  );

  app.delete(
    '/v1/webhooks/:name',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'deleteWebhook',
        tags: [...tags],
        summary: 'Delete a webhook, with all that waits for it',
        params: Params,
        response: { 204: done('Deleted.') },
      },
    },
    async (request, reply) => {
      const { clinicId, run } = atClinic(deps, request);
      const wasThere = await run((trx) => deleteWebhook(trx, clinicId, request.params.name));
      if (!wasThere) throw notFound('webhook');
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/v1/webhooks/:name/resume',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'resumeWebhook',
        tags: [...tags],
        summary: 'Tell a paused webhook again, from the oldest event kept for it',
        params: Params,
        response: { 200: WebhookOut },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const { name } = request.params;
      const webhook = await run((trx) => resumeWebhook(trx, clinicId, name, deps.clock.now()));
      if (webhook === null) throw notFound('webhook');
      return toOut(webhook);
    },
  );

  app.post(
    '/v1/webhooks/:name/rotate',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'rotateWebhook',
        tags: [...tags],
        summary: 'Make another secret; the one before signs too for 24 hours',
        params: Params,
        response: { 200: WebhookOut },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const { name } = request.params;
      const stored = await run((trx) => rotateSecret(deps, trx, clinicId, name, deps.clock.now()));
      if (stored === null) throw notFound('webhook');
      return toOutWithSecret(stored);
    },
  );

  app.post(
    '/v1/webhooks/:name/test',
    {
      config: { access: 'manage', ticks: false },
      schema: {
        operationId: 'testWebhook',
        tags: [...tags],
        summary: 'Post an event `webhook.test` now, and tell what was answered',
        params: Params,
        response: { 200: TestedOut },
      },
    },
    async (request): Promise<Static<typeof TestedOut>> => {
      const { clinicId, now, run } = atClinic(deps, request);
      const sealed = await run((trx) => findReceiver(trx, clinicId, request.params.name));
      if (sealed === null) throw notFound('webhook');
      const receiver = openReceiver(deps.secrets, clinicId, sealed, deps.clock.now());
      const event = { id: uuidv7(now), type: 'webhook.test', timestamp: now.toString(), data: {} };
      const call = { id: event.id, body: JSON.stringify(event) };
      const { status, reason, durationMs } = (await callReceiver(deps, receiver, call, testCallMs))
        .attempt;
      return { ok: status !== null && status >= 200 && status < 300, status, reason, durationMs };
    },
  );

  app.get(
    '/v1/webhooks/:name/deliveries',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listWebhookDeliveries',
        tags: [...tags],
        summary:
          'List what a webhook was told or is to be told, the latest first; kept for 30 days',
        params: Params,
        querystring: strict({ ...pageQuery, state: Type.Optional(Type.Enum([...deliveryStates])) }),
        response: { 200: pageOf(DeliveryOut) },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const { name } = request.params;
      const { state } = request.query;
      const { after, rowsWanted, toPage } = pager(deps, request, clinicId);
      const page = {
        ...(state && { state }),
        afterPosition: after?.[0] ?? null,
        limit: rowsWanted,
      };
      const deliveries = await run(async (trx) => {
        if ((await findWebhook(trx, clinicId, name)) === null) throw notFound('webhook');
        return listDeliveries(trx, clinicId, name, page);
      });
      return toPage(deliveries, ({ position }) => [position], toDeliveryOut);
    },
  );

  app.post(
    '/v1/webhooks/:name/deliveries/:eventId/replay',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'replayWebhookDelivery',
        tags: [...tags],
        summary: 'Tell one event once more, under the same id',
        params: Type.Object({ ...Params.properties, eventId: Id }),
        response: { 202: done('It is told again.') },
      },
    },
    async (request, reply) => {
      const { clinicId, run } = atClinic(deps, request);
      const { name, eventId } = request.params;
      const wasThere =
        isUuid(eventId) && (await run((trx) => replayDelivery(trx, clinicId, name, eventId)));
      if (!wasThere) throw notFound('delivery');
      return reply.code(202).send(null);
    },
  );

  app.post(
    '/v1/webhooks/:name/replay',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'replayWebhook',
        tags: [...tags],
        summary:
          'Tell all that happened since an instant once more, the oldest first, under the same ids',
        params: Params,
        body: strict(
          {
            since: Type.String({
              minLength: 1,
              maxLength: 40,
              description: "By the clinic's clock; events are kept for 30 days.",
              examples: ['2026-03-28T15:00:00Z'],
            }),
          },
          { title: 'WebhookReplayIn' },
        ),
        response: {
          202: Type.Object(
            {
              replayed: Type.Integer({ description: `How many; at most ${replayMax} a call.` }),
              next: nullable(
                Type.String({ description: '`since` of the next call; null where that was all.' }),
              ),
            },
            { title: 'WebhookReplayed' },
          ),
        },
      },
    },
    async (request, reply) => {
      const { clinic, clinicId, run } = atClinic(deps, request);
      const { name } = request.params;
      const since = readInstant(request.body.since, clinic.timeZone, '/since');
      const { replayed, next } = await run(async (trx) => {
        if ((await findWebhook(trx, clinicId, name)) === null) throw notFound('webhook');
        return replaySince(trx, clinicId, name, since);
      });
      reply.code(202);
      return { replayed, next: next?.toString() ?? null };
    },
  );
};

function toOutWithSecret({ webhook, secret }: StoredWebhook): Static<typeof WebhookOut> {
  return { ...toOut(webhook), ...(secret !== null && { secret }) };
}

function toOut(webhook: Webhook): Static<typeof WebhookOut> {
  return {
    ...webhook,
    stoppedAt: webhook.stoppedAt?.toString() ?? null,
    failingSince: webhook.failingSince?.toString() ?? null,
    rotatesUntil: webhook.rotatesUntil?.toString() ?? null,
    createdAt: webhook.createdAt.toString(),
    updatedAt: webhook.updatedAt.toString(),
  };
}

function toDeliveryOut(delivery: Delivery): Static<typeof DeliveryOut> {
  const { id, type, state, timestamp, nextAttemptAt, settledAt, attempts } = delivery;
  return {
    ...{ id, type, state },
    timestamp: timestamp.toString(),
    nextAttemptAt: nextAttemptAt?.toString() ?? null,
    settledAt: settledAt?.toString() ?? null,
    attempts: attempts.map((attempt) => ({ ...attempt, at: attempt.at.toString() })),
  };
}
