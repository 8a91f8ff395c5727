import type { Trx } from '../database/connect.ts';
import type { ChannelName, Purpose } from '../database/tables.ts';
import { AppError, invalid } from '../errors.ts';
import type { Clinic } from '../history/clinic.ts';
import { lockPatients } from '../history/lock-store.ts';
import { holdWithoutChannel, judgeAll, renderAll } from './begin-messages.ts';
import { commitStayed } from './begin-store.ts';
import { type ChannelDeps, effectiveChannels } from './channel-store.ts';
import type { Verdict } from './guard.ts';
import { holdOverCaps } from './hold-outranked.ts';
import { heldFor } from './judge-message.ts';
import { readFacts } from './lock-batch.ts';
import { findMessage, type MessageView } from './message-list-store.ts';
import { enqueueMessages } from './message-store.ts';
import { findTemplate, hasBodyFor } from './template-store.ts';

/** One message that the host itself asks for. */
export interface HostMessage {
  /** Ours, as `findPatientId` gives it. */
  patientId: string;
  purpose: Purpose;
  channel: ChannelName;
  template?: string;
  text?: string;
  subject?: string;
  /** It answers the patient at once: the clinic's send window is ignored, the hours of a law are not. */
  atOnce?: boolean;
}

/** How long the host's message may wait for its hour, its consent, or a provider. */
const lives: Readonly<Record<Purpose, Temporal.Duration>> = Object.freeze({
  transactional: Temporal.Duration.from({ hours: 72 }),
  care: Temporal.Duration.from({ hours: 14 * 24 }),
  marketing: Temporal.Duration.from({ hours: 14 * 24 }),
});

/**
 * Stores the message under the same checks as every other, which are made at once, so that the answer
 * says what became of it: `scheduled` leaves with the next round of the dispatcher.
 * @throws AppError for a template that does not fit.
 */
export async function sendHostMessage(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  input: HostMessage,
  now: Temporal.Instant,
): Promise<MessageView> {
  await refuseUnfit(trx, clinic.id, input);
  await lockPatients(trx, clinic.id, [input.patientId], 'update');
  const [id] = await enqueueMessages(trx, clinic.id, [newMessage(input, now)], now);
  if (id === undefined) throw new Error('A message of the host was not stored.');
  await judgeAtOnce(deps, trx, clinic, { id, patientId: input.patientId }, now);
  const message = await findMessage(trx, clinic.id, id);
  if (message === null) throw new Error('A message of the host was not found again.');
  const { attempts, receipts, ...view } = message;
  return view;
}

async function refuseUnfit(trx: Trx, clinicId: string, input: HostMessage): Promise<void> {
  if ((input.template === undefined) === (input.text === undefined))
    throw invalid('/text', 'one-of', 'A message has either a template or a text.');
  if (input.template === undefined) return;
  const template = await findTemplate(trx, clinicId, input.template);
  if (template === null) throw unfit('unknown-template', 'There is no such template.');
  if (template.purpose !== input.purpose)
    throw unfit('other-purpose', `The template is for ${template.purpose} messages.`);
  if (!hasBodyFor(template, input.channel))
    throw unfit('no-body', `The template has no text for ${input.channel}.`);
}

function unfit(code: string, detail: string): AppError {
  return new AppError('unprocessable', detail, {
    faults: [{ pointer: '/template', code, detail }],
  });
}

function newMessage(input: HostMessage, now: Temporal.Instant) {
  const { patientId, purpose, channel, template, text, subject, atOnce = false } = input;
  return {
    patientId,
    purpose,
    channel,
    ...(template !== undefined && { template }),
    ...(text !== undefined && { body: { text, ...(subject !== undefined && { subject }) } }),
    address: null,
    guard: atOnce ? { sendWindow: false } : {},
    state: 'scheduled' as const,
    scheduledAt: now,
    expiresAt: now.add(lives[purpose]),
  };
}

async function judgeAtOnce(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  recipient: { id: string; patientId: string },
  now: Temporal.Instant,
): Promise<void> {
  const all = await readFacts(trx, clinic, [recipient], now);
  const verdicts = await judgeAll(trx, clinic, all, now);
  const goers = () => all.filter((facts) => verdicts.get(facts.id)?.state === 'go');
  const rendered = await renderAll(deps, trx, clinic, goers(), now);
  for (const facts of goers()) {
    const text = rendered.get(facts.id);
    if (text && !text.ok) verdicts.set(facts.id, heldFor(text.reason, facts, now));
  }
  const channels = await effectiveChannels(deps, trx, clinic);
  for (const facts of all) {
    const verdict = verdicts.get(facts.id);
    // A channel that nobody serves is told before an hour that would come by itself.
    const mayLeave = verdict?.state === 'go' || isHeldForHours(verdict);
    const channel = channels.get(facts.channel) ?? null;
    if (mayLeave) holdWithoutChannel([facts], verdicts, channel, now);
  }
  holdOverCaps(goers(), verdicts, clinic, now);
  const stayed = all.flatMap((facts) => {
    const verdict = verdicts.get(facts.id);
    if (!verdict || verdict.state === 'go') return [];
    const { id, leaseEpoch, patientId } = facts;
    const { state, reason } = verdict;
    const nextAt = verdict.state === 'held' ? verdict.until : null;
    return [{ id, leaseEpoch, patientId, state, reason, nextAt }];
  });
  await commitStayed(trx, clinic.id, stayed, now);
}

function isHeldForHours(verdict: Verdict | undefined): boolean {
  return verdict?.state === 'held' && verdict.reason === 'send-window';
}
