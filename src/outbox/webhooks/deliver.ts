import type { HttpRequest, HttpResult } from '../../channels/http.ts';
import type { Db } from '../../database/connect.ts';
import { withClinic } from '../../database/with-clinic.ts';
import { claimClinics, rescheduleClinic } from '../../history/clinic-work-store.ts';
import { formatHostId, parseHostId } from '../../history/host-id.ts';
import { loop, type Service } from '../../service.ts';
import { signWebhook } from '../../signature.ts';
import type { DispatchDeps } from '../dispatch.ts';
import {
  claimLanes,
  type DueDelivery,
  findDueDeliveries,
  type Lane,
  nextCallAt,
  pruneHostEvents,
  recordAttempt,
  releaseLane,
} from './delivery-store.ts';
import { followAnswer } from './follow-answer.ts';
import { openReceiver, type Receiver } from './receiver-store.ts';
import type { DeliveryAttempt } from './webhook.ts';

/**
 * Tells the host what happened: at least once, always under the same id, and in order as long as its receiver
 * answers. Any number of processes may serve a clinic; each webhook is told by one of them at a time.
 */

export type DeliverDeps = Pick<
  DispatchDeps,
  'clock' | 'faults' | 'http' | 'log' | 'monotonicMs' | 'random' | 'secrets'
> & {
  db: Db;
  /** Told of each call that ended, for whoever counts. */
  onDelivery?: (outcome: DeliveryOutcome) => void;
};

export type DeliveryOutcome = 'done' | 'retry' | 'failed';

export interface DeliverLimits {
  /** How many events of each webhook one share takes. */
  events: number;
  /** After which no further call begins. */
  shareMs: number;
  callMs: number;
  signal?: AbortSignal;
}

export const defaultDeliverLimits: DeliverLimits = Object.freeze({
  events: 500,
  shareMs: 10_000,
  // A process that is stopped waits for it, and has 18 s.
  callMs: 15_000,
});

export interface Delivered {
  /** Calls that went well, and those that did not. */
  done: number;
  failed: number;
  /** The limit was reached: more may be due. */
  remaining: boolean;
}

const pruneMax = 1_000;
const batchMax = 50;

/** One bounded share of what a clinic's webhooks have not heard yet. */
export async function deliverEvents(
  deps: DeliverDeps,
  clinicId: string,
  limits: DeliverLimits = defaultDeliverLimits,
): Promise<Delivered> {
  const result: Delivered = { done: 0, failed: 0, remaining: false };
  const lanes = await withClinic(
    deps.db,
    clinicId,
    (trx) => claimLanes(trx, clinicId, deps.clock.now()),
    { isDurable: false },
  );
  deps.faults('after_webhook_claim');
  const share = { deps, clinicId, limits, result, startedMs: deps.monotonicMs() };
  const served = await Promise.allSettled(lanes.map((lane) => serveLane(share, lane)));
  deps.faults('before_webhook_reschedule');
  await withClinic(deps.db, clinicId, async (trx) => {
    await pruneHostEvents(trx, clinicId, pruneMax);
    await rescheduleClinic(trx, clinicId, 'webhook', () => nextCallAt(trx, clinicId));
  });
  const broken = served.find((lane) => lane.status === 'rejected');
  if (broken) throw broken.reason;
  return result;
}

interface Share {
  deps: DeliverDeps;
  clinicId: string;
  limits: DeliverLimits;
  result: Delivered;
  startedMs: number;
}

async function serveLane(share: Share, lane: Lane): Promise<void> {
  const { deps, clinicId } = share;
  try {
    await tellInOrder(share, lane);
  } finally {
    await withClinic(deps.db, clinicId, (trx) => releaseLane(trx, clinicId, lane));
  }
}

async function tellInOrder(share: Share, lane: Lane): Promise<void> {
  const { deps, clinicId, limits, result } = share;
  const receiver = openReceiver(deps.secrets, clinicId, lane, deps.clock.now());
  for (let told = 0; told < limits.events; ) {
    const most = Math.min(batchMax, limits.events - told);
    const due = await withClinic(deps.db, clinicId, (trx) =>
      findDueDeliveries(trx, clinicId, lane.name, deps.clock.now(), most),
    );
    for (const delivery of due) {
      if (isOver(share)) {
        result.remaining = true;
        return;
      }
      if (!(await tell(share, lane, receiver, delivery))) return;
      told += 1;
    }
    if (due.length < most) return;
  }
  result.remaining = true;
}

function isOver({ deps, limits, startedMs }: Share): boolean {
  return limits.signal?.aborted === true || deps.monotonicMs() - startedMs >= limits.shareMs;
}

/** @returns whether the next event may follow. */
async function tell(
  { deps, clinicId, limits, result }: Share,
  lane: Lane,
  receiver: Receiver,
  event: DueDelivery,
): Promise<boolean> {
  const body = JSON.stringify({
    id: event.eventId,
    type: event.type,
    timestamp: event.occurredAt.toString(),
    data: { ...inWordsOf(receiver.source, event.hostIds), ...event.data },
  });
  deps.faults('before_webhook_call');
  const { result: answer, attempt } = await callReceiver(
    deps,
    receiver,
    { id: event.eventId, body },
    limits.callMs,
  );
  deps.faults('after_webhook_answer');
  const { tries, firstTriedAt } = event;
  const { failures, failingSince } = lane;
  const standing = { tries, firstTriedAt, failures, failingSince };
  const followed = followAnswer(standing, answer, deps.clock.now(), deps.random);
  const { webhook, delivery } = followed;
  const isHeld = await withClinic(deps.db, clinicId, async (trx) => {
    const isHeld = await recordAttempt(
      trx,
      clinicId,
      lane,
      { ...attempt, eventId: event.eventId },
      followed,
    );
    deps.faults('before_webhook_commit');
    return isHeld;
  });
  deps.faults('after_webhook_commit');
  lane.failures = webhook.failures;
  lane.failingSince = webhook.failingSince;
  const isDone = delivery.state === 'done';
  if (isDone) result.done += 1;
  else result.failed += 1;
  deps.onDelivery?.(delivery.state === 'waiting' ? 'retry' : delivery.state);
  if (webhook.state !== 'active') {
    deps.log.warn(
      { clinicId, webhook: lane.name, state: webhook.state },
      'A webhook is no longer told.',
    );
  }
  return isHeld && isDone;
}

/** Ids of the host as the webhook's source calls them. */
function inWordsOf(source: string, hostIds: DueDelivery['hostIds']): Record<string, string | null> {
  return Object.fromEntries(
    Object.entries(hostIds).map(([name, id]) => [
      name,
      id === null ? null : formatHostId(parseHostId(id, source), source),
    ]),
  );
}

/** A receiver has nothing to say; what it says all the same is not read. */
const answerBytesMax = 65_536;

/** One signed call. Neither a redirect nor a private address is followed: see `channels/http.ts`. */
export async function callReceiver(
  deps: Pick<DeliverDeps, 'clock' | 'http' | 'monotonicMs'>,
  receiver: Receiver,
  { id, body }: { id: string; body: string },
  timeoutMs: number,
): Promise<{ result: HttpResult; attempt: DeliveryAttempt }> {
  const at = deps.clock.now();
  const startedMs = deps.monotonicMs();
  const request: HttpRequest = {
    method: 'POST',
    url: receiver.url,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Retorno',
      ...signWebhook({ id, at, body }, receiver.secrets),
    },
    body,
    signal: neverAborted,
    timeoutMs,
    answerBytesMax,
  };
  const result = await deps.http.request(request);
  const attempt = {
    at,
    durationMs: Math.round(deps.monotonicMs() - startedMs),
    status: result.kind === 'answered' ? result.status : null,
    reason: result.kind === 'answered' ? null : result.reason,
  };
  return { result, attempt };
}

const neverAborted = new AbortController().signal;

const workers = 4;
const idleMs = 500;

/** Tells the hosts of all live clinics, longest unserved first, a share at a time. */
export function createWebhookDispatcher(deps: DeliverDeps): Service {
  // A clinic whose receiver is slow takes one worker's time, not everybody's.
  const busy = new Set<string>();
  const loops = Array.from({ length: workers }, () =>
    loop({
      round: (signal) => serveNext(deps, busy, signal),
      idleMs,
      onError: (error) => report(deps, error),
    }),
  );
  return {
    start: () => {
      for (const each of loops) each.start();
    },
    stop: async () => {
      await Promise.all(loops.map((each) => each.stop()));
    },
    wake: () => {
      for (const each of loops) each.wake();
    },
  };
}

async function serveNext(
  deps: DeliverDeps,
  busy: Set<string>,
  signal: AbortSignal,
): Promise<'more' | 'idle'> {
  const [clinicId] = await claimClinics(deps.db, 'webhook', deps.clock.now(), 1);
  if (clinicId === undefined || busy.has(clinicId)) return 'idle';
  busy.add(clinicId);
  try {
    const { done, failed } = await deliverEvents(deps, clinicId, {
      ...defaultDeliverLimits,
      signal,
    });
    return done + failed > 0 ? 'more' : 'idle';
  } finally {
    busy.delete(clinicId);
  }
}

function report(deps: DeliverDeps, error: unknown): void {
  const name = error instanceof Error ? error.name : typeof error;
  deps.log.error({ error: name }, 'A share of webhooks failed.');
}

/** A write of a test clinic waits for it: what is slower goes with the next one. */
const testLimits: DeliverLimits = Object.freeze({ events: 200, shareMs: 3_000, callMs: 3_000 });

/**
 * Tells the host of a test clinic what is due by the real clock. Called with no lock held: a receiver may ask us
 * something before it answers.
 */
export async function deliverInTest(
  deps: DeliverDeps,
  clinicId: string,
  sharesMax: number,
): Promise<void> {
  for (let share = 0; share < sharesMax; share += 1) {
    const { done, remaining } = await deliverEvents(deps, clinicId, testLimits);
    if (done === 0 || !remaining) return;
  }
}
