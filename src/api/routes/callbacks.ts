import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { ProviderAdapter, RawRequest } from '../../channels/channel.ts';
import { withClinic } from '../../database/with-clinic.ts';
import { AppError, notFound } from '../../errors.ts';
import { clinicNow } from '../../history/clinic.ts';
import { findClinic } from '../../history/clinic-store.ts';
import {
  type EffectiveChannel,
  findConfiguredChannel,
  parseCallbackId,
} from '../../outbox/channel-store.ts';
import { linkChats } from '../../replies/link-chat.ts';
import { recordNews } from '../../replies/record-news.ts';
import type { App } from '../app-types.ts';
import { bodyBytesMax } from '../bodies.ts';
import type { AppDeps } from '../deps.ts';

/** Where providers report to: signatures cover bytes, so that nothing is parsed before they are checked. */

const callbackBytesMax = 4 * bodyBytesMax;
const Params = Type.Object({
  channelId: Type.String({ description: 'From the channel’s `callbackUrl`.' }),
});
const Answer = Type.String({ description: 'What the provider wants to hear.' });
const acceptAnything = () => (value: unknown) => ({ value });

export const callbackRoutes = (deps: AppDeps) => async (app: App) => {
  app.removeAllContentTypeParsers();
  const options = { parseAs: 'buffer', bodyLimit: callbackBytesMax } as const;
  app.addContentTypeParser('*', options, async (_request: unknown, body: Buffer | string) => body);

  app.get(
    '/v1/callbacks/:channelId',
    {
      config: { access: 'public' },
      validatorCompiler: acceptAnything,
      schema: {
        operationId: 'answerHandshake',
        tags: ['System'],
        summary:
          "Answer a provider's proof that the address is ours, or take a report in the query",
        params: Params,
        response: { 200: Answer },
      },
    },
    async (request, reply) => take(deps, request, reply),
  );

  app.post(
    '/v1/callbacks/:channelId',
    {
      config: { access: 'public' },
      validatorCompiler: acceptAnything,
      bodyLimit: callbackBytesMax,
      schema: {
        operationId: 'takeCallback',
        tags: ['System'],
        summary: 'Take what a provider reports: receipts, replies, unsubscriptions',
        params: Params,
        response: { 200: Answer },
      },
    },
    async (request, reply) => take(deps, request, reply),
  );
};

async function take(
  deps: AppDeps,
  request: FastifyRequest<{ Params: { channelId: string } }>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const named = parseCallbackId(request.params.channelId);
  if (named === null) throw notFound('channel');
  const { clinicId, channel } = named;
  const found = await withClinic(deps.db, clinicId, async (trx) => ({
    clinic: await findClinic(trx, clinicId),
    configured: await findConfiguredChannel(deps, trx, clinicId, channel),
  }));
  const { clinic, configured } = found;
  if (clinic === null || configured === null || configured.adapter.isLocal) {
    throw notFound('channel');
  }
  const { adapter } = configured;
  const raw = rawOf(deps, request);
  const handshake = adapter.handshake?.(raw, configured.config) ?? null;
  if (handshake !== null)
    return reply.code(handshake.status).type('text/plain').send(handshake.body);
  verify(adapter, raw, configured);
  const parsed = adapter.parseCallback(raw, configured.config);
  const now = clinicNow(clinic, deps.clock);
  const { others, answer } = await linkChats(deps, clinic, channel, parsed.events, now);
  await recordNews(deps.db, clinic, channel, others, now);
  const said = answer && adapter.answer?.(answer.to, answer.text);
  const { status = 200, headers = {}, body = '' } = said ?? parsed.reply ?? {};
  return reply.code(status).headers(headers).send(body);
}

function verify(adapter: ProviderAdapter, raw: RawRequest, { config }: EffectiveChannel): void {
  const verdict = adapter.verifyCallback(raw, config);
  if (!verdict.ok) throw new AppError('unauthorized', 'The signature does not hold.');
}

function rawOf({ publicUrl, clock }: AppDeps, request: FastifyRequest): RawRequest {
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : value,
    ]),
  );
  return {
    method: request.method,
    url: `${publicUrl}${request.url}`,
    headers,
    rawBody: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
    remoteIp: request.ip,
    receivedAt: clock.now(),
  };
}
