import { checkWebhook } from '../../signature.ts';
import { type Fields, isFields, readJson, textOf } from '../call.ts';
import {
  type AdapterError,
  type CallbackVerdict,
  deliveryStatuses,
  type NormalizedEvent,
  type ParsedCallback,
  type RawRequest,
} from '../channel.ts';
import type { WebhookConfig } from './config.ts';

/**
 * What the receiver tells us, signed with the same secret: how a message fared, `{ref, status}`, and what the
 * patient answered, `{ref, text}` or `{ref, action}`; one or a list of them.
 */

const newsMax = 1_000;
const textCharsMax = 4_000;

export function verifyCallback(
  { headers, rawBody, receivedAt }: RawRequest,
  { credentials }: WebhookConfig,
): CallbackVerdict {
  const verdict = checkWebhook({ headers, body: rawBody, receivedAt }, credentials.secret);
  return verdict === 'ok' ? { ok: true } : { ok: false, reason: verdict };
}

export function parseCallback(request: RawRequest): ParsedCallback {
  const json = readJson(request.rawBody);
  const list = (Array.isArray(json) ? json.slice(0, newsMax) : [json]).filter(isFields);
  const callId = textOf(request.headers['webhook-id']);
  const events = list.flatMap((fields, index) => {
    const at = instantOf(fields.at) ?? request.receivedAt;
    // A call that is repeated has the same id, and tells nothing new.
    const known = { dedupeKey: `webhook:${callId}:${index}`, occurredAt: at, raw: null };
    return newsIn(fields, known) ?? [];
  });
  return { events, reply: { status: 200 } };
}

type Known = Pick<NormalizedEvent, 'dedupeKey' | 'occurredAt' | 'raw'>;

function newsIn(fields: Fields, known: Known): NormalizedEvent | null {
  const ref = textOf(fields.ref);
  if (ref === '') return null;
  const status = deliveryStatuses.find((each) => each === fields.status);
  if (status !== undefined && status !== 'not_found') {
    return {
      ...known,
      ...{ type: 'status', clientRef: ref, status },
      ...(status === 'failed' && { error: failureOf(fields) }),
    };
  }
  const action = textOf(fields.action);
  const text = typeof fields.text === 'string' ? fields.text.slice(0, textCharsMax) : '';
  if (action === '' && text === '') return null;
  return {
    ...known,
    ...{ type: 'inbound', from: '', inReplyTo: ref },
    ...(text !== '' && { text }),
    ...(action !== '' && { action: { id: action, inReplyTo: ref } }),
  };
}

const codeForm = /^[A-Za-z0-9._-]{1,50}$/;

/** The receiver's code is kept where it has the form of one: anything else may name a person. */
function failureOf({ code }: Fields): AdapterError {
  const given = textOf(code);
  return {
    class: 'recipient_permanent',
    scope: 'recipient',
    providerCode: codeForm.test(given) ? given : null,
    httpStatus: null,
    message: 'The receiver could not deliver it.',
  };
}

function instantOf(value: unknown): Temporal.Instant | null {
  if (typeof value !== 'string') return null;
  try {
    return Temporal.Instant.from(value);
  } catch {
    // No instant: the time of arrival serves.
    return null;
  }
}
