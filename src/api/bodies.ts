import type { FastifyRequest } from 'fastify';
import { AppError, inputErrorCode } from '../errors.ts';
import { findFault, parseJson } from '../strict-json.ts';
import type { App } from './app-types.ts';

/** How bodies are read: strict JSON of bounded size and depth, and nothing else unless a route says so. */

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body may be an array or a Bundle of items, each of which is checked by itself. */
    batch?: boolean;
  }
}

export const bodyBytesMax = 256 * 1024;
export const batchBytesMax = 4 * 1024 * 1024;
export const batchItemsMax = 1_000;
const bodyTimeoutMs = 15_000;

export const jsonType = 'application/json';
export const fhirType = 'application/fhir+json';
export const cloudEventType = 'application/cloudevents+json';
export const ndjsonType = 'application/x-ndjson';

export function addBodies(app: App, timeoutMs = bodyTimeoutMs): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    [jsonType, fhirType, cloudEventType],
    { parseAs: 'string' },
    async (request: FastifyRequest, body: string | Buffer) => readJson(request, String(body)),
  );
  // A slow client holds a socket, so bodies have a time of their own; streams have theirs.
  app.addHook('preParsing', async (request, _reply, payload) => {
    if (!hasBody(request) || isStream(request)) return payload;
    const timer = setTimeout(() => request.raw.destroy(), timeoutMs);
    request.raw.once('close', () => clearTimeout(timer)).once('end', () => clearTimeout(timer));
    return payload;
  });
}

/** Without one the request never tells its end, and what it asks for may take its time. */
function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function isStream({ headers }: FastifyRequest): boolean {
  return headers['content-type']?.toLowerCase().startsWith(ndjsonType) ?? false;
}

export function readJson(request: FastifyRequest, text: string): unknown {
  const value = parseJson(text);
  const { batch } = request.routeOptions.config;
  const items = batch ? itemsOf(value) : null;
  if (items === null) {
    if (text.length > bodyBytesMax) {
      throw new AppError('too-large', `A body may have ${bodyBytesMax} bytes at most.`);
    }
    const fault = findFault(value);
    if (fault) throw new AppError(inputErrorCode([fault]), fault.detail, { faults: [fault] });
    return value;
  }
  if (items.length > batchItemsMax) {
    throw new AppError('too-large', `A batch may have ${batchItemsMax} items at most.`);
  }
  return value;
}

function itemsOf(value: unknown): unknown[] | null {
  if (Array.isArray(value)) return value;
  const isBundle =
    typeof value === 'object' &&
    value !== null &&
    'resourceType' in value &&
    value.resourceType === 'Bundle' &&
    'entry' in value &&
    Array.isArray(value.entry);
  return isBundle ? (value as { entry: unknown[] }).entry : null;
}
