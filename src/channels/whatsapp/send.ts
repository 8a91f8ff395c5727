import { actionId } from '../action.ts';
import { byLanguage, parametersOf } from '../approved-template.ts';
import { isFields, textOf } from '../call.ts';
import type {
  AdapterContext,
  AdapterError,
  OutboundMessage,
  PreparedMessage,
  SendOutcome,
} from '../channel.ts';
import { failedOutcome, unreadableError } from '../failure.ts';
import { callMeta } from './call.ts';
import type { ApprovedTemplate, WhatsappConfig } from './config.ts';

/**
 * Any text may go to who wrote within 24 hours, with buttons under it. To others only what Meta has
 * approved may go, filled with the values of our text.
 */

export const charactersMax = 4096;
export const buttonsMax = 3;
const charactersAboveButtonsMax = 1024;
const labelCharactersMax = 20;

/** What goes to Meta beside the recipient; null: nothing that it would take. */
type Wire = { type: string; [part: string]: unknown } | null;

export function prepare(message: OutboundMessage, config: WhatsappConfig): PreparedMessage {
  const { wire, warnings } = message.mayWriteFreely ? freeForm(message) : approved(message, config);
  return { ...message, segments: 1, warnings, batchKey: null, wire };
}

function freeForm(message: OutboundMessage): { wire: Wire; warnings: string[] } {
  const { text } = message.content;
  const warnings = text.length > charactersMax ? ['too-long'] : [];
  const actions = (message.actions ?? []).slice(0, buttonsMax);
  if (actions.length === 0 || text.length > charactersAboveButtonsMax) {
    return { wire: { type: 'text', text: { body: text, preview_url: false } }, warnings };
  }
  const buttons = actions.map(({ id, label }) => ({
    type: 'reply',
    reply: { id, title: label.slice(0, labelCharactersMax).toWellFormed() },
  }));
  const interactive = { type: 'button', body: { text }, action: { buttons } };
  return { wire: { type: 'interactive', interactive }, warnings };
}

function approved(
  message: OutboundMessage,
  { options }: WhatsappConfig,
): { wire: Wire; warnings: string[] } {
  const { template } = message;
  const theirs = template && options.templates?.[template.name];
  if (!template || !theirs) return { wire: null, warnings: ['no-approved-template'] };
  const parameters = parametersOf(template, theirs.parameters);
  if (parameters === null) return { wire: null, warnings: ['approved-template-unfit'] };
  const code = byLanguage(theirs.languages ?? {}, template.language);
  const body = parameters.map(({ name, value }) => ({
    type: 'text',
    ...(name === null ? {} : { parameter_name: name }),
    text: value,
  }));
  const components = [
    ...(body.length === 0 ? [] : [{ type: 'body', parameters: body }]),
    ...quickReplies(theirs, message.id),
  ];
  return {
    wire: {
      type: 'template',
      template: {
        name: theirs.name,
        language: { code: code ?? template.language.replaceAll('-', '_') },
        ...(components.length === 0 ? {} : { components }),
      },
    },
    warnings: [],
  };
}

function quickReplies({ buttons = [] }: ApprovedTemplate, messageId: string): object[] {
  return buttons.map((kind, index) => ({
    type: 'button',
    sub_type: 'quick_reply',
    index: String(index),
    parameters: [{ type: 'payload', payload: actionId(kind, messageId) }],
  }));
}

export async function send(
  batch: readonly PreparedMessage[],
  config: WhatsappConfig,
  context: AdapterContext,
): Promise<SendOutcome[]> {
  const [message, ...others] = batch;
  if (!message) return [];
  if (others.length > 0) throw new Error('A call to WhatsApp takes one message.');
  const wire = message.wire as Wire;
  if (wire === null) return [failedOutcome(message.id, notApproved, null)];
  const body = {
    messaging_product: 'whatsapp',
    recipient_type: 'individual',
    to: message.to,
    ...wire,
    biz_opaque_callback_data: message.clientRef,
  };
  const answer = await callMeta('/messages', body, config, context);
  if ('error' in answer) return [failedOutcome(message.id, answer.error, answer.raw)];
  const [taken] = listOf(answer.fields.messages);
  const providerMessageId = textOf(taken?.id);
  if (providerMessageId === '') {
    return [failedOutcome(message.id, unreadableError(answer.answered), { status: 200 })];
  }
  const knownAs = textOf(listOf(answer.fields.contacts)[0]?.wa_id);
  const recipientRef = `+${knownAs}` === message.to ? '' : knownAs;
  return [
    {
      id: message.id,
      kind: 'accepted',
      providerMessageId,
      ...(recipientRef === '' ? {} : { recipientRef }),
      segments: 1,
      raw: { status: 200 },
    },
  ];
}

const notApproved: AdapterError = {
  class: 'message_permanent',
  scope: 'message',
  providerCode: 'no-approved-template',
  httpStatus: null,
  message: 'The recipient has not written for 24 hours, and no approved template fits.',
};

function listOf(value: unknown) {
  return Array.isArray(value) ? value.filter(isFields) : [];
}
