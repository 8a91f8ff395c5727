import { type MailRequest, MailService } from '@sendgrid/mail';
import { callProvider, isFields, readJson, textOf } from '../call.ts';
import type {
  AdapterContext,
  AdapterError,
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
import { type SendgridConfig, sendgridCredentials, sendgridOptions } from './config.ts';
import { parseCallback, verifyCallback } from './events.ts';
import { mailOf, prepare } from './mail.ts';

/**
 * SendGrid, v3 mail/send. It has no idempotency key and cannot be asked: what is unknown waits for the
 * Event Webhook, which brings back our reference as `mid`.
 */

const homeUrl = 'https://api.sendgrid.com';
const batchMax = 1000;
const webhookWaitMs = 30 * 60_000;

export const sendgridAdapter: ProviderAdapter<SendgridConfig> = {
  channel: 'email',
  provider: 'sendgrid',
  isLocal: false,
  credentialsSchema: sendgridCredentials,
  optionsSchema: sendgridOptions,
  capabilities: () => ({
    maxBatch: batchMax,
    batchUniqueBy: 'none',
    sharedClientRef: false,
    concurrency: 20,
    idempotency: 'none',
    reconcile: 'callback_only',
    reconcileTiming: { firstAfterMs: webhookWaitMs, againAfterMs: webhookWaitMs, batchMax },
    deliveryReceipts: 'push',
    inbound: 'none',
    buttons: null,
    scheduling: true,
    cancel: false,
    templates: 'local',
    body: { encoding: 'mime', maxChars: 1_000_000 },
    cost: 'none',
    dataRegions: ['US'],
  }),
  prepare,
  send,
  health,
  verifyCallback,
  parseCallback,
};

async function send(
  batch: readonly PreparedMessage[],
  config: SendgridConfig,
  context: AdapterContext,
): Promise<SendOutcome[]> {
  if (batch.length === 0) return [];
  const client = new PortClient(config, context);
  const mail = new MailService();
  mail.setClient(client);
  try {
    await mail.send(mailOf(batch, config));
  } catch (error) {
    // The library looks at a mail before it calls. Its words may repeat an address.
    if (client.result === null) return batch.map(({ id }) => failedOutcome(id, unbuildable, null));
    throw error;
  }
  return outcomesOf(batch, client.result ?? { kind: 'not-sent', reason: 'malformed' }, context);
}

const unbuildable: AdapterError = {
  class: 'message_permanent',
  scope: 'message',
  providerCode: 'unbuildable',
  httpStatus: null,
  message: 'No mail can be made of this message.',
};

function outcomesOf(
  batch: readonly PreparedMessage[],
  result: HttpResult,
  context: AdapterContext,
): SendOutcome[] {
  if (result.kind !== 'answered') {
    const error = unansweredError(result);
    return batch.map(({ id }) => failedOutcome(id, error, { reason: result.reason }));
  }
  const raw = { status: result.status };
  if (isTaken(result)) {
    const messageId = result.headers['x-message-id'];
    return batch.map(({ id, clientRef }) => {
      const providerMessageId = messageId ?? clientRef;
      return { id, kind: 'accepted', providerMessageId, segments: 1, raw };
    });
  }
  const error =
    result.status < 300 ? unreadableError(result) : refusal(result, batch.length, context);
  return batch.map(({ id }) => failedOutcome(id, error, raw));
}

/** 200 is what its sandbox mode answers; with a body it is somebody else’s page. */
function isTaken({ status, body }: Answered): boolean {
  return status === 202 || (status === 200 && body.length === 0);
}

function refusal(answer: Answered, batchSize: number, context: AdapterContext): AdapterError {
  const error = statusError(answer, context.now());
  if (error.class !== 'message_permanent') return error;
  if (batchSize > 1) {
    return {
      ...error,
      class: 'temporary',
      message: 'SendGrid refused a batch for the sake of one of its messages.',
      retryAlone: true,
    };
  }
  const message = 'SendGrid calls the address wrong.';
  return fieldsOf(answer).some((field) => /^personalizations\.\d+\.to\b/.test(field))
    ? { ...error, class: 'recipient_permanent', scope: 'recipient', message }
    : error;
}

/** The fields that SendGrid complains about. */
function fieldsOf(answer: Answered): string[] {
  const json = readJson(answer.body);
  const errors = isFields(json) ? json.errors : undefined;
  return Array.isArray(errors) ? errors.filter(isFields).map(({ field }) => textOf(field)) : [];
}

/**
 * Our network under the library: its own has no timeout, follows redirects, calls any address, and does
 * not tell whether a byte left. Made anew for each call, because it carries a key.
 */
class PortClient {
  result: HttpResult | null = null;
  readonly #config: SendgridConfig;
  readonly #context: AdapterContext;

  constructor(config: SendgridConfig, context: AdapterContext) {
    this.#config = config;
    this.#context = context;
  }

  async request({ method, url, body }: MailRequest): Promise<void> {
    this.result = await callProvider(this.#context, {
      method,
      url: apiUrl(this.#config, url),
      headers: { ...authorization(this.#config), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }
}

function authorization(config: SendgridConfig): { authorization: string } {
  return { authorization: `Bearer ${config.credentials.apiKey}` };
}

function apiUrl(config: SendgridConfig, path: string): string {
  return (config.options.baseUrl ?? homeUrl).replace(/\/+$/, '') + path;
}

async function health(config: SendgridConfig, context: AdapterContext) {
  const result = await callProvider(context, {
    method: 'GET',
    url: apiUrl(config, '/v3/scopes'),
    headers: authorization(config),
  });
  if (result.kind !== 'answered') return { ok: false, detail: unansweredError(result).message };
  if (result.status === 200) return { ok: true };
  return { ok: false, detail: statusError(result, context.now()).message };
}
