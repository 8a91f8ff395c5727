import type { Trx } from '../database/connect.ts';
import { AppError, notFound } from '../errors.ts';
import type { Clinic } from '../history/clinic.ts';
import { lockPatients } from '../history/lock-store.ts';
import { type ChannelDeps, effectiveChannels } from '../outbox/channel-store.ts';
import type { MessageView } from '../outbox/message-list-store.ts';
import { sendHostMessage } from '../outbox/send-host-message.ts';
import { findTemplate, hasBodyFor } from '../outbox/template-store.ts';
import { channelFor, findOwnChannels } from './contact-store.ts';
import { closeThreadTask } from './task-store.ts';
import type { Thread, ThreadChannel } from './thread.ts';
import {
  findThread,
  findThreadPatient,
  giveThread,
  openThread,
  settleThread,
} from './thread-store.ts';

/** What staff do in a conversation: begin one, answer, say whose it is, and end it. */

export interface StaffWords {
  text?: string;
  template?: string;
  /** The one that the patient wrote by last, else the one that they prefer. */
  channel?: ThreadChannel;
}

export interface Said {
  threadId: string;
  message: MessageView;
}

/** Writes to a patient in their thread, which is opened, or opened again. @throws AppError as `sendHostMessage`. */
export async function beginThread(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  patientId: string,
  words: StaffWords,
  now: Temporal.Instant,
): Promise<Said> {
  await lockPatients(trx, clinic.id, [patientId], 'update');
  const threadId = await openThread(trx, clinic.id, patientId, now);
  return say(deps, trx, clinic, { threadId, patientId }, words, now);
}

/** @throws AppError `not-found`, `conflict` while it is open who writes, and as `sendHostMessage`. */
export async function answerInThread(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  id: string,
  words: StaffWords,
  now: Temporal.Instant,
): Promise<Said> {
  if ((await findThread(trx, clinic.id, id)) === null) throw notFound('thread');
  const patientId = await findThreadPatient(trx, clinic.id, id);
  if (patientId === null) {
    throw new AppError('conflict', 'It is open who writes: give the thread its patient first.');
  }
  return beginThread(deps, trx, clinic, patientId, words, now);
}

async function say(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  { threadId, patientId }: { threadId: string; patientId: string },
  { channel: wanted, ...words }: StaffWords,
  now: Temporal.Instant,
): Promise<Said> {
  const thread = await findThread(trx, clinic.id, threadId);
  const channel =
    wanted ?? thread?.channel ?? (await usualChannel(deps, trx, clinic, patientId, words.template));
  const input = { ...words, patientId, channel, purpose: 'transactional' as const };
  const message = await sendHostMessage(deps, trx, clinic, input, now);
  // What never leaves is no answer.
  if (message.state === 'suppressed' || message.state === 'expired') return { threadId, message };
  await settleThread(trx, clinic.id, { id: threadId, patientId }, 'as-it-is', now);
  await closeThreadTask(trx, clinic.id, threadId, 'reached', now);
  return { threadId, message };
}

async function usualChannel(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  patientId: string,
  template: string | undefined,
): Promise<ThreadChannel> {
  return (await chooseChannel(deps, trx, clinic, patientId, template)) ?? 'sms';
}

/** A channel of the clinic's that reaches the patient and for which the template has a text; null where there is none. */
export async function chooseChannel(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  patientId: string,
  templateName: string | undefined,
): Promise<ThreadChannel | null> {
  const own = await findOwnChannels(trx, clinic.id, patientId);
  if (own === null) return null;
  const channels = await effectiveChannels(deps, trx, clinic);
  const template =
    templateName === undefined ? null : await findTemplate(trx, clinic.id, templateName);
  return channelFor(
    own,
    (channel) => channels.has(channel) && (template === null || hasBodyFor(template, channel)),
  );
}

/** Ends a conversation; whatever the patient writes next opens it again. The same again changes nothing. */
export async function closeThread(
  trx: Trx,
  clinicId: string,
  id: string,
  now: Temporal.Instant,
): Promise<Thread> {
  if ((await findThread(trx, clinicId, id)) === null) throw notFound('thread');
  const patientId = await findThreadPatient(trx, clinicId, id);
  await lockPatients(trx, clinicId, patientId === null ? [] : [patientId], 'update');
  await settleThread(trx, clinicId, { id, patientId }, 'closed', now);
  await closeThreadTask(trx, clinicId, id, 'reached', now);
  return shown(trx, clinicId, id);
}

/**
 * Says who wrote from a shared address. Where that patient has a thread, it goes on there.
 * @throws AppError `not-found`, or `conflict` for one that is another patient's.
 */
export async function decideThread(
  trx: Trx,
  clinicId: string,
  id: string,
  patientId: string,
  now: Temporal.Instant,
): Promise<Thread> {
  await lockPatients(trx, clinicId, [patientId], 'update');
  if ((await findThread(trx, clinicId, id)) === null) throw notFound('thread');
  const before = await findThreadPatient(trx, clinicId, id);
  if (before === patientId) return shown(trx, clinicId, id);
  if (before !== null) throw new AppError('conflict', "The thread is another patient's.");
  return shown(trx, clinicId, await giveThread(trx, clinicId, id, patientId, now));
}

async function shown(trx: Trx, clinicId: string, id: string): Promise<Thread> {
  const thread = await findThread(trx, clinicId, id);
  if (thread === null) throw notFound('thread');
  return thread;
}
