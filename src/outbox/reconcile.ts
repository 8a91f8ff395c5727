import type { AdapterContext, Channel, ReconcileOutcome } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import { withClinic } from '../database/with-clinic.ts';
import type { Clinic } from '../history/clinic.ts';
import { findClinic } from '../history/clinic-store.ts';
import { claimClinics, rescheduleClinic, wakeClinic } from '../history/clinic-work-store.ts';
import { earlier } from '../local-time.ts';
import { loop, type Service } from '../service.ts';
import { callPlanner } from './call-planner.ts';
import {
  type EffectiveChannel,
  effectiveChannels,
  findConfiguredChannel,
} from './channel-store.ts';
import { sendTimeoutMs } from './claim-store.ts';
import type { DispatchDeps } from './dispatch.ts';
import { learn, lookAt } from './judge-open-message.ts';
import { releaseContactDays } from './message-store.ts';
import {
  type Answer,
  type Answered,
  nextReconcileAt,
  type OpenMessage,
  takeOpenMessages,
  writeAnswers,
} from './reconcile-store.ts';

/**
 * S5: asks providers what became of messages whose answer was lost, and how far those that were sent
 * have come. Nothing is sent here.
 */

export interface ReconcileResult {
  looked: number;
  /** Messages whose state changed. */
  changed: number;
}

/** One look takes as many as one question to a provider may name. */
const openMax = 500;
/** While a question runs nobody else asks it; after a crash it is asked anew. */
const questionTime = Temporal.Duration.from('PT2M');
/** Providers take one question for many messages a minute. */
const questionsApart = Temporal.Duration.from('PT60S');

export async function reconcileClinic(
  deps: DispatchDeps,
  clinicId: string,
  now: Temporal.Instant,
): Promise<ReconcileResult> {
  const opened = await open(deps, clinicId, now);
  if (opened === null) return { looked: 0, changed: 0 };
  deps.faults('before_reconcile');
  const answers = await answersTo(deps, opened, now);
  deps.faults('after_reconcile_answer');
  const hasAsked = answers.some((answer) => answer.wasAsked);
  const answered = await withClinic(deps.db, clinicId, async (trx) => {
    const answered = await writeAnswers(
      trx,
      clinicId,
      answers.map(({ wasAsked, ...answer }) => answer),
      now,
    );
    await followUp(trx, clinicId, answered, now);
    await reschedule(trx, opened.clinic, hasAsked, now);
    deps.faults('before_reconcile_commit');
    return answered;
  });
  deps.faults('after_reconcile');
  const changed = answered.filter((answer) => answer.state !== answer.from).length;
  return { looked: opened.messages.length, changed };
}

interface Opened {
  clinic: Clinic;
  messages: OpenMessage[];
  channels: Map<Channel, EffectiveChannel>;
}

async function open(
  deps: DispatchDeps,
  clinicId: string,
  now: Temporal.Instant,
): Promise<Opened | null> {
  return withClinic(deps.db, clinicId, async (trx) => {
    const clinic = await findClinic(trx, clinicId);
    if (clinic === null) return null;
    const again = now.add(questionTime);
    const messages = await takeOpenMessages(trx, clinicId, now, again, openMax);
    return { clinic, messages, channels: await askableChannels(deps, trx, clinic, messages) };
  });
}

/** What was sent through a channel that is switched off by now can still be asked about. */
async function askableChannels(
  deps: DispatchDeps,
  trx: Trx,
  clinic: Clinic,
  messages: readonly OpenMessage[],
): Promise<Map<Channel, EffectiveChannel>> {
  const channels = await effectiveChannels(deps, trx, clinic);
  for (const channel of new Set(messages.map((message) => message.channel))) {
    if (channels.has(channel)) continue;
    const configured = await findConfiguredChannel(deps, trx, clinic.id, channel);
    if (configured) channels.set(channel, configured);
  }
  return channels;
}

type Told = Answer & { wasAsked: boolean };

async function answersTo(
  deps: DispatchDeps,
  { messages, channels }: Opened,
  now: Temporal.Instant,
): Promise<Told[]> {
  const told: Told[] = [];
  const questions = new Map<EffectiveChannel, OpenMessage[]>();
  for (const message of messages) {
    const found = channels.get(message.channel);
    const channel = found?.provider === message.provider ? found : null;
    const capabilities = channel?.adapter.capabilities(channel.config) ?? null;
    const canAsk = channel !== null && 'reconcile' in channel.adapter;
    const look = lookAt(message, capabilities, canAsk, now);
    if (!look.ask) told.push({ ...look.answer, wasAsked: false });
    else if (channel) questions.set(channel, [...(questions.get(channel) ?? []), message]);
  }
  for (const [channel, asked] of questions) told.push(...(await ask(deps, channel, asked, now)));
  return told;
}

async function ask(
  deps: DispatchDeps,
  channel: EffectiveChannel,
  messages: readonly OpenMessage[],
  now: Temporal.Instant,
): Promise<Told[]> {
  const { adapter, config } = channel;
  if (adapter.isLocal || !adapter.reconcile) return [];
  const capabilities = adapter.capabilities(config);
  // The others keep their place: their look was only moved on by the time of a question.
  const named = messages.slice(0, capabilities.reconcileTiming?.batchMax ?? 1);
  const refs = named.map(({ id, clientRef, address, text, startedAt }) => ({
    id,
    clientRef,
    to: address ?? '',
    text,
    sentAt: startedAt,
  }));
  const outcomes = await adapter.reconcile(refs, config, askContext(deps)).catch(noAnswer(deps));
  const byId = new Map(outcomes.map((outcome) => [outcome.id, outcome]));
  const terms = { capabilities, now, random: deps.random };
  return named.flatMap((message) => {
    const outcome = byId.get(message.id);
    return outcome ? [{ ...learn(message, outcome, terms), wasAsked: true }] : [];
  });
}

/** Whatever broke in the adapter, nothing was learnt: it is asked again. */
function noAnswer(deps: DispatchDeps): (error: unknown) => ReconcileOutcome[] {
  return (error) => {
    const name = error instanceof Error ? error.name : typeof error;
    deps.log.error({ error: name }, 'An adapter broke its contract.');
    return [];
  };
}

function askContext(deps: DispatchDeps): AdapterContext {
  return {
    signal: AbortSignal.timeout(sendTimeoutMs),
    deadline: deps.clock.now().add({ milliseconds: sendTimeoutMs }),
    http: deps.http,
    log: deps.log,
    now: () => deps.clock.now(),
  };
}

async function followUp(
  trx: Trx,
  clinicId: string,
  answered: readonly Answered[],
  now: Temporal.Instant,
): Promise<void> {
  const changed = answered.filter((answer) => answer.state !== answer.from);
  const failed = changed.filter((answer) => answer.state === 'failed');
  await releaseContactDays(
    trx,
    clinicId,
    failed.map((answer) => answer.id),
  );
  if (changed.some(({ state }) => state === 'retry' || state === 'held'))
    await wakeClinic(trx, clinicId, 'dispatch', now);
  await callPlanner(
    trx,
    clinicId,
    changed.filter((answer) => answer.journeyContinues),
    now,
  );
}

async function reschedule(
  trx: Trx,
  clinic: Clinic,
  hasAsked: boolean,
  now: Temporal.Instant,
): Promise<void> {
  const apart = now.add(questionsApart);
  await rescheduleClinic(trx, clinic.id, 'reconcile', async () => {
    const at = await nextReconcileAt(trx, clinic.id);
    if (at === null || !hasAsked || clinic.mode === 'test') return at;
    return earlier(at, apart) === at ? apart : at;
  });
}

const idleMs = 1_000;
const clinicsAtOnce = 4;

/** Asks for all live clinics whose messages are due for a look. */
export function createReconciler(deps: DispatchDeps): Service {
  return loop({
    round: async () => {
      const now = deps.clock.now();
      const clinics = await claimClinics(deps.db, 'reconcile', now, clinicsAtOnce);
      const looks = await Promise.allSettled(
        clinics.map((clinicId) => reconcileClinic(deps, clinicId, now)),
      );
      const broken = looks.find((look) => look.status === 'rejected');
      if (broken) throw broken.reason;
      return clinics.length > 0 ? 'more' : 'idle';
    },
    idleMs,
    onError: (error) => {
      const name = error instanceof Error ? error.name : typeof error;
      deps.log.error({ error: name }, 'A round of reconciling failed.');
    },
  });
}
