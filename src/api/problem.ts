import http from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { databaseTrouble } from '../database/outage.ts';
import { AppError, type ErrorCode, errorCodes } from '../errors.ts';
import type { App } from './app-types.ts';

/** Every error leaves as RFC 9457 problem+json with a stable code, and says nothing of its inner cause. */

export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'A name for the kind of problem, made of its code.' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.Union(Object.keys(errorCodes).map((code) => Type.Literal(code))),
    detail: Type.String(),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({ description: 'JSON Pointer to the field.' }),
          code: Type.String(),
          detail: Type.String(),
        }),
      ),
    ),
  },
  { title: 'Problem', description: 'What went wrong, as RFC 9457 has it.' },
);

export const problemType = 'application/problem+json; charset=utf-8';
const outageRetrySeconds = 2;

export function addProblems(app: App): void {
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
}

/** Also for what fails before a route is found. */
export function sendProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const known = isFastifyError(error) ? fromFastify(error, request) : toAppError(error);
  // A client that hung up in the middle of its request is no fault of ours.
  if (known.status >= 500 && !request.raw.readableAborted) {
    request.log.error(
      { err: error, code: known.code, route: routeOf(request) },
      'A request failed.',
    );
  }
  if (known.retryAfterSeconds !== undefined) reply.header('retry-after', known.retryAfterSeconds);
  if (known.code === 'unauthorized') reply.header('www-authenticate', 'Bearer');
  return reply
    .code(known.status)
    .type(problemType)
    .send(JSON.stringify(toProblem(known)));
}

/** For what cannot even be read as HTTP, and so reaches no route. */
export function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const known =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new AppError('too-large', `Path and headers may have ${http.maxHeaderSize} bytes at most.`)
      : new AppError('validation', 'This is no HTTP request that can be read.');
  const body = JSON.stringify(toProblem(known));
  socket.end(
    [
      `HTTP/1.1 ${known.status} ${http.STATUS_CODES[known.status]}`,
      `Content-Type: ${problemType}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

export function toProblem(error: AppError) {
  return {
    type: `urn:retorno:problem:${error.code}`,
    title: errorCodes[error.code].title,
    status: error.status,
    code: error.code,
    detail: error.message,
    ...(error.faults.length > 0 && { errors: error.faults }),
  };
}

/** The route's pattern, which holds no id; what was really asked for is not logged. */
export function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'unknown';
}

function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const trouble = databaseTrouble(error);
  if (trouble !== null) return toleratedTrouble(trouble, error);
  return new AppError('internal', 'The request could not be served.', { cause: error });
}

function toleratedTrouble(
  trouble: NonNullable<ReturnType<typeof databaseTrouble>>,
  cause: unknown,
): AppError {
  switch (trouble) {
    case 'outage':
    case 'contention':
      return new AppError('unavailable', 'The database cannot take this now.', {
        retryAfterSeconds: outageRetrySeconds,
        cause,
      });
    case 'bad-value':
      return new AppError('validation', 'A value cannot be stored.', { cause });
    case 'constraint':
      return new AppError('conflict', 'This does not fit what is stored.', { cause });
  }
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('FST_');
}

/** Fastify's own words may repeat the input: only its code is believed. */
const fastifyCodes: Readonly<Record<string, [ErrorCode, string]>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'unsupported-media-type',
    'This content type is not taken here.',
  ],
  FST_ERR_HANDLER_TIMEOUT: ['unavailable', 'The request took too long.'],
  FST_ERR_ASYNC_CONSTRAINT: ['validation', 'The request is malformed.'],
  FST_ERR_MAX_PARAM_LENGTH: ['not-found', 'There is no such path.'],
  FST_ERR_BAD_URL: ['validation', 'The path is malformed.'],
};

function fromFastify(error: FastifyError, request: FastifyRequest): AppError {
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const { bodyLimit } = request.routeOptions;
    return new AppError('too-large', `A body may have ${bodyLimit} bytes at most.`);
  }
  const [code, detail] = fastifyCodes[error.code] ?? [];
  if (code && detail) {
    return new AppError(code, detail, code === 'unavailable' ? { retryAfterSeconds: 5 } : {});
  }
  const isTheirs = error.statusCode !== undefined && error.statusCode < 500;
  return isTheirs
    ? new AppError('validation', 'The request is malformed.')
    : new AppError('internal', 'The request could not be served.', { cause: error });
}
