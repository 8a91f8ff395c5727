import type {
  Channel,
  OutboundMessage,
  PreparedMessage,
  ProviderAdapter,
} from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { clinicConsentTerms } from '../history/clinic-policy.ts';
import { blockedByConsent } from '../history/consent-store.ts';
import { formatHostId } from '../history/host-id.ts';
import { defaultSource } from '../history/key.ts';
import { nextAtDesk } from '../history/opening-hours.ts';
import { hostIdsOf } from '../history/patient-store.ts';
import { localDay } from '../local-time.ts';
import { uuidv7 } from '../uuid.ts';
import {
  type Attempt,
  bookContacts,
  commitLocal,
  commitSending,
  commitStayed,
  type Leaving,
  takeFromDay,
} from './begin-store.ts';
import { callPlanner } from './call-planner.ts';
import type { EffectiveChannel } from './channel-store.ts';
import type { Claim, DueMessage } from './claim-store.ts';
import { findOpenConversations } from './conversation-store.ts';
import type { Faults } from './fault.ts';
import { groupCalls } from './group-calls.ts';
import type { Verdict } from './guard.ts';
import type { GuardFacts } from './guard-store.ts';
import type { Look } from './hold-anomalies.ts';
import { holdLaterInvitations } from './hold-invitations.ts';
import { giveBackPlaces, holdOutranked, reasonOfTaken } from './hold-outranked.ts';
import { countGoers, holdOverLimits } from './hold-over-limits.ts';
import { holdOverRate } from './hold-over-rate.ts';
import { countsTowardCaps, heldFor, heldUntilTomorrow, judgeMessage } from './judge-message.ts';
import { type Batch, lockBatch } from './lock-batch.ts';
import { readMeetings, type Spoken } from './meeting-store.ts';
import { type Merging, mergeHouseholds, namedIn, settleHouseholds } from './merge-households.ts';
import { actionsFor } from './message-actions.ts';
import { releaseContactDays } from './message-store.ts';
import { retryAlone } from './outcome.ts';
import { priceOf } from './price.ts';
import { bookNamed, callForward, markCarried } from './relatives-store.ts';
import {
  bodyFor,
  linkFor,
  type RenderDeps,
  type RenderedMessage,
  renderMessage,
  speaksOfMeeting,
} from './render-message.ts';
import { findTemplates } from './template-store.ts';

/**
 * S2, for due messages of one channel that this transaction holds: locks the rows that every write takes
 * which can remove a reason to send (and leaves for the next round what another holds), looks at all that may speak against each message, renders the text, and commits the
 * intent. What is returned may be sent once the transaction has committed, and not before.
 */

export interface BeginDeps extends RenderDeps {
  faults: Faults;
}

/** A message whose intent to send is committed. */
export interface Begun extends Claim {
  patientId: string;
  attemptNo: number;
  journeyContinues: boolean;
  /** How far the provider's clock of it goes. */
  expiresAt: Temporal.Instant;
  prepared: PreparedMessage;
}

type Channels = ReadonlyMap<Channel, EffectiveChannel>;

export interface BeginResult {
  /** Each list is one call to the provider. */
  calls: Begun[][];
  /** Delivered by rows of our own. */
  delivered: number;
  suppressed: number;
  held: number;
  /** Whom somebody else was writing to: these are due again at once. */
  busy: number;
  /** Rules that are held from now on because today is no usual day. */
  anomalies: Look[];
}

interface Ready {
  facts: GuardFacts;
  prepared: PreparedMessage;
  language: string | null;
}

export async function beginMessages(
  deps: BeginDeps,
  trx: Trx,
  clinic: Clinic,
  /** The one they go on, and all that are set up. */
  { channel, channels }: { channel: EffectiveChannel | null; channels: Channels },
  due: readonly DueMessage[],
  now: Temporal.Instant,
): Promise<BeginResult> {
  const batch = await lockBatch(deps, trx, clinic, due, now);
  const all = batch.due;
  const known = [...all, ...batch.companions, ...[...batch.carried.values()].flat()];
  const verdicts = await judgeAll(trx, clinic, known, now);
  const goers = () => all.filter((facts) => verdicts.get(facts.id)?.state === 'go');

  const rendered = await renderAll(deps, trx, clinic, speakers(batch, verdicts), now);
  for (const facts of goers()) {
    const message = rendered.get(facts.id);
    if (message && !message.ok) verdicts.set(facts.id, heldFor(message.reason, facts, now));
  }
  const isWorded = ({ id }: GuardFacts) => rendered.get(id)?.ok === true;
  const merging = mergeHouseholds(batch, { verdicts, isWorded, clinic, now });
  await renderNames(deps, trx, clinic, goers(), merging, rendered, now);
  holdWithoutChannel(goers(), verdicts, channel, now);
  await holdOverRate(trx, clinic.id, channel, goers(), verdicts, now);
  const others = known.filter(({ id }) => !merging.called.includes(id));
  const outranked = await holdOutranked(
    trx,
    goers(),
    others,
    namedIn(merging, goers()),
    verdicts,
    clinic,
    now,
  );
  outranked.push(...holdLaterInvitations(goers(), verdicts, clinic, now));
  const recipients = await recipientsOf(trx, clinic.id, channel, goers());
  const conversations = await findOpenConversations(trx, clinic.id, channel, goers(), now);
  const terms = { deps, clinic, rendered, recipients, conversations, now };
  const ready = channel === null ? [] : prepareAll(terms, channel, goers());
  const priced = ready.map(({ facts, prepared }) => ({
    facts,
    costMicros: priceOf(channel?.tariff ?? {}, facts.addressCountry, prepared.segments) ?? 0,
  }));
  // Who is named by another takes no place of their own either.
  const stayers = new Set([
    ...all.flatMap(({ id, journeyId }) =>
      verdicts.get(id)?.state === 'go' ? [] : (journeyId ?? []),
    ),
    ...merging.absorbed.flatMap(({ facts }) => facts.journeyId ?? []),
  ]);
  const limitTerms = { trx, clinic, now, verdicts, stayers, deps, channels };
  const within = await holdOverLimits(priced, limitTerms);
  await holdOverDay(trx, goers(), verdicts, clinic, now);
  await holdUnbooked(trx, goers(), verdicts, clinic, now);
  await countGoers(within, limitTerms);
  const absorbed = settleHouseholds(merging, verdicts, now);
  giveBackPlaces([...outranked, ...merging.outranked], verdicts, now);
  deps.faults('after_judge');

  const named = absorbed.filter(({ isDue }) => !isDue).map(({ facts }) => facts);
  const stayed = await stay(trx, clinic.id, [...all, ...named], verdicts, now);
  await keepHouseholds(trx, clinic, { ...merging, absorbed }, goers(), now);
  const turns = new Map(due.map(({ id }, turn) => [id, turn]));
  const turnOf = ({ facts }: Ready) => turns.get(facts.id) ?? due.length;
  const leavers = ready
    .filter(({ facts }) => verdicts.get(facts.id)?.state === 'go')
    .sort((one, other) => turnOf(one) - turnOf(other));
  const left = await leave(trx, clinic, channel, leavers, now);
  // Last of all: the clinic's work row is taken after every other lock.
  await callPlanner(trx, clinic.id, [...stayed.concerned, ...left.concerned], now);
  const { suppressed, held } = stayed;
  const busy = due.length - all.length;
  const anomalies = within.looks.filter(({ isHeld }) => isHeld);
  return { calls: left.calls, delivered: left.delivered, suppressed, held, busy, anomalies };
}

/** Who may go, and who is only early: for these words are needed, if only to be named by others. */
function speakers(batch: Batch, verdicts: ReadonlyMap<string, Verdict>): GuardFacts[] {
  return [...batch.due, ...batch.companions].filter((facts) => {
    const verdict = verdicts.get(facts.id);
    if (verdict?.state === 'go') return true;
    return facts.mayMerge && verdict?.state === 'held' && verdict.reason === 'send-window';
  });
}

/** Puts those messages into words again that name others beside their own patient. */
async function renderNames(
  deps: BeginDeps,
  trx: Trx,
  clinic: Clinic,
  goers: readonly GuardFacts[],
  { named }: Merging,
  rendered: Map<string, RenderedMessage>,
  now: Temporal.Instant,
): Promise<void> {
  const naming = goers.filter(({ id }) => named.has(id));
  if (naming.length === 0) return;
  for (const [id, message] of await renderAll(deps, trx, clinic, naming, now, named)) {
    rendered.set(id, message);
  }
}

/** Notes who is named by whom, and that this is their contact too. */
async function keepHouseholds(
  trx: Trx,
  clinic: Clinic,
  { absorbed, named, called }: Merging,
  goers: readonly GuardFacts[],
  now: Temporal.Instant,
): Promise<void> {
  const carried = absorbed.map(({ facts, carrierId }) => ({ id: facts.id, carriedBy: carrierId }));
  await markCarried(trx, clinic.id, carried);
  const contacts = goers.flatMap(({ id, purpose }) =>
    (named.get(id) ?? []).map(({ patientId }) => ({ messageId: id, patientId, purpose })),
  );
  await bookNamed(trx, clinic.id, localDay(now, clinic.timeZone), contacts);
  await callForward(trx, clinic.id, called, now);
}

/** What history says of each message, consent included. */
export async function judgeAll(
  trx: Trx,
  clinic: Clinic,
  all: readonly GuardFacts[],
  now: Temporal.Instant,
): Promise<Map<string, Verdict>> {
  const asks = all.map((facts) => ({ key: facts.id, ...facts }));
  // Whoever answers for a patient may stop what goes to them.
  const through = all.flatMap(({ throughId, ...facts }) =>
    throughId === null ? [] : [{ ...facts, key: `${facts.id} through`, patientId: throughId }],
  );
  const consent = clinicConsentTerms(clinic);
  const openings = new Map<string, Temporal.Instant | null>();
  const blocks = await blockedByConsent(trx, clinic.id, [...asks, ...through], consent);
  return new Map(
    all.map((facts) => {
      const isStopped = blocks.get(`${facts.id} through`) === 'opted-out';
      const consent = isStopped ? 'opted-out' : blocks.get(facts.id);
      return [facts.id, judgeMessage(facts, { clinic, now, consent, openings })];
    }),
  );
}

export async function renderAll(
  deps: RenderDeps,
  trx: Trx,
  clinic: Clinic,
  goers: readonly GuardFacts[],
  now: Temporal.Instant,
  /** Whom a message names beside its own patient. */
  named: ReadonlyMap<string, readonly GuardFacts[]> = new Map(),
): Promise<Map<string, RenderedMessage>> {
  const names = goers.flatMap((facts) => (facts.template === null ? [] : [facts.template]));
  const templates = new Map(
    (await findTemplates(trx, clinic.id, unique(names))).map((each) => [each.name, each]),
  );
  const picked = new Map(
    goers.map((facts) => [
      facts.id,
      facts.template === null ? null : bodyFor(facts, templates.get(facts.template), clinic),
    ]),
  );
  const speaking = goers.filter((facts) => {
    const body = picked.get(facts.id);
    return body != null && speaksOfMeeting(body);
  });
  const meetings =
    speaking.length === 0
      ? null
      : await readMeetings(trx, clinic.id, speaking.map(toSpoken), clinic.timeZone, now);
  return new Map(
    goers.map((facts) => [
      facts.id,
      renderMessage(
        deps,
        clinic,
        { ...facts, named: named.get(facts.id) ?? [] },
        picked.get(facts.id) ?? null,
        meetings?.get(facts.id),
        now,
      ),
    ]),
  );
}

function toSpoken({ id, patientId, guard, occurrence }: GuardFacts): Spoken {
  return { id, patientId, anchor: guard.anchor, occurrence };
}

export function holdWithoutChannel(
  goers: readonly GuardFacts[],
  verdicts: Map<string, Verdict>,
  channel: EffectiveChannel | null,
  now: Temporal.Instant,
): void {
  const resumeAt = channel?.resumeAt ?? null;
  if (channel !== null && (resumeAt === null || Temporal.Instant.compare(resumeAt, now) <= 0))
    return;
  for (const facts of goers) {
    const until =
      resumeAt !== null && Temporal.Instant.compare(resumeAt, facts.expiresAt) < 0
        ? resumeAt
        : facts.expiresAt;
    verdicts.set(facts.id, { state: 'held', reason: 'channel-paused', until });
  }
}

const channelsOutsideLimit: readonly Channel[] = ['inbox', 'task'];

async function holdOverDay(
  trx: Trx,
  goers: readonly GuardFacts[],
  verdicts: Map<string, Verdict>,
  clinic: Clinic,
  now: Temporal.Instant,
): Promise<void> {
  const counted = goers.filter(
    (facts) => facts.attemptNo === 0 && !channelsOutsideLimit.includes(facts.channel),
  );
  if (counted.length === 0) return;
  const day = localDay(now, clinic.timeZone);
  const most = clinic.settings.messagesPerDay;
  const granted = await takeFromDay(trx, clinic.id, day, counted.length, most);
  for (const facts of counted.slice(granted)) {
    verdicts.set(facts.id, heldUntilTomorrow('daily-limit', facts, clinic, now));
  }
}

async function holdUnbooked(
  trx: Trx,
  goers: readonly GuardFacts[],
  verdicts: Map<string, Verdict>,
  clinic: Clinic,
  now: Temporal.Instant,
): Promise<void> {
  const contacts = goers.flatMap(({ address, ...facts }) =>
    address !== null && countsTowardCaps({ ...facts, address })
      ? [{ id: facts.id, address, purpose: facts.purpose }]
      : [],
  );
  const booked = await bookContacts(trx, clinic.id, localDay(now, clinic.timeZone), contacts);
  const unbooked = new Set(contacts.map(({ id }) => id).filter((id) => !booked.has(id)));
  for (const facts of goers) {
    if (unbooked.has(facts.id))
      verdicts.set(facts.id, heldUntilTomorrow(reasonOfTaken(facts), facts, clinic, now));
  }
}

/** Whoever takes messages by webhook knows a patient as the host does, by nothing of ours. */
async function recipientsOf(
  trx: Trx,
  clinicId: string,
  channel: EffectiveChannel | null,
  goers: readonly GuardFacts[],
): Promise<Map<string, string>> {
  if (channel?.channel !== 'webhook') return new Map();
  const patientIds = goers.map(({ patientId }) => patientId);
  const known = await hostIdsOf(trx, clinicId, patientIds);
  return new Map([...known].map(([id, hostId]) => [id, formatHostId(hostId, defaultSource)]));
}

interface Preparation {
  deps: BeginDeps;
  clinic: Clinic;
  rendered: ReadonlyMap<string, RenderedMessage>;
  /** By patient, where the channel has no addresses. */
  recipients: ReadonlyMap<string, string>;
  /** The messages to whose recipients any text may go. */
  conversations: ReadonlySet<string>;
  now: Temporal.Instant;
}

function prepareAll(
  { deps, clinic, rendered, recipients, conversations, now }: Preparation,
  channel: EffectiveChannel,
  goers: readonly GuardFacts[],
): Ready[] {
  return goers.flatMap((facts) => {
    const message = rendered.get(facts.id);
    if (!message?.ok) return [];
    const outbound: OutboundMessage = {
      id: facts.id,
      clientRef: facts.clientRef ?? facts.id,
      purpose: facts.purpose,
      to: facts.address ?? recipients.get(facts.patientId) ?? facts.patientId,
      content: message.content,
      expiresAt: facts.expiresAt,
    };
    const { language, values } = message;
    const actions = actionsFor(facts, channel, language ?? facts.language ?? clinic.language);
    if (actions.length > 0) outbound.actions = actions;
    if (facts.template !== null && language !== null)
      outbound.template = { name: facts.template, language, values };
    if (conversations.has(facts.id)) outbound.mayWriteFreely = true;
    if (channel.channel === 'email')
      outbound.unsubscribeUrl = linkFor(deps, clinic, facts, 'unsubscribe', now);
    const prepared = channel.adapter.prepare(outbound, channel.config);
    return [{ facts, prepared, language }];
  });
}

/** Ends or holds what may not leave; where a journey waits for it, the planner is called. */
async function stay(
  trx: Trx,
  clinicId: string,
  all: readonly GuardFacts[],
  verdicts: ReadonlyMap<string, Verdict>,
  now: Temporal.Instant,
): Promise<{ suppressed: number; held: number; concerned: GuardFacts[] }> {
  const stayed = all.flatMap((facts) => {
    const verdict = verdicts.get(facts.id);
    if (!verdict || verdict.state === 'go') return [];
    const nextAt = verdict.state === 'held' ? verdict.until : null;
    const { state, reason } = verdict;
    const { id, leaseEpoch, patientId } = facts;
    return [{ id, leaseEpoch, patientId, state, reason, nextAt, facts }];
  });
  await commitStayed(
    trx,
    clinicId,
    stayed.map(({ facts, ...row }) => row),
    now,
  );
  const ended = stayed.filter((row) => row.state !== 'held');
  await releaseContactDays(
    trx,
    clinicId,
    ended.filter(({ facts }) => facts.attemptNo > 0).map(({ id }) => id),
  );
  const concerned = stayed.filter(concernsPlanner).map(({ facts }) => facts);
  return { suppressed: ended.length, held: stayed.length - ended.length, concerned };
}

function concernsPlanner({
  state,
  reason,
  facts,
}: {
  state: string;
  reason: string;
  facts: GuardFacts;
}) {
  if (state !== 'held') return facts.journeyContinues;
  // A step without a contact point is skipped; told once, or planner and dispatcher would call each other for ever.
  return facts.journeyId !== null && reason === 'no-contact-point' && facts.lastReason !== reason;
}

interface Left {
  calls: Begun[][];
  delivered: number;
  concerned: GuardFacts[];
}

async function leave(
  trx: Trx,
  clinic: Clinic,
  channel: EffectiveChannel | null,
  ready: readonly Ready[],
  now: Temporal.Instant,
): Promise<Left> {
  if (channel === null) return { calls: [], delivered: 0, concerned: [] };
  return channel.adapter.isLocal
    ? deliverLocally(trx, clinic, channel, ready, now)
    : commitCalls(trx, clinic, channel, channel.adapter, ready, now);
}

async function deliverLocally(
  trx: Trx,
  clinic: Clinic,
  channel: EffectiveChannel,
  ready: readonly Ready[],
  now: Temporal.Instant,
): Promise<Left> {
  const dueAt = nextAtDesk(clinic, now);
  const deliveries = ready.map((each) => ({
    ...leaving(each, each.prepared, clinic, channel),
    task: channel.channel === 'task' ? { id: uuidv7(now), ruleId: each.facts.ruleId, dueAt } : null,
  }));
  const delivered = await commitLocal(trx, clinic.id, deliveries, now);
  const concerned = ready
    .map(({ facts }) => facts)
    .filter((facts) => facts.journeyContinues && delivered.has(facts.id));
  return { calls: [], delivered: delivered.size, concerned };
}

async function commitCalls(
  trx: Trx,
  clinic: Clinic,
  channel: EffectiveChannel,
  adapter: ProviderAdapter,
  ready: readonly Ready[],
  now: Temporal.Instant,
): Promise<Left> {
  const groups = groupCalls(
    ready.map((each) => {
      const isDoubtful = each.facts.lastReason === retryAlone;
      return { ...each.prepared, ...(isDoubtful && { batchKey: null }), ready: each };
    }),
    adapter.capabilities(channel.config),
    (message) => message.ready.facts.clientRef,
  );
  const rows = groups.flat().map((message) => leaving(message.ready, message, clinic, channel));
  const attempts = await commitSending(trx, clinic.id, rows, now);
  const calls = groups
    .map((group) => group.flatMap((message) => toBegun(message, attempts)))
    .filter((group) => group.length > 0);
  return { calls, delivered: 0, concerned: [] };
}

function toBegun(
  { ready, ...prepared }: PreparedMessage & { ready: Ready },
  attempts: ReadonlyMap<string, Attempt>,
): Begun[] {
  const attempt = attempts.get(prepared.id);
  if (attempt === undefined) return [];
  const { id, patientId, journeyContinues, expiresAt } = ready.facts;
  return [{ id, patientId, journeyContinues, expiresAt, ...attempt, prepared }];
}

function leaving(
  { facts, language }: Ready,
  prepared: PreparedMessage,
  clinic: Clinic,
  channel: EffectiveChannel,
): Leaving {
  const costMicros = priceOf(channel.tariff, facts.addressCountry, prepared.segments);
  return {
    id: facts.id,
    leaseEpoch: facts.leaseEpoch,
    patientId: facts.patientId,
    address: facts.address,
    language,
    provider: channel.provider,
    clientRef: prepared.clientRef,
    subject: prepared.content.subject ?? null,
    text: prepared.content.text,
    encoding: prepared.encoding ?? null,
    segments: prepared.segments,
    costMicros,
    costCurrency: costMicros === null ? null : clinic.currency,
  };
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
