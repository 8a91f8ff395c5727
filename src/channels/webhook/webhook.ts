import { signWebhook } from '../../signature.ts';
import { callProvider, isFields, readJson, textOf } from '../call.ts';
import type {
  AdapterContext,
  AdapterError,
  OutboundMessage,
  PreparedMessage,
  ProviderAdapter,
  SendOutcome,
} from '../channel.ts';
import {
  type Answered,
  failedOutcome,
  statusError,
  unansweredError,
  unreadableError,
} from '../failure.ts';
import type { HttpResult } from '../http.ts';
import { parseCallback, verifyCallback } from './callback.ts';
import { type WebhookConfig, webhookCredentials, webhookOptions } from './config.ts';

/**
 * Whoever takes a signed POST: a push service, a voice bot, a MIS's own chat. The receiver knows a message by
 * `webhook-id`, our reference, so that one whose fate is unknown may be sent again.
 */

export const webhookAdapter: ProviderAdapter<WebhookConfig> = {
  channel: 'webhook',
  provider: 'webhook',
  isLocal: false,
  credentialsSchema: webhookCredentials,
  optionsSchema: webhookOptions,
  capabilities: () => ({
    maxBatch: 1,
    batchUniqueBy: 'none',
    sharedClientRef: false,
    concurrency: 20,
    idempotency: 'receiver_key',
    reconcile: 'none',
    deliveryReceipts: 'push',
    inbound: 'push',
    buttons: { max: 10, payloadBytes: 256 },
    scheduling: false,
    cancel: false,
    templates: 'local',
    body: { encoding: 'json', maxChars: 10_000 },
    cost: 'none',
    dataRegions: [],
  }),
  prepare,
  send: (batch, config, context) =>
    Promise.all(batch.map((message) => sendOne(message, config, context))),
  health,
  verifyCallback,
  parseCallback,
};

function prepare(message: OutboundMessage): PreparedMessage {
  const { clientRef: ref, purpose, to, content, expiresAt, unsubscribeUrl, actions } = message;
  const wire = {
    ...{ ref, to, purpose, ...content, expiresAt: expiresAt.toString() },
    ...(unsubscribeUrl !== undefined && { unsubscribeUrl }),
    ...(actions !== undefined && { actions }),
  };
  return { ...message, segments: 1, warnings: [], batchKey: null, wire };
}

async function sendOne(
  message: PreparedMessage,
  config: WebhookConfig,
  context: AdapterContext,
): Promise<SendOutcome> {
  const { id, clientRef, wire } = message;
  const result = await post(clientRef, { type: 'message.send', data: wire }, config, context);
  if (result.kind !== 'answered') {
    return failedOutcome(id, unansweredError(result), { reason: result.reason });
  }
  const raw = { status: result.status };
  const error = errorOf(result, context.now());
  if (error !== null) return failedOutcome(id, error, raw);
  return { id, kind: 'accepted', providerMessageId: idIn(result) ?? clientRef, raw };
}

function post(
  id: string,
  event: { type: string; data: unknown },
  config: WebhookConfig,
  context: AdapterContext,
): Promise<HttpResult> {
  const at = context.now();
  const body = JSON.stringify({ type: event.type, timestamp: at.toString(), data: event.data });
  return callProvider(context, {
    method: 'POST',
    url: config.options.url,
    headers: {
      'content-type': 'application/json',
      ...signWebhook({ id, at, body }, [config.credentials.secret]),
    },
    body,
  });
}

/** Null for a success: any 2xx but a page, which is somebody else's. */
function errorOf(answer: Answered, now: Temporal.Instant): AdapterError | null {
  if (answer.status >= 200 && answer.status < 300) {
    const isPage = answer.headers['content-type']?.includes('html') ?? false;
    return isPage ? unreadableError(answer) : null;
  }
  const error = statusError(answer, now);
  if (answer.status !== goneStatus) return error;
  const message = 'The receiver wants no more messages.';
  return { ...error, class: 'config', scope: 'channel', message };
}

const goneStatus = 410;
const idCharsMax = 200;

/** What the receiver calls the message, where it says. */
function idIn(answer: Answered): string | null {
  const json = readJson(answer.body);
  const id = isFields(json) ? textOf(json.id) : '';
  return id === '' || id.length > idCharsMax ? null : id;
}

/** An event of another type, for which a receiver has nothing to do. */
async function health(config: WebhookConfig, context: AdapterContext) {
  const id = `test-${context.now().epochMilliseconds}`;
  const result = await post(id, { type: 'webhook.test', data: {} }, config, context);
  if (result.kind !== 'answered') return { ok: false, detail: unansweredError(result).message };
  const error = errorOf(result, context.now());
  return error === null ? { ok: true } : { ok: false, detail: error.message };
}
