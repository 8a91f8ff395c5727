import type { OutboundMessage, SendOutcome } from '../channels/channel.ts';
import type { Db, Trx } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import type { Clinic } from '../history/clinic.ts';
import { isAfter, later, localDay } from '../local-time.ts';
import { type EffectiveChannel, effectiveChannels } from '../outbox/channel-store.ts';
import { sendTimeoutMs } from '../outbox/claim-store.ts';
import type { DispatchDeps } from '../outbox/dispatch.ts';
import { findSlots, takeSlots } from '../outbox/rate-store.ts';
import { readDigest } from './digest.ts';
import {
  beginNotice,
  countDesk,
  type DueNotice,
  endNotice,
  findDueNotices,
  lockNotice,
  type NoticeEnd,
  pruneNotices,
  recoverNotices,
} from './notice-store.ts';
import { type NoticeFacts, noticeText } from './notice-texts.ts';

/**
 * Tells staff by the clinic's own SMS and e-mail. As with messages, the intent is committed before the call, so that
 * nobody hears twice; one whose fate is unknown is not repeated.
 */

export type NoticeDeps = DispatchDeps & { db: Db };

const noticesMax = 50;
const attemptsMax = 5;
const retryAfterMs = 5 * 60_000;
/** A channel that is not there, or rests, is asked again. */
const askAgainMs = 60 * 60_000;
/** What is older tells of a day that is over. */
const lifeHours = 12;

/** One bounded share of what is due. @returns how many came to something. */
export async function sendNotices(
  deps: NoticeDeps,
  clinic: Clinic,
  now: Temporal.Instant,
): Promise<number> {
  const ids = await withClinic(deps.db, clinic.id, async (trx) => {
    await recoverNotices(trx, clinic.id, now);
    await pruneNotices(trx, clinic.id, now);
    return findDueNotices(trx, clinic.id, now, noticesMax);
  });
  let done = 0;
  for (const id of ids) if (await sendNotice(deps, clinic, id, now)) done += 1;
  return done;
}

async function sendNotice(
  deps: NoticeDeps,
  clinic: Clinic,
  id: string,
  now: Temporal.Instant,
): Promise<boolean> {
  const call = await withClinic(deps.db, clinic.id, (trx) => begin(deps, trx, clinic, id, now));
  if (call === null) return false;
  deps.faults('before_send');
  const outcome = await callProvider(deps, call);
  deps.faults('after_send');
  await withClinic(deps.db, clinic.id, (trx) =>
    endNotice(trx, clinic.id, id, endOf(outcome, call.attempt, now), now),
  );
  return true;
}

interface Call {
  channel: EffectiveChannel;
  message: OutboundMessage;
  attempt: number;
}

/** Commits the intent; null where nothing is to be sent now. */
async function begin(
  deps: NoticeDeps,
  trx: Trx,
  clinic: Clinic,
  id: string,
  now: Temporal.Instant,
): Promise<Call | null> {
  const notice = await lockNotice(trx, clinic.id, id, now);
  const end = (end: NoticeEnd) => endNotice(trx, clinic.id, id, end, now).then(() => null);
  if (notice === null) return null;
  const expiresAt = notice.dueAt.add({ hours: lifeHours });
  const channel = (await effectiveChannels(deps, trx, clinic)).get(notice.channel) ?? null;
  const waitUntil = await notBefore(trx, clinic, channel, now);
  if (waitUntil !== null) {
    return isAfter(waitUntil, expiresAt)
      ? end({ state: 'expired', reason: channel === null ? 'no-channel' : 'channel-paused' })
      : end({ state: 'waiting', nextAt: waitUntil });
  }
  const facts = await factsOf(trx, clinic, notice, now);
  if (channel === null || facts === null) {
    return end({ state: 'expired', reason: 'nothing-left' });
  }
  const { language, url } = notice;
  const terms = { clinicName: clinic.name, language, url, channel: notice.channel };
  const text = noticeText(facts, terms);
  await beginNotice(trx, clinic.id, id, { ...text, provider: channel.provider }, now);
  return { channel, message: toMessage(notice, text, now), attempt: notice.attemptNo + 1 };
}

/** Null where the channel may be used now. */
async function notBefore(
  trx: Trx,
  clinic: Clinic,
  channel: EffectiveChannel | null,
  now: Temporal.Instant,
): Promise<Temporal.Instant | null> {
  if (channel === null || channel.adapter.isLocal) return now.add({ milliseconds: askAgainMs });
  if (channel.resumeAt !== null && isAfter(channel.resumeAt, now)) return channel.resumeAt;
  const perSecond = rateOf(channel);
  if (perSecond === null) return null;
  const slots = await findSlots(trx, clinic.id, channel.channel, perSecond);
  if (slots.free === 0 || slots.delayMs > 0) {
    return now.add({ milliseconds: Math.ceil(Math.max(slots.delayMs, 1_000)) });
  }
  await takeSlots(trx, clinic.id, channel.channel, perSecond, 1);
  return null;
}

/** The account's, which patients' messages keep as well. */
function rateOf({ limits, adapter, config }: EffectiveChannel): number | null {
  if (limits.perSecond !== undefined) return limits.perSecond;
  const rate = adapter.capabilities(config).rate?.find(({ scope }) => scope === 'channel');
  return rate === undefined ? null : (rate.points * 1000) / rate.perMs;
}

/** Null where somebody has done it all by now. */
async function factsOf(
  trx: Trx,
  clinic: Clinic,
  { topic, staff }: DueNotice,
  now: Temporal.Instant,
): Promise<NoticeFacts | null> {
  if (topic === 'digest') {
    return { topic, digest: await readDigest(trx, clinic, localDay(now, clinic.timeZone)) };
  }
  const counts = await countDesk(trx, clinic.id, staff);
  const open = { task: counts.tasks, callback: counts.callbacks, thread: counts.threads }[topic];
  return open === 0 ? null : { topic, open };
}

function toMessage(
  { id, address, channel, dueAt }: DueNotice,
  { subject, text }: { subject: string; text: string },
  now: Temporal.Instant,
): OutboundMessage {
  return {
    id,
    clientRef: id,
    purpose: 'transactional',
    to: address,
    content: channel === 'email' ? { subject, text } : { text },
    expiresAt: later(dueAt, now).add({ hours: lifeHours }),
  };
}

async function callProvider(
  deps: NoticeDeps,
  { channel, message }: Call,
): Promise<SendOutcome | null> {
  const { adapter, config } = channel;
  if (adapter.isLocal) return null;
  const context = {
    signal: AbortSignal.timeout(sendTimeoutMs),
    deadline: deps.clock.now().add({ milliseconds: sendTimeoutMs }),
    http: deps.http,
    log: deps.log,
    now: () => deps.clock.now(),
  };
  try {
    const [outcome] = await adapter.send([adapter.prepare(message, config)], config, context);
    return outcome ?? null;
  } catch (error) {
    // Whatever broke in the adapter, the call may have left.
    const name = error instanceof Error ? error.name : typeof error;
    deps.log.error({ provider: channel.provider, error: name }, 'A notice broke its adapter.');
    return null;
  }
}

function endOf(outcome: SendOutcome | null, attempt: number, now: Temporal.Instant): NoticeEnd {
  if (outcome === null || outcome.kind === 'unknown') {
    return { state: 'unknown', reason: 'unknown_outcome' };
  }
  if (outcome.kind === 'accepted') {
    return { state: 'sent', providerMessageId: outcome.providerMessageId };
  }
  const { error } = outcome;
  const mayGoAgain = ['config', 'rate_limited', 'temporary'].includes(error.class);
  if (!mayGoAgain || attempt >= attemptsMax) return { state: 'failed', reason: error.class };
  const waitMs = Math.max(error.retryAfterMs ?? 0, retryAfterMs * attempt);
  return { state: 'waiting', nextAt: now.add({ milliseconds: waitMs }) };
}
