import { textOf } from '../call.ts';
import type {
  AdapterContext,
  OutboundMessage,
  PreparedMessage,
  ProviderAdapter,
  SendOutcome,
} from '../channel.ts';
import { failedOutcome, unreadableError } from '../failure.ts';
import { callTelegram } from './call.ts';
import { type TelegramConfig, telegramCredentials, telegramOptions } from './config.ts';
import { answer, idOf, parseCallback, verifyCallback } from './update.ts';

/**
 * Telegram's Bot API. It takes no reference of ours, tells nothing if asked and reports no delivery: a
 * call without an answer stays unknown for ever, unless the patient taps a button under it.
 */

const charactersMax = 4096;
const buttons = { max: 8, payloadBytes: 64 } as const;

export const telegramAdapter: ProviderAdapter<TelegramConfig> = {
  channel: 'telegram',
  provider: 'telegram',
  isLocal: false,
  credentialsSchema: telegramCredentials,
  optionsSchema: telegramOptions,
  capabilities: () => ({
    maxBatch: 1,
    batchUniqueBy: 'none',
    sharedClientRef: false,
    concurrency: 10,
    rate: [
      { points: 30, perMs: 1_000, scope: 'channel' },
      { points: 1, perMs: 1_000, scope: 'recipient' },
    ],
    idempotency: 'none',
    reconcile: 'none',
    deliveryReceipts: 'none',
    inbound: 'push',
    buttons,
    scheduling: false,
    cancel: false,
    templates: 'local',
    body: { encoding: 'utf8', maxChars: charactersMax },
    cost: 'none',
    dataRegions: ['NL', 'SG', 'US'],
  }),
  prepare,
  send,
  health,
  verifyCallback,
  parseCallback,
  answer,
};

function prepare(message: OutboundMessage): PreparedMessage {
  const { text } = message.content;
  const keyboard = (message.actions ?? [])
    .filter(({ id }) => Buffer.byteLength(id) <= buttons.payloadBytes)
    .slice(0, buttons.max)
    .map(({ id, label }) => [{ text: label, callback_data: id }]);
  const wire = {
    chat_id: message.to.replace(/^telegram:/, ''),
    text,
    // A preview would have Telegram open the patient's own link.
    link_preview_options: { is_disabled: true },
    ...(keyboard.length === 0 ? {} : { reply_markup: { inline_keyboard: keyboard } }),
  };
  const warnings = text.length > charactersMax ? ['too-long'] : [];
  return { ...message, segments: 1, warnings, batchKey: null, wire };
}

async function send(
  batch: readonly PreparedMessage[],
  config: TelegramConfig,
  context: AdapterContext,
): Promise<SendOutcome[]> {
  const [message, ...others] = batch;
  if (!message) return [];
  if (others.length > 0) throw new Error('A call to Telegram takes one message.');
  const { id } = message;
  const answer = await callTelegram('sendMessage', message.wire as object, config, context);
  if ('error' in answer) return [failedOutcome(id, answer.error, answer.raw)];
  const raw = { status: 200 };
  const providerMessageId = idOf(answer.result);
  if (providerMessageId === null) return [failedOutcome(id, unreadableError(answer.answered), raw)];
  return [{ id, kind: 'accepted', providerMessageId, segments: 1, raw }];
}

async function health(config: TelegramConfig, context: AdapterContext) {
  const answers = [
    await callTelegram('getMe', {}, config, context),
    await callTelegram('getWebhookInfo', {}, config, context),
  ];
  for (const answer of answers) {
    if ('error' in answer) return { ok: false, detail: answer.error.message };
  }
  const [, hook] = answers;
  const isOurs = hook && 'result' in hook && textOf(hook.result.url) === config.callbackUrl;
  return isOurs ? { ok: true } : { ok: true, detail: 'The bot’s webhook is not this channel’s.' };
}
