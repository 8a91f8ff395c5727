import type { ActionKind } from '../channels/action.ts';
import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import type { Clinic } from '../history/clinic.ts';
import { setConfirmation } from '../history/confirmation-store.ts';
import { tellHost } from '../history/host-event-store.ts';
import { lockAddresses, lockPatients } from '../history/lock-store.ts';
import { answerBy, nextAtDesk } from '../history/opening-hours.ts';
import { stampAnswer } from '../outbox/answer-store.ts';
import { withoutControls } from '../outbox/template-values.ts';
import { matchReply, type ReplyMatch } from './match-reply.ts';
import { meantAppointment } from './meant-appointment.ts';
import { startAgain, stopAll } from './opt-out-store.ts';
import { type Meaning, meaningOf } from './reply.ts';
import { insertReply } from './reply-store.ts';
import { notifyStaff } from './staff-store.ts';
import { staffTexts } from './staff-texts.ts';
import { type Asked, openTask, openThreadTask } from './task-store.ts';
import { hearInThread } from './thread-store.ts';

/** What a patient writes to the clinic, and what follows from it. */

/** A text that came in from a patient. */
export interface IncomingReply {
  channel: ChannelName;
  /** The normalised address it came from. */
  from?: string;
  /** The message of ours it answers, where the provider tells. */
  messageId?: string;
  text: string;
  /** The button that was tapped instead of writing. */
  tapped?: ActionKind;
  /** Unique on the channel: the provider's id of the text. */
  dedupeKey: string;
  receivedAt: Temporal.Instant;
}

export interface RecordedReply {
  /** Null when the same reply was recorded before: nothing is done again. */
  id: string | null;
  meaning: Meaning;
  /** Null where a shared address leaves open who answered. */
  patientId: string | null;
  messageId: string | null;
}

/** Longer than any SMS, shorter than a novel by e-mail. */
const replyCharsMax = 4_000;

/** Stores a reply once, with all that follows from it, in the caller's transaction. */
export async function recordReply(
  trx: Trx,
  clinic: Clinic,
  reply: IncomingReply,
  now: Temporal.Instant,
): Promise<RecordedReply> {
  const text = storable(reply.text);
  const { tapped } = reply;
  const meaning = tapped === undefined ? meaningOf(text) : meaningOfTap(tapped);
  const match = await matchReply(trx, clinic.id, reply, now);
  await lockPatients(trx, clinic.id, known([match.patientId, match.ownerId]), 'update');
  await lockAddresses(trx, clinic.id, known([match.address]), 'update');
  const { patientId, address } = match;
  const messageId = match.message?.id ?? null;
  const { channel, dedupeKey, receivedAt } = reply;
  const kept = await insertReply(
    trx,
    clinic.id,
    { channel, address, patientId, messageId, text, meaning, dedupeKey, receivedAt },
    now,
  );
  if (kept !== null) {
    const data = { replyId: kept.id, messageId, channel, meaning };
    await tellHost(trx, clinic.id, [{ type: 'thread.message', patientId, data }], now);
    const asksForTime = tapped === 'other-time';
    await act({ trx, clinic, channel, match, now, text, asksForTime }, meaning);
  }
  return { id: kept?.id ?? null, meaning, patientId, messageId };
}

function meaningOfTap(tapped: ActionKind): Meaning {
  return tapped === 'other-time' ? 'other' : tapped;
}

function known(keys: readonly (string | null)[]): string[] {
  return keys.filter((key) => key !== null);
}

/** Without what a database or a page would choke on. */
function storable(text: string): string {
  return withoutControls(text.slice(0, replyCharsMax).toWellFormed());
}

interface Answer {
  trx: Trx;
  clinic: Clinic;
  channel: ChannelName;
  match: ReplyMatch;
  now: Temporal.Instant;
  text: string;
  asksForTime: boolean;
}

async function act(answer: Answer, meaning: Meaning): Promise<void> {
  const { trx, clinic, match, now } = answer;
  const threadId = meaning === 'other' && !answer.asksForTime ? await hear(answer) : null;
  if (meaning === 'stop') await stop(answer);
  else if (meaning === 'start') await start(answer);
  else if (match.message === null) await tellStaffWho(answer, threadId);
  else if (meaning === 'confirm') await confirm(answer);
  else if (meaning === 'cancel') await cancel(answer);
  else if (answer.asksForTime) await askForTime(answer);
  if (match.message !== null) {
    await stampAnswer(trx, clinic.id, match.message.id, 'replied', now);
  }
}

/** By address, for whoever shares it; the only person who has it is stopped wherever else they are reached. */
async function stop({ trx, clinic, match, now }: Answer): Promise<void> {
  const { address, ownerId, patientId } = match;
  const person = address === null ? patientId : ownerId;
  if (person !== null) await stopAll(trx, clinic.id, { patientId: person }, 'reply', now);
  if (address !== null) await stopAll(trx, clinic.id, { address }, 'reply', now);
}

async function start({ trx, clinic, channel, match, now }: Answer): Promise<void> {
  const { address, ownerId, patientId } = match;
  const person = address === null ? patientId : ownerId;
  await startAgain(trx, clinic.id, { address, channel, ownerId: person }, now);
}

async function confirm(answer: Answer): Promise<void> {
  const { trx, clinic, match, now } = answer;
  const coming = match.message && (await meantAppointment(trx, clinic.id, match.message, now));
  if (coming) await setConfirmation(trx, clinic.id, coming, 'accepted', now);
  else await askStaff(answer, 'answer', staffTexts(clinic.language).saysYes);
}

/** The booking stays until the host cancels it: a person asks first. */
async function cancel(answer: Answer): Promise<void> {
  const { trx, clinic, match, now } = answer;
  const coming = match.message && (await meantAppointment(trx, clinic.id, match.message, now));
  if (!coming) return;
  await setConfirmation(trx, clinic.id, coming, 'declined', now);
  await askStaff(answer, 'cancel', staffTexts(clinic.language).cannotCome);
}

async function askForTime(answer: Answer): Promise<void> {
  const { trx, clinic, match, now } = answer;
  const coming = match.message && (await meantAppointment(trx, clinic.id, match.message, now));
  const { otherTime, wantsTime } = staffTexts(clinic.language);
  await askStaff(answer, 'other-time', coming ? otherTime : wantsTime);
}

/** A free text is answered the same day: its thread waits, until staff are given a task. */
async function hear({ trx, clinic, channel, match, now }: Answer): Promise<string | null> {
  const { patientId, address } = match;
  if (channel === 'task' || (patientId === null && address === null)) return null;
  const heard = { patientId, address, channel, answerBy: answerBy(clinic, now) };
  const threadId = await hearInThread(trx, clinic.id, heard, now);
  await notifyStaff(trx, clinic.id, 'thread', nextAtDesk(clinic, now), now);
  return threadId;
}

/** It is known who may have written, but not who did: staff decide. */
async function tellStaffWho(answer: Answer, threadId: string | null): Promise<void> {
  const { trx, clinic, match, text, now } = answer;
  const { patientId, isUndecided, address } = match;
  if (!isUndecided && patientId === null) return;
  const texts = staffTexts(clinic.language);
  const asked = isUndecided ? `${texts.whoWrites} ${address}: ` : `${texts.writes} `;
  const words = asked + quoted(text);
  if (threadId === null) await askStaff(answer, 'answer', words);
  else await openThreadTask(trx, clinic, { threadId, patientId, text: words }, now);
}

async function askStaff(answer: Answer, asks: Asked, text: string): Promise<void> {
  const { trx, clinic, match, now } = answer;
  const { patientId, message } = match;
  const about = { messageId: message?.id ?? null, ruleId: message?.ruleId ?? null };
  await openTask(trx, clinic, { patientId, ...about, asks, text }, now);
}

function quoted(text: string): string {
  return `«${text}»`;
}
