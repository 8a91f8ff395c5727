import type { Channel, NormalizedEvent } from '../channels/channel.ts';
import { isSigned, readChat, signChat } from '../chat-token.ts';
import type { Db, Trx } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import { AppError } from '../errors.ts';
import type { Clinic } from '../history/clinic.ts';
import { lockAddresses, lockPatients } from '../history/lock-store.ts';
import { markReplan } from '../history/replan-store.ts';
import { insertContactPoints } from '../intake/person-store.ts';
import { getChannel } from '../outbox/channel-store.ts';
import type { Secrets } from '../secrets.ts';
import { type ChatOwner, findChatOwner, setLinkedChat } from './chat-store.ts';
import { chatTexts } from './chat-texts.ts';

/**
 * A bot cannot write first. The patient opens the chat by a link of ours, whose token comes back as their first
 * message and tells who they are. It says nothing about consent.
 */

export interface ChatLink {
  url: string;
  expiresAt: Temporal.Instant;
}

const linkLife = Temporal.Duration.from({ hours: 24 * 30 });
const msPerDay = 86_400_000;

/** @throws AppError `conflict` where the clinic has named no bot. */
export async function makeChatLink(
  { secrets }: { secrets: Secrets },
  trx: Trx,
  clinicId: string,
  patientId: string,
  now: Temporal.Instant,
): Promise<ChatLink | null> {
  const owner = await findChatOwner(trx, clinicId, patientId);
  if (owner === null) return null;
  const { botName } = ((await getChannel(trx, clinicId, 'telegram'))?.options ?? {}) as {
    botName?: string;
  };
  if (botName === undefined) {
    throw new AppError('conflict', 'The channel telegram has no options.botName yet.');
  }
  const expiresAt = endOfDay(now.add(linkLife));
  const token = signChat(secrets, { clinicId, patientId: owner.id, expiresAt }, owner.linkedChat);
  return { url: `https://t.me/${botName}?start=${token}`, expiresAt };
}

function endOfDay({ epochMilliseconds }: Temporal.Instant): Temporal.Instant {
  return Temporal.Instant.fromEpochMilliseconds(Math.ceil(epochMilliseconds / msPerDay) * msPerDay);
}

export interface LinkedNews {
  /** What was no link. */
  others: NormalizedEvent[];
  /** What the bot says to the last who opened a chat. */
  answer: { to: string; text: string } | null;
}

/** Told again it is the same again. */
export async function linkChats(
  deps: { db: Db; secrets: Secrets },
  clinic: Clinic,
  channel: Channel,
  events: readonly NormalizedEvent[],
  now: Temporal.Instant,
): Promise<LinkedNews> {
  const news: LinkedNews = { others: [], answer: null };
  for (const event of events) {
    const token = channel === 'telegram' ? tokenIn(event) : null;
    if (token === null || event.type !== 'inbound') {
      news.others.push(event);
      continue;
    }
    const text = await withClinic(deps.db, clinic.id, (trx) =>
      linkChat(deps.secrets, trx, clinic, { token, address: event.from }, now),
    );
    news.answer = { to: event.from, text };
  }
  return news;
}

const startForm = /^\/start (\S{1,64})$/;

function tokenIn(event: NormalizedEvent): string | null {
  if (event.type !== 'inbound' || event.action !== undefined) return null;
  return startForm.exec(event.text?.trim() ?? '')?.[1] ?? null;
}

/** @returns what to say to whoever opened the chat. */
async function linkChat(
  secrets: Secrets,
  trx: Trx,
  clinic: Clinic,
  told: { token: string; address: string },
  now: Temporal.Instant,
): Promise<string> {
  const owner = await lockOwner(secrets, trx, clinic.id, told, now);
  if (owner === null) return chatTexts(clinic.language).unknown;
  if (owner.linkedChat !== told.address) {
    const point = { address: told.address, kind: 'telegram', country: null };
    await insertContactPoints(trx, clinic.id, [point]);
    await lockAddresses(trx, clinic.id, [told.address], 'update');
    await setLinkedChat(trx, clinic.id, owner.id, told.address, now);
    await markReplan(trx, clinic.id, [owner.id]);
  }
  return chatTexts(owner.language, clinic.language).linked(clinic.name);
}

/** Who the token is for, held; null where it is worth nothing, or was used from another chat. */
async function lockOwner(
  secrets: Secrets,
  trx: Trx,
  clinicId: string,
  { token, address }: { token: string; address: string },
  now: Temporal.Instant,
): Promise<ChatOwner | null> {
  const claim = readChat(token);
  if (claim === null || Temporal.Instant.compare(claim.expiresAt, now) <= 0) return null;
  const named = await findChatOwner(trx, clinicId, claim.patientId);
  if (named === null) return null;
  await lockPatients(trx, clinicId, [named.id], 'update');
  const owner = await findChatOwner(trx, clinicId, claim.patientId);
  if (owner === null || owner.id !== named.id) return null;
  // A second tap in the same chat changes nothing and needs no proof.
  if (owner.linkedChat === address) return owner;
  return isSigned(secrets, token, { clinicId, linkedChat: owner.linkedChat }) ? owner : null;
}
