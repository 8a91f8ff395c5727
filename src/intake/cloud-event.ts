import { AppError, invalid } from '../errors.ts';
import { findEventType } from './event-types.ts';

/** CloudEvents 1.0, binary (in headers) and structured (in the body), as events of ours. */

/** Taken once for each source and id: a producer numbers its own. */
const cloudId = (source: string, id: string) => `ce:${source} ${id}`;

const charactersMax = 200;

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Whether the request is a CloudEvent whose attributes are in its headers. */
export function isBinaryCloudEvent(headers: Headers): boolean {
  return headers['ce-specversion'] !== undefined;
}

/** @throws AppError where an attribute is missing or wrong, or the type is none of ours. */
export function fromBinaryCloudEvent(headers: Headers, data: unknown, nowText: string): object {
  const attribute = (name: string) => {
    const value = headers[`ce-${name}`];
    return typeof value === 'string' ? decodeHeader(value) : undefined;
  };
  return toEvent(
    {
      specversion: attribute('specversion'),
      id: attribute('id'),
      source: attribute('source'),
      type: attribute('type'),
      time: attribute('time'),
      data,
    },
    (name) => `/headers/ce-${name}`,
    nowText,
  );
}

/** Values outside ASCII travel percent-encoded. */
function decodeHeader(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    // A bare percent sign: then it was not encoded.
    return value;
  }
}

/** @throws AppError as above; `body` is the parsed `application/cloudevents+json`. */
export function fromStructuredCloudEvent(body: unknown, nowText: string): object {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('', 'wrong-type', 'A CloudEvent is a JSON object.');
  }
  return toEvent(body as Attributes, (name) => `/${name}`, nowText);
}

interface Attributes {
  specversion?: unknown;
  id?: unknown;
  source?: unknown;
  type?: unknown;
  time?: unknown;
  data?: unknown;
}

function toEvent(
  attributes: Attributes,
  pointerTo: (name: string) => string,
  nowText: string,
): object {
  const text = (name: 'id' | 'source' | 'type') => {
    const value = attributes[name];
    if (typeof value === 'string' && value !== '' && value.length <= charactersMax) return value;
    throw invalid(
      pointerTo(name),
      value === undefined ? 'missing' : 'wrong-form',
      'A CloudEvent needs this attribute.',
    );
  };
  if (attributes.specversion !== '1.0') {
    throw invalid(pointerTo('specversion'), 'not-allowed', 'CloudEvents 1.0 are taken.');
  }
  const type = text('type');
  if (findEventType(type) === null) {
    const detail = 'There is no event of this type.';
    throw new AppError('unprocessable', detail, {
      faults: [{ pointer: pointerTo('type'), code: 'unknown-type', detail }],
    });
  }
  return {
    id: cloudId(text('source'), text('id')),
    type,
    occurredAt: attributes.time ?? nowText,
    data: attributes.data ?? {},
  };
}
