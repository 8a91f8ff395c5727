import { textOf, wholeNumber } from '../call.ts';
import type { AdapterContext, ProviderAdapter } from '../channel.ts';
import { parsePrice } from '../price.ts';
import { callSmsc } from './call.ts';
import { parseCallback, verifyCallback } from './callback.ts';
import { refusal } from './codes.ts';
import {
  batchDefault,
  currencyOf,
  type SmscConfig,
  smscCredentials,
  smscOptions,
} from './config.ts';
import { reconcile } from './reconcile.ts';
import { charactersMax, prepare, quote, send } from './send.ts';

/**
 * SMSC.ru (smsc.kz and smscentre.com speak the same). A batch goes with one `id`, and SMSC.ru knows a
 * message by that id and its number; the id is no idempotency key, but it can be asked about.
 */

export const smscAdapter: ProviderAdapter<SmscConfig> = {
  channel: 'sms',
  provider: 'smsc',
  isLocal: false,
  credentialsSchema: smscCredentials,
  optionsSchema: smscOptions,
  capabilities: (config) => ({
    maxBatch: config.options.batch ?? batchDefault,
    batchUniqueBy: 'address',
    sharedClientRef: true,
    concurrency: 10,
    idempotency: 'dup_window',
    reconcile: 'by_client_ref',
    reconcileTiming: {
      firstAfterMs: 90_000,
      againAfterMs: 300_000,
      batchMax: config.options.batch ?? batchDefault,
    },
    deliveryReceipts: 'push',
    inbound: 'push',
    buttons: null,
    scheduling: true,
    cancel: false,
    templates: 'local',
    body: { encoding: 'gsm7_ucs2', maxChars: charactersMax },
    cost: 'provider_quote',
    dataRegions: ['RU'],
  }),
  prepare,
  send,
  reconcile,
  quote,
  health,
  verifyCallback,
  parseCallback,
};

async function health(config: SmscConfig, context: AdapterContext) {
  const answer = await callSmsc('balance.php', { cur: '1' }, config, context);
  if ('error' in answer) return { ok: false, detail: answer.error.message };
  const code = wholeNumber(answer.fields.error_code);
  if (code !== null) return { ok: false, detail: refusal(code, 1).message };
  const currency = textOf(answer.fields.currency).replace('RUR', 'RUB') || currencyOf(config);
  const balance = parsePrice(answer.fields.balance, currency);
  return balance === null ? { ok: false, detail: 'unreadable' } : { ok: true, balance };
}
