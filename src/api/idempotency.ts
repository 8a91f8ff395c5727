import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { withClinic } from '../database/with-clinic.ts';
import { AppError, invalid } from '../errors.ts';
import {
  type Claim,
  claimIdempotencyKey,
  forgetIdempotencyKeys,
  type IdempotencyRef,
  releaseIdempotencyKey,
  storeIdempotentAnswer,
} from '../history/idempotency-store.ts';
import type { App } from './app-types.ts';
import type { AppDeps } from './deps.ts';

/**
 * `Idempotency-Key` on any POST of a clinic: the first request runs, its repetitions get its answer. An
 * answer of 5xx or 429 is not kept, since nothing was done.
 */

declare module 'fastify' {
  interface FastifyRequest {
    idempotency: { clinicId: string; ref: IdempotencyRef } | null;
  }
}

const keptDays = 35;
/** Longer than any handler may run, so that no two run at once. */
const abandonedAfterMs = 6 * 60_000;
const keyForm = /^[!-~]{1,255}$/;
const sweptAtOnce = 1_000;
const sweepEveryMs = 3_600_000;

export function addIdempotency(app: App, deps: AppDeps): void {
  const sweptAt = new Map<string, number>();
  app.decorateRequest('idempotency', null);

  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key'];
    const caller = request.callerOrNull;
    if (key === undefined || request.method !== 'POST' || caller === null) return;
    if (typeof key !== 'string' || !keyForm.test(key)) {
      throw invalid(
        '',
        'idempotency-key',
        'An Idempotency-Key is 1 to 255 visible ASCII characters.',
      );
    }
    const ref = { keyId: caller.keyId, route: `POST ${request.routeOptions.url}`, key };
    const claim = await withClinic(deps.db, caller.clinicId, async (trx) => {
      if (isSweepDue(sweptAt, caller.clinicId)) {
        await forgetIdempotencyKeys(trx, caller.clinicId, keptDays, sweptAtOnce);
      }
      const terms = { abandonedAfterMs, keptDays };
      return claimIdempotencyKey(trx, caller.clinicId, ref, hashRequest(deps, request), terms);
    });
    if (claim.kind === 'first') {
      request.idempotency = { clinicId: caller.clinicId, ref };
      return;
    }
    return replay(deps, caller.clinicId, claim, reply);
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const claimed = request.idempotency;
    if (claimed === null) return payload;
    request.idempotency = null;
    await withClinic(deps.db, claimed.clinicId, async (trx) => {
      if (!isWorthKeeping(reply.statusCode) || typeof payload !== 'string') {
        return releaseIdempotencyKey(trx, claimed.clinicId, claimed.ref);
      }
      const kept = JSON.stringify({ type: reply.getHeader('content-type'), payload });
      const sealed = deps.secrets.seal(kept, sealContext(claimed.clinicId));
      const answer = { status: reply.statusCode, sealed };
      return storeIdempotentAnswer(trx, claimed.clinicId, claimed.ref, answer);
    });
    return payload;
  });
}

/** The path's ids and the query count as well as the body: the same key on another object is another request. */
function hashRequest(deps: AppDeps, request: FastifyRequest): Buffer {
  // Of a stream nothing has come yet but its length; its lines have ids of their own.
  const isStream = request.body instanceof Readable;
  const body = isStream ? (request.headers['content-length'] ?? 'stream') : (request.body ?? null);
  const asked = JSON.stringify([request.params, request.query, body]);
  return deps.secrets.mac('idempotency', asked);
}

function replay(
  deps: AppDeps,
  clinicId: string,
  claim: Exclude<Claim, { kind: 'first' }>,
  reply: FastifyReply,
): FastifyReply {
  switch (claim.kind) {
    case 'in-flight':
      throw new AppError(
        'idempotency-in-flight',
        'Repeat it when the first one has been answered.',
      );
    case 'other-request':
      throw new AppError('idempotency-mismatch', 'Use a new Idempotency-Key for a new request.');
    case 'answered': {
      const kept = JSON.parse(deps.secrets.open(claim.answer, sealContext(clinicId))) as {
        type?: string;
        payload: string;
      };
      if (kept.type) reply.type(kept.type);
      return reply.code(claim.status).header('idempotency-replayed', 'true').send(kept.payload);
    }
  }
}

function sealContext(clinicId: string): string {
  return `idempotency/${clinicId}`;
}

function isWorthKeeping(status: number): boolean {
  return status < 500 && status !== 429;
}

function isSweepDue(sweptAt: Map<string, number>, clinicId: string): boolean {
  const now = performance.now();
  if (now - (sweptAt.get(clinicId) ?? Number.NEGATIVE_INFINITY) < sweepEveryMs) return false;
  sweptAt.set(clinicId, now);
  return true;
}
