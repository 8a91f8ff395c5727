import type { Trx } from '../database/connect.ts';
import { isAfter, localDay } from '../local-time.ts';
import { enterByDay, leftInBacklog } from './backlog.ts';
import { type Case, type CheckTerms, type Decision, decide } from './checks.ts';
import { addressOf, needsNoAddress, type Reachable } from './choose-contact.ts';
import type { Forecast } from './forecast.ts';
import { nameInHousehold } from './name-in-household.ts';
import { namedBefore } from './named-before.ts';
import { askConsent, openCases, type RulesDeps, readTerms, toMessage } from './plan-context.ts';
import { reachRelatives } from './reach-relatives.ts';
import { blockedSteps, nextItem, readWorld, type Walker } from './read-world.ts';
import type { RecallOverride } from './recall.ts';
import { findRecalls } from './recall-store.ts';
import type { Rule } from './rule.ts';
import { listActiveRules } from './rule-store.ts';
import { streamOccasions } from './selection-store.ts';
import { simulate } from './simulate.ts';
import { findOpenLadders, findPatientAddresses, findWaitingMessages } from './simulate-store.ts';
import type { Happening, Item } from './simulate-world.ts';

/**
 * What becomes of all rules of a clinic on coming days, if nothing else becomes known: who is due, who waits
 * already, and who goes when not all may.
 */

export interface Foreseen {
  /** Of the rule that is asked about, and due on the days that are asked about. */
  refused: { asked: Case; decision: Decision }[];
  happenings: Happening[];
  /** Who is left in the backlog of that rule. */
  backlog: number;
}

interface Gathered {
  items: Item[];
  /** Whom no contact point reaches; and what is told of them where nobody names them. */
  unreached: { item: Item; waiting: Item | null; refusal: Foreseen['refused'][number] | null }[];
  walkers: Map<string, Walker>;
  refused: Foreseen['refused'];
  backlog: number;
}

export async function foresee(
  deps: RulesDeps,
  trx: Trx,
  forecast: Forecast,
  now: Temporal.Instant,
): Promise<Foreseen> {
  const { rule, window } = forecast;
  const { clinic } = forecast.terms;
  const first = window.after.add({ milliseconds: 1 });
  const from = Temporal.Instant.compare(now, first) < 0 ? now : first;
  const others = (await listActiveRules(trx, clinic.id)).filter(({ id }) => id !== rule.id);
  const rules = [rule, ...others];
  const terms = { ...(await readTerms(deps, trx, clinic.id, rules, now)), now: from };
  const gathered: Gathered = {
    ...{ items: [], unreached: [], walkers: new Map(), refused: [], backlog: 0 },
  };
  const recalls = await findRecalls(
    trx,
    clinic.id,
    rules.map(({ id }) => id),
    null,
  );
  for (const each of rules) {
    const settled = recalls.get(each.id) ?? [];
    await gatherEntering(
      trx,
      each,
      forecast,
      { ...terms, recalls: settled, askedAt: now },
      gathered,
    );
    await gatherDue(trx, each, forecast, { ...terms, recalls: settled }, from, gathered);
  }
  await gatherWaiting(trx, rules, terms, from, gathered);
  await gatherNamed(trx, terms, gathered);
  gathered.items = await withAddresses(trx, clinic.id, gathered.items);
  const blocked = await blockedSteps(trx, terms, gathered);
  const world = await readWorld(deps, trx, terms, { from, upTo: window.upTo }, gathered, blocked);
  const { refused, backlog } = gathered;
  return { refused, backlog, happenings: [...simulate(world)] };
}

/** Those whom the backlog lets in until the days are over. */
async function gatherEntering(
  trx: Trx,
  rule: Rule,
  { rule: wanted, window }: Forecast,
  terms: CheckTerms & Settled & { askedAt: Temporal.Instant },
  gathered: Gathered,
): Promise<void> {
  const { recalls, askedAt } = terms;
  const question = {
    terms,
    recalls,
    askedAt,
    window: { after: terms.now.subtract({ milliseconds: 1 }), upTo: window.upTo },
  };
  for await (const { asked, decision } of enterByDay(trx, rule, question)) {
    const isAsked = rule.id === wanted.id;
    if (decision.outcome === 'due') addDue(asked, decision, terms, gathered);
    else if (isAsked && decision === leftInBacklog) gathered.backlog += 1;
    else if (isAsked && isAfter(asked.occasion.dueAt, window.after))
      gathered.refused.push({ asked, decision });
  }
}

interface Settled {
  recalls: readonly RecallOverride[];
}

/** Those who fall due from then on. */
async function gatherDue(
  trx: Trx,
  rule: Rule,
  { rule: wanted, window }: Forecast,
  terms: CheckTerms & Settled,
  from: Temporal.Instant,
  gathered: Gathered,
): Promise<void> {
  const { clinic, recalls } = terms;
  const { definition } = rule;
  const after = from.subtract({ milliseconds: 1 });
  const selection = {
    clinic,
    definition,
    window: { after, upTo: reachOf(rule, window.upTo) },
    patientIds: null,
    now: from,
    recalls,
  };
  for await (const occasions of streamOccasions(trx, selection)) {
    for (const asked of await openCases(trx, rule, occasions, terms)) {
      const decision = decide(asked, terms);
      const isAsked =
        rule.id === wanted.id &&
        isAfter(asked.occasion.dueAt, window.after) &&
        !isAfter(asked.occasion.dueAt, window.upTo);
      const obstacle = obstacleOf(asked, decision, terms, window.upTo);
      if (obstacle !== null) {
        const refusal = isAsked ? { asked, decision: obstacle } : null;
        if (obstacle.reason === 'no-contact-point' && asked.arm !== 'holdout')
          gathered.unreached.push({
            item: dueItem(asked, obstacle, terms),
            ...{ waiting: null, refusal },
          });
        else if (refusal !== null) gathered.refused.push(refusal);
        continue;
      }
      addDue(asked, decision, terms, gathered);
    }
  }
}

/** What must come before an appointment goes earlier where its own hour is closed. */
function reachOf({ definition }: Rule, upTo: Temporal.Instant): Temporal.Instant {
  return definition.trigger.before === undefined ? upTo : upTo.add({ hours: 48 });
}

/** What will not pass by itself; for who is booked, what is found when that appointment is over. */
function obstacleOf(
  asked: Case,
  decision: Decision,
  terms: CheckTerms,
  upTo: Temporal.Instant,
): Decision | null {
  if (decision.outcome === 'due') return null;
  const { appointmentAt } = asked.occasion;
  if (decision.reason !== 'future-appointment' || appointmentAt === null) return decision;
  const later = decide({ ...asked, occasion: { ...asked.occasion, appointmentAt: null } }, terms);
  if (later.outcome === 'due') return null;
  // A greeting is too late when that appointment is over.
  const isOverInTime = !isAfter(appointmentAt, upTo) && isAfter(asked.expiresAt, appointmentAt);
  return isOverInTime ? later : decision;
}

/** Who has no way of their own is perhaps named in a message to the household. */
async function gatherNamed(
  trx: Trx,
  terms: CheckTerms,
  { unreached, items, refused }: Gathered,
): Promise<void> {
  const named = await nameInHousehold(
    trx,
    terms,
    unreached.map(({ item }) => item),
  );
  for (const [at, { waiting, refusal }] of unreached.entries()) {
    const item = named[at] ?? waiting;
    if (item !== null) items.push(item);
    else if (refusal !== null) refused.push(refusal);
  }
}

async function withAddresses(trx: Trx, clinicId: string, items: readonly Item[]): Promise<Item[]> {
  const patientIds = items.map(({ patientId }) => patientId);
  const addresses = await findPatientAddresses(trx, clinicId, patientIds);
  return items.map((item) => ({ ...item, addresses: addresses.get(item.patientId) ?? [] }));
}

function addDue(
  asked: Case,
  decision: Decision,
  terms: CheckTerms,
  { items, walkers }: Gathered,
): void {
  const item = dueItem(asked, decision, terms);
  const { occasion } = asked;
  items.push(item);
  walkers.set(item.journey, {
    patient: { ...occasion, id: occasion.patientId },
    anchor: occasion.anchor,
  });
}

function dueItem(asked: Case, decision: Decision, terms: CheckTerms): Item {
  const { rule, occasion, choice, blocks, expiresAt } = asked;
  const contacts = choice.contacts.filter((_contact, at) => blocks[at] === undefined);
  const [contact] = contacts;
  const journey = `${rule.id} ${occasion.patientId} ${occasion.occurrence}`;
  const message = toMessage(
    contact ?? { channel: 'task', address: null },
    {
      rule,
      journeyId: journey,
      occasion,
      step: choice.step,
      since: occasion.dueAt,
      isOpening: true,
      dueAt: occasion.dueAt,
      expiresAt,
      state: 'scheduled',
      reason: null,
    },
    terms,
  );
  return {
    journey,
    rule,
    patientId: occasion.patientId,
    step: choice.step,
    contacts,
    isFirst: true,
    isNamedOnly: false,
    at: occasion.appointmentAt ?? message.scheduledAt,
    expiresAt,
    since: occasion.dueAt,
    guard: message.guard,
    patientZone: occasion.patientZone,
    household: occasion.household,
    ...waysOf(occasion),
    named: [],
    waits: decision.outcome === 'due' ? null : decision.reason,
    stepLeftAt: null,
  };
}

/** The patient's own addresses are read at the end, for all at once. */
function waysOf({
  throughId = null,
  throughAddresses = [],
}: Reachable): Pick<Item, 'addresses' | 'throughId' | 'throughAddresses'> {
  return { addresses: [], throughId, throughAddresses };
}

/** Reasons that pass by themselves, day by day. */
const passing: readonly (string | null)[] = [
  null,
  'send-window',
  'frequency-cap',
  'lower-priority',
  'daily-limit',
  'budget',
  'capacity',
  'anomaly',
  'future-appointment',
];

/** What an earlier day left over, and the ladders that are being climbed. */
async function gatherWaiting(
  trx: Trx,
  rules: readonly Rule[],
  terms: CheckTerms,
  from: Temporal.Instant,
  { items, unreached, walkers }: Gathered,
): Promise<void> {
  const { clinic } = terms;
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  const dueUpTo = from.subtract({ milliseconds: 1 });
  const day = {
    clinic,
    idOf: ({ id }: { id: string }) => id,
    dayOf: () => localDay(from, clinic.timeZone),
  };
  const found = await findWaitingMessages(trx, clinic.id, dueUpTo);
  const open = await findOpenLadders(trx, clinic.id, dueUpTo);
  const begun = [...found, ...open].map(({ journeyId }) => journeyId);
  const named = await namedBefore(trx, terms, begun);
  const reached = await reachRelatives(trx, found, { ...day, purposeOf: ({ purpose }) => purpose });
  // A message follows its patient's new number, and a child's goes to who answers for them.
  const messages = reached.map((waiting) => {
    const { channel, address } = waiting;
    return { ...waiting, address: needsNoAddress(channel) ? address : addressOf(waiting, channel) };
  });
  const asks = messages.map(({ id, throughId, purpose, channel, address }) => ({
    ...{ patientId: id, throughId, purpose },
    contacts: [{ channel, address }],
  }));
  const blocks = await askConsent(trx, clinic, asks);
  const blocked = new Map(messages.map((message, at) => [message, blocks[at]?.[0] ?? null]));
  const isPassing = (waiting: (typeof messages)[number]) =>
    blocked.get(waiting) === null &&
    (waiting.address !== null || needsNoAddress(waiting.channel)) &&
    (waiting.state !== 'held' || passing.includes(waiting.reason));
  // One step over several channels is one contact.
  const steps = Map.groupBy(messages, ({ journeyId, step }) => `${journeyId}/${step}`);
  for (const each of steps.values()) {
    const going = each.filter(isPassing);
    const [waiting] = going.length > 0 ? going : each;
    const rule = waiting && byId.get(waiting.ruleId);
    if (waiting === undefined || rule === undefined || rule.state !== 'active') continue;
    const item: Item = {
      journey: waiting.journeyId,
      rule,
      patientId: waiting.id,
      step: waiting.step,
      contacts: (going.length > 0 ? going : [waiting]).map(({ channel, address }) => ({
        channel,
        address,
      })),
      isFirst: waiting.isFirst,
      isNamedOnly: false,
      at: going.length > 0 ? waiting.nextAt : waiting.expiresAt,
      expiresAt: waiting.expiresAt,
      since: waiting.dueAt,
      guard: waiting.guard,
      patientZone: waiting.patientZone,
      household: waiting.household,
      ...waysOf(waiting),
      named: named.get(waiting.journeyId) ?? [],
      waits: blocked.get(waiting) ?? (waiting.state === 'held' ? waiting.reason : null),
      stepLeftAt: waiting.stepLeftAt,
    };
    if (item.waits === 'no-contact-point')
      unreached.push({ item: { ...item, at: from }, waiting: item, refusal: null });
    else items.push(item);
    walkers.set(waiting.journeyId, { patient: waiting, anchor: waiting.anchor });
  }
  const ladders = await reachRelatives(trx, open, {
    ...day,
    purposeOf: ({ ruleId }) => byId.get(ruleId)?.definition.purpose ?? 'care',
  });
  for (const ladder of ladders) {
    const rule = byId.get(ladder.ruleId);
    if (rule === undefined || rule.state !== 'active') continue;
    const walker = { patient: ladder, anchor: ladder.anchor };
    walkers.set(ladder.journeyId, walker);
    const left: Item = {
      journey: ladder.journeyId,
      rule,
      patientId: ladder.id,
      step: ladder.step,
      contacts: [],
      isFirst: false,
      isNamedOnly: false,
      at: ladder.leftAt,
      expiresAt: ladder.leftAt,
      since: ladder.dueAt,
      guard: {},
      patientZone: ladder.patientZone,
      household: ladder.household,
      ...waysOf(ladder),
      named: named.get(ladder.journeyId) ?? [],
      waits: null,
      stepLeftAt: null,
    };
    const next = nextItem(left, ladder.leftAt, walker, terms, new Set());
    if (next !== null) items.push(next);
  }
}
