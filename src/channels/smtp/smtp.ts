import type {
  AdapterContext,
  OutboundMessage,
  PreparedMessage,
  ProviderAdapter,
  SendOutcome,
} from '../channel.ts';
import { failedOutcome } from '../failure.ts';
import { composeMail } from './compose.ts';
import { accountOf, type SmtpConfig, smtpCredentials, smtpOptions } from './config.ts';
import { errorOfFault } from './failure.ts';
import { greet, handOver, type SmtpFault } from './session.ts';

/**
 * Any mail server by SMTP. It cannot be asked and tells nothing afterwards: a mail whose reply was lost stays
 * unknown.
 */

export const smtpAdapter: ProviderAdapter<SmtpConfig> = {
  channel: 'email',
  provider: 'smtp',
  isLocal: false,
  credentialsSchema: smtpCredentials,
  optionsSchema: smtpOptions,
  capabilities: () => ({
    maxBatch: 1,
    batchUniqueBy: 'none',
    sharedClientRef: false,
    concurrency: 5,
    idempotency: 'none',
    reconcile: 'none',
    deliveryReceipts: 'none',
    inbound: 'none',
    buttons: null,
    scheduling: false,
    cancel: false,
    templates: 'local',
    body: { encoding: 'mime', maxChars: 1_000_000 },
    cost: 'none',
    dataRegions: [],
  }),
  prepare,
  send: (batch, config, context) =>
    Promise.all(batch.map((message) => sendOne(message, config, context))),
  verifyCallback: () => ({ ok: false, reason: 'not_configured' }),
  parseCallback: () => ({ events: [] }),
  health,
};

function prepare(message: OutboundMessage): PreparedMessage {
  const warnings = message.content.subject === undefined ? ['no-subject'] : [];
  return { ...message, segments: 1, warnings, batchKey: null, wire: null };
}

const malformed: SmtpFault = {
  ...{ code: 'malformed', reply: null, extended: null },
  ...{ command: '', isHandedOver: false },
};

async function sendOne(
  message: PreparedMessage,
  config: SmtpConfig,
  context: AdapterContext,
): Promise<SendOutcome> {
  const { id } = message;
  const account = accountOf(config);
  if (account === null) return failedOutcome(id, errorOfFault(malformed), null);
  const mail = await composeMail(message, config, context.now());
  const handed = await handOver(account, mail, context);
  if (handed.ok) {
    return { id, kind: 'accepted', providerMessageId: mail.messageId, segments: 1, raw: null };
  }
  const { reply, command } = handed.fault;
  return failedOutcome(id, errorOfFault(handed.fault), { reply, command });
}

async function health(config: SmtpConfig, context: AdapterContext) {
  const account = accountOf(config);
  if (account === null) return { ok: false, detail: errorOfFault(malformed).message };
  const greeted = await greet(account, context);
  return greeted.ok ? { ok: true } : { ok: false, detail: errorOfFault(greeted.fault).message };
}
