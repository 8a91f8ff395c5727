import { createHash } from 'node:crypto';
import rateLimit from '@fastify/rate-limit';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';
import type { Caller, Scope } from '../history/key.ts';
import { equalBytes } from '../secrets.ts';
import type { App } from './app-types.ts';
import { type Callers, unauthorized } from './callers.ts';
import type { AppDeps } from './deps.ts';

/** Who asks. Every route names in its `config.access` whom it serves; one that names nobody is a fault of ours. */

/** `any`: whatever scopes a clinic's key has. */
export type Access = Scope | 'any' | 'operator' | 'public';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set for every route that a clinic's key may call. */
    callerOrNull: Caller | null;
  }
  interface FastifyContextConfig {
    access?: Access;
  }
}

export async function addAuthentication(app: App, deps: AppDeps): Promise<void> {
  const { callers } = deps;
  await app.register(rateLimit, { global: false });
  const countRequest = app.createRateLimit({
    max: deps.requestsPerSecond,
    timeWindow: 1_000,
    keyGenerator: (request) => rateKeyOf(request, callers),
  });
  app.decorateRequest('callerOrNull', null);
  app.addHook('onRequest', async (request) => {
    const access = request.routeOptions.config.access;
    if (request.is404 || access === 'public') return;
    await refuseTooMany(request, countRequest);
    if (access === undefined) throw new Error('The route names nobody whom it serves.');
    if (access === 'operator') return checkOperator(request, deps.operatorKey);
    const caller = await callers.find(bearerOf(request));
    if (access !== 'any' && !caller.scopes.includes(access)) {
      throw new AppError('forbidden', `This needs a key with the scope ${access}.`);
    }
    request.callerOrNull = caller;
  });
}

/** The caller of a route that is neither public nor the operator's. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.callerOrNull === null) throw new Error('This route has no caller.');
  return request.callerOrNull;
}

function bearerOf(request: FastifyRequest): string {
  const match = /^Bearer ([!-~]{1,255})$/i.exec(request.headers.authorization ?? '');
  if (!match?.[1]) throw unauthorized();
  return match[1];
}

function checkOperator(request: FastifyRequest, operatorKey: string): void {
  const given = bearerOf(request);
  // Equal lengths for the comparison, whatever was given.
  if (!equalBytes(digest(given), digest(operatorKey))) throw unauthorized();
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Known keys are counted each by itself; whoever guesses is counted by address, before the database is asked. */
function rateKeyOf(request: FastifyRequest, callers: Callers): string {
  const key = /^Bearer (rtn_\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const known = key === undefined ? null : callers.peek(key);
  return known ? `key ${known.keyId}` : `address ${request.ip}`;
}

async function refuseTooMany(
  request: FastifyRequest,
  countRequest: ReturnType<App['createRateLimit']>,
): Promise<void> {
  const counted = await countRequest(request);
  if (counted.isAllowed || !counted.isExceeded) return;
  throw new AppError('rate-limited', 'This key makes too many requests a second.', {
    retryAfterSeconds: Math.max(1, counted.ttlInSeconds),
  });
}
