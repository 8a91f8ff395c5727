import type {
  Channel,
  DeliveryStatus,
  NormalizedEvent,
  Purpose,
  StatusNews,
  SuppressionNews,
} from '../channels/channel.ts';
import { findAdapter } from '../channels/registry.ts';
import type { Trx } from '../database/connect.ts';
import { wakeClinic } from '../history/clinic-work-store.ts';
import { recordOptOut } from '../history/consent-store.ts';
import { lockAddresses } from '../history/lock-store.ts';
import { callPlanner } from './call-planner.ts';
import { sandboxProvider } from './channel-store.ts';
import { releaseContactDays } from './message-store.ts';
import { reasonOf } from './outcome.ts';
import { advance } from './receipt.ts';
import {
  findClientRef,
  insertReceipts,
  lockStandings,
  matchReceipts,
  type ReceiptRow,
  type StandingChange,
  type StandingMessage,
  writeStandings,
} from './receipt-store.ts';

/**
 * S6: what providers tell about messages and people. Each piece of news counts once; what matches no
 * message of this clinic is stored and changes nothing. What patients say is for the replies.
 */

type StatusEvent = NormalizedEvent & StatusNews;
type SuppressionEvent = NormalizedEvent & SuppressionNews;

export interface ReceiptsResult {
  /** Pieces of news that were not known before. */
  recorded: number;
  /** Messages whose state changed. */
  advanced: number;
}

export async function recordReceipts(
  trx: Trx,
  clinicId: string,
  channel: Channel,
  events: readonly NormalizedEvent[],
  now: Temporal.Instant,
): Promise<ReceiptsResult> {
  const statuses = events.filter((event) => event.type === 'status');
  const suppressions = events.filter((event) => event.type === 'suppression');
  const addresses = suppressions.map((event) => event.address);
  await lockAddresses(trx, clinicId, [...new Set(addresses)], 'update');

  const rows = [...statuses, ...suppressions].map(toRow);
  if (rows.length === 0) return { recorded: 0, advanced: 0 };
  const messageIds = await matchReceipts(trx, clinicId, channel, rows);
  const standings = await lockStandings(trx, clinicId, [...new Set(messageIds.values())]);
  const news = await insertReceipts(
    trx,
    clinicId,
    channel,
    rows.map((row) => ({ ...row, messageId: messageIds.get(row.position) ?? null })),
    now,
  );

  const changes = applyStatuses(
    channel,
    statuses.flatMap((event, position) => {
      const messageId = messageIds.get(position);
      return news.has(position) && messageId !== undefined ? [{ event, messageId }] : [];
    }),
    standings,
    now,
  );
  await writeStandings(trx, clinicId, changes, now);
  await stopSuppressed(
    trx,
    clinicId,
    channel,
    suppressions.filter((_, index) => news.has(statuses.length + index)),
    now,
  );
  await followUp(trx, clinicId, standings, changes, now);
  return { recorded: news.size, advanced: changes.length };
}

function toRow(event: StatusEvent | SuppressionEvent, position: number): ReceiptRow {
  const error = event.type === 'status' ? event.error : undefined;
  return {
    position,
    dedupeKey: event.dedupeKey,
    clientRef: event.clientRef ?? null,
    providerMessageId: event.type === 'status' ? (event.providerMessageId ?? null) : null,
    address: event.address ?? null,
    status: event.type === 'status' ? event.status : event.reason,
    errorClass: error?.class ?? null,
    providerCode: error?.providerCode ?? null,
    occurredAt: event.occurredAt,
  };
}

function applyStatuses(
  channel: Channel,
  told: readonly { event: StatusEvent; messageId: string }[],
  standings: readonly StandingMessage[],
  now: Temporal.Instant,
): StandingChange[] {
  const before = new Map(standings.map((standing) => [standing.id, standing]));
  const changes = new Map<string, StandingChange>();
  for (const { event, messageId } of told) {
    const message = before.get(messageId);
    if (message === undefined) continue;
    const current = changes.get(messageId) ?? { ...message, cost: null, lookAt: null };
    const next = applyStatus(channel, message, current, event, now);
    if (next !== current) changes.set(messageId, next);
  }
  return [...changes.values()];
}

function applyStatus(
  channel: Channel,
  message: StandingMessage,
  current: StandingChange,
  event: StatusEvent,
  now: Temporal.Instant,
): StandingChange {
  if (event.status === 'failed' && isHint(channel, message)) return { ...current, lookAt: now };
  const reason = event.error ? reasonOf(event.error) : undefined;
  const news = { status: event.status, at: event.occurredAt, ...(reason && { reason }) };
  const standing = advance(undelivered(current, message, event), news);
  const cost = event.cost ?? current.cost;
  if (standing === current && cost === current.cost) return current;
  return { ...current, ...standing, cost };
}

/** The sandbox delivers at once; a test may say afterwards that it did not. */
function undelivered(
  current: StandingChange,
  { provider }: StandingMessage,
  { status }: StatusEvent,
): StandingChange {
  if (provider !== sandboxProvider || status !== 'failed' || current.state !== 'delivered')
    return current;
  return { ...current, state: 'sent', deliveredAt: null };
}

/**
 * A provider that can be asked has its word of failure read again before anybody acts on it: its
 * callback may be forged in what its signature leaves out.
 */
function isHint(channel: Channel, { provider, state }: StandingMessage): boolean {
  const adapter = provider === null ? null : findAdapter(channel, provider);
  if (adapter === null || adapter.isLocal || (state !== 'sent' && state !== 'unknown'))
    return false;
  const config = { credentials: {}, options: {}, callbackUrl: '' };
  return (
    adapter.capabilities(config).deliveryReceipts === 'both' && adapter.reconcile !== undefined
  );
}

async function stopSuppressed(
  trx: Trx,
  clinicId: string,
  channel: Channel,
  events: readonly SuppressionEvent[],
  now: Temporal.Instant,
): Promise<void> {
  for (const { address, purposes } of events) {
    const purpose = optOutPurpose(purposes);
    const optOut = { address, channel, origin: 'provider' as const, ...(purpose && { purpose }) };
    await recordOptOut(trx, clinicId, optOut, now);
  }
}

/** Undefined stops care and marketing. */
function optOutPurpose(purposes: readonly Purpose[] | 'all'): Purpose | undefined {
  if (purposes === 'all' || purposes.includes('transactional')) return 'transactional';
  return purposes.length === 1 ? purposes[0] : undefined;
}

async function followUp(
  trx: Trx,
  clinicId: string,
  standings: readonly StandingMessage[],
  changes: readonly StandingChange[],
  now: Temporal.Instant,
): Promise<void> {
  const before = new Map(standings.map((standing) => [standing.id, standing]));
  const moved = changes.filter((change) => before.get(change.id)?.state !== change.state);
  const failed = moved.filter((change) => change.state === 'failed');
  await releaseContactDays(
    trx,
    clinicId,
    failed.map((change) => change.id),
  );
  const concerned = moved.flatMap(({ id }) => before.get(id) ?? []);
  await callPlanner(
    trx,
    clinicId,
    concerned.filter((message) => message.journeyContinues),
    now,
  );
  const isToBeLookedAt = changes.some(({ lookAt, state }) => lookAt !== null || state === 'sent');
  if (isToBeLookedAt) await wakeClinic(trx, clinicId, 'reconcile', now);
}

/** For a test clinic: what a provider would have told of a message. @returns false where there is none. */
export async function recordTestReceipt(
  trx: Trx,
  clinicId: string,
  messageId: string,
  status: Exclude<DeliveryStatus, 'not_found'>,
  now: Temporal.Instant,
): Promise<boolean> {
  const message = await findClientRef(trx, clinicId, messageId);
  if (message === null) return false;
  const dedupeKey = `test:${messageId}:${status}`;
  const { clientRef, channel } = message;
  const event = {
    type: 'status',
    dedupeKey,
    occurredAt: now,
    raw: null,
    status,
    clientRef,
  } as const;
  await recordReceipts(trx, clinicId, channel, [event], now);
  return true;
}
