import { type Fields, isFields, textOf } from '../call.ts';
import type { AdapterContext, AdapterError, ReconcileOutcome, ReconcileRef } from '../channel.ts';
import { callTwilio } from './call.ts';
import type { TwilioConfig } from './config.ts';
import { acceptedOf, smsText, type TwilioChannel, twilioAddress } from './send.ts';

/**
 * Twilio keeps no reference of ours that could be asked for, so a message is looked for by recipient,
 * time and text. Where something else went to that recipient at the time, such as approved content in
 * Twilio's own words, nothing is concluded: the status callback, which brings our reference, has to tell.
 */

const pageSize = 100;
/** Clocks differ, and a call takes a while. */
const beforeMs = 60_000;
const afterMs = 300_000;

export async function reconcile(
  channel: TwilioChannel,
  refs: readonly ReconcileRef[],
  config: TwilioConfig,
  context: AdapterContext,
): Promise<ReconcileOutcome[]> {
  const outcomes: ReconcileOutcome[] = [];
  // One message of Twilio is the answer for one of ours alone.
  const taken = new Set<string>();
  for (const ref of refs) outcomes.push(await ask(channel, ref, taken, config, context));
  return outcomes;
}

async function ask(
  channel: TwilioChannel,
  ref: ReconcileRef,
  taken: Set<string>,
  config: TwilioConfig,
  context: AdapterContext,
): Promise<ReconcileOutcome> {
  // Not by `DateSent`: that is empty while a message waits in the queue.
  const query = new URLSearchParams({
    To: twilioAddress(channel, ref.to),
    PageSize: String(pageSize),
  });
  const answer = await callTwilio(`/Messages.json?${query}`, null, config, context);
  if ('error' in answer) return { id: ref.id, kind: 'unknown', ...answer };
  const { messages } = answer.fields;
  if (!Array.isArray(messages)) return unclear(ref, 'unreadable');
  const around = messages.filter(isFields).filter((message) => isAround(message, ref));
  const found = around.find((message) => isMeant(message, ref, channel, config, taken));
  const outcome = found && acceptedOf(ref.id, found);
  if (outcome) {
    taken.add(outcome.providerMessageId);
    return outcome;
  }
  const others = around.filter(({ sid }) => !taken.has(textOf(sid)));
  if (others.length > 0 || messages.length >= pageSize) return unclear(ref, 'no-certain-match');
  return { id: ref.id, kind: 'not_found', raw: { listed: messages.length } };
}

function isAround({ direction, date_created: created }: Fields, { sentAt }: ReconcileRef): boolean {
  const ms = Date.parse(textOf(created)) - sentAt.epochMilliseconds;
  // One without a time cannot be ruled out.
  const isNear = !Number.isFinite(ms) || (ms >= -beforeMs && ms <= afterMs);
  return textOf(direction).startsWith('outbound') && isNear;
}

function isMeant(
  { sid, body }: Fields,
  { text }: ReconcileRef,
  channel: TwilioChannel,
  { options }: TwilioConfig,
  taken: ReadonlySet<string>,
): boolean {
  if (text == null || taken.has(textOf(sid))) return false;
  return body === (channel === 'sms' ? smsText(text, options) : text);
}

function unclear({ id }: ReconcileRef, providerCode: string): ReconcileOutcome {
  const error: AdapterError = {
    class: 'unknown_outcome',
    scope: 'message',
    providerCode,
    httpStatus: 200,
    message: 'Twilio does not tell what became of it.',
  };
  return { id, kind: 'unknown', error, raw: null };
}
