import type { Trx } from '../database/connect.ts';
import { notFound } from '../errors.ts';
import { formatHostId } from '../history/host-id.ts';
import { hostIdsOf } from '../history/patient-store.ts';
import { closingHoliday, hoursOfWeekday, nextOpening } from '../history/send-window.ts';
import { addToDay, earlier, isAfter, later, localDay, startOfDay } from '../local-time.ts';
import { amountToMicros, formatMicros } from '../money.ts';
import { findAnomalies } from '../outbox/anomaly-store.ts';
import { slotsOf } from '../outbox/hold-over-capacity.ts';
import { spentOfRule } from '../outbox/hold-over-limits.ts';
import { type JourneyMessage, journeyMessages } from '../outbox/message-store.ts';
import { hasHours } from '../outbox/sending-hours.ts';
import { hasLeft } from './advance-journey.ts';
import { type Case, type CheckTerms, checks, enterCase, withoutLateBooking } from './checks.ts';
import {
  audienceHolds,
  countSharers,
  findAnchorFacts,
  findJourneysOf,
  findReminderPreference,
  type RecordedJourney,
  seeAudience,
} from './explain-store.ts';
import { isOpen } from './journey-store.ts';
import { hoursOf, openCases, type RulesDeps, readTerms } from './plan-context.ts';
import type { RecallOverride } from './recall.ts';
import { findRecalls } from './recall-store.ts';
import { isInviting, type Rule, type RuleDefinition } from './rule.ts';
import { findRule } from './rule-store.ts';
import { findRunningInvitation } from './running-invitation-store.ts';
import { type Occasion, selectOccasions } from './selection-store.ts';
import { triggerOf } from './triggers/triggers.ts';

/** Why a patient gets something of a rule, or does not: every check with the value seen, due or not. */

export const explainOutcomes = [
  'sent',
  'due',
  'held',
  'suppressed',
  'cancelled',
  'expired',
  'failed',
  'unknown',
  'not-due',
] as const;
export type ExplainOutcome = (typeof explainOutcomes)[number];

export interface ExplainedCheck {
  name: string;
  passed: boolean;
  /** Null where the check is passed. */
  reason: string | null;
  seen: unknown;
  wanted: unknown;
}

export interface Explanation {
  patientId: string;
  rule: { id: string; version: number };
  on: string;
  occurrence: string | null;
  dueAt: string | null;
  basis: 'recorded' | 'recomputed';
  outcome: ExplainOutcome;
  reason: string | null;
  checks: ExplainedCheck[];
}

export interface ExplainQuestion {
  ruleId: string;
  /** Ours. */
  patientId: string;
  /** A local day of the clinic; without it, the occurrence nearest to today. */
  on: string | undefined;
  /** The source in whose words ids are told. */
  source: string;
}

/** @throws AppError `not-found` where there is no such rule. */
export async function explainRule(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  question: ExplainQuestion,
  now: Temporal.Instant,
): Promise<Explanation> {
  const rule = await findRule(trx, clinicId, question.ruleId);
  if (rule === null) throw notFound('rule');
  const terms = await readTerms(deps, trx, clinicId, [rule], now);
  const recorded = await findRecorded(trx, terms, rule, question);
  const recall = (await findRecalls(trx, clinicId, [rule.id], [question.patientId])).get(rule.id);
  const on = question.on ?? localDay(recorded?.dueAt ?? now, terms.clinic.timeZone);
  const asked = { ...question, recorded, on, recalls: recall ?? [] };
  const occasion = await findOccasion(trx, terms, rule, asked);
  const messages = recorded ? await journeyMessages(trx, clinicId, [recorded.id]) : [];
  const dueAt = recorded?.dueAt ?? occasion?.dueAt ?? null;
  const found = { occasion, dueAt, on, recall: recall?.[0] ?? null, recorded, messages };
  // What left did so in time, and what was refused was so when it was due, whatever time it is now.
  const isTooLate = recorded?.reason === 'too-late' && !messages.some(hasLeft);
  const asOf = recorded && !isTooLate ? { ...terms, now: earlier(now, recorded.dueAt) } : terms;
  const list = [
    ...(await runChecks(trx, asOf, rule, question, found)),
    ...(occasion ? await turnChecks(trx, clinicId, rule, question.patientId, messages) : []),
    ...(occasion ? await clinicChecks(trx, terms, rule, messages) : []),
    ...(occasion ? await limitChecks(trx, terms, rule, messages) : []),
  ];
  const verdict = recorded
    ? recordedOutcome(recorded, messages)
    : recomputedOutcome(rule, occasion, list);
  return {
    patientId: await hostIdText(trx, clinicId, question),
    rule: { id: rule.id, version: recorded?.ruleVersion ?? rule.version },
    on,
    occurrence: recorded?.occurrence ?? occasion?.occurrence ?? null,
    dueAt: found.dueAt?.toString() ?? null,
    basis: recorded ? 'recorded' : 'recomputed',
    ...verdict,
    checks: list,
  };
}

async function hostIdText(
  trx: Trx,
  clinicId: string,
  { patientId, source }: ExplainQuestion,
): Promise<string> {
  const id = (await hostIdsOf(trx, clinicId, [patientId])).get(patientId);
  if (id === undefined) throw notFound('patient');
  return formatHostId(id, source);
}

/** The journey of that day; when no day was asked for, the latest that is not far ahead. */
async function findRecorded(
  trx: Trx,
  { clinic }: CheckTerms,
  rule: Rule,
  { patientId, on }: ExplainQuestion,
): Promise<RecordedJourney | null> {
  const journeys = await findJourneysOf(trx, clinic.id, rule.id, patientId);
  if (on === undefined) return journeys[0] ?? null;
  return journeys.find(({ dueAt }) => localDay(dueAt, clinic.timeZone) === on) ?? null;
}

const farDays = 'P400D';
const oneMs = Temporal.Duration.from({ milliseconds: 1 });

interface OccasionQuestion {
  patientId: string;
  recorded: RecordedJourney | null;
  on: string;
  recalls: readonly RecallOverride[];
}

/** What would be due that day; else what is due nearest to it, also where the rule's filters leave it out. */
async function findOccasion(
  trx: Trx,
  terms: CheckTerms,
  rule: Rule,
  { patientId, recorded, on, recalls }: OccasionQuestion,
): Promise<Occasion | null> {
  const { clinic, now } = terms;
  const { timeZone } = clinic;
  const middle = recorded?.dueAt ?? startOfDay(on, timeZone);
  const find = async (
    definition: RuleDefinition,
    from: string,
    until: string,
    settled = recalls,
  ) => {
    const window = {
      after: startOfDay(from, timeZone).subtract(oneMs),
      upTo: startOfDay(until, timeZone).subtract(oneMs),
    };
    const found = await selectOccasions(trx, {
      clinic,
      definition,
      window,
      patientIds: [patientId],
      now,
      everybody: true,
      recalls: settled,
    });
    const same = found.find(({ occurrence }) => occurrence === recorded?.occurrence);
    return same ?? nearest(found, middle);
  };
  const unfiltered = { ...rule.definition, trigger: withoutFilters(rule.definition) };
  const near = Temporal.PlainDate.from(on);
  const [from, until] = [near.subtract(farDays).toString(), near.add(farDays).toString()];
  return (
    (await find(rule.definition, on, addToDay(on, 'P1D'))) ??
    (await find(rule.definition, from, until)) ??
    (recalls.length > 0 ? await find(rule.definition, from, until, []) : null) ??
    (await find(unfiltered, from, until))
  );
}

function withoutFilters({ trigger }: RuleDefinition): RuleDefinition['trigger'] {
  const { services: _services, practitioners: _practitioners, facts: _facts, ...rest } = trigger;
  return rest;
}

/** What comes next rather than what is past. */
function nearest(occasions: readonly Occasion[], middle: Temporal.Instant): Occasion | null {
  const sorted = occasions.toSorted((one, other) =>
    Temporal.Instant.compare(one.dueAt, other.dueAt),
  );
  return sorted.find(({ dueAt }) => !isAfter(middle, dueAt)) ?? sorted.at(-1) ?? null;
}

interface Found {
  occasion: Occasion | null;
  dueAt: Temporal.Instant | null;
  on: string;
  recall: RecallOverride | null;
  recorded: RecordedJourney | null;
  messages: readonly JourneyMessage[];
}

async function runChecks(
  trx: Trx,
  terms: CheckTerms,
  rule: Rule,
  question: ExplainQuestion,
  { occasion, dueAt, on, recall, recorded, messages }: Found,
): Promise<ExplainedCheck[]> {
  const { clinic, now } = terms;
  const isDue = dueAt !== null && localDay(dueAt, clinic.timeZone) === on;
  const list = [
    check('rule-active', rule.state === 'active', 'rule-paused', rule.state, 'active'),
    check(
      'trigger',
      occasion !== null,
      'no-anchor',
      occasion?.anchor ?? null,
      rule.definition.trigger,
    ),
    ...(await filterChecks(trx, clinic.id, rule, occasion)),
    ...(await wishChecks(trx, clinic.id, rule, question.patientId, occasion)),
    ...recallChecks(rule, recall, on),
    check('due', isDue, 'not-due', dueAt?.toString() ?? null, on),
  ];
  if (occasion !== null && rule.activeFrom !== null) {
    const enteredAt = recorded?.enteredAt ?? null;
    const isSince = isAfter(occasion.dueAt, rule.activeFrom) || enteredAt !== null;
    const seen =
      enteredAt === null
        ? occasion.dueAt.toString()
        : { dueAt: occasion.dueAt.toString(), enteredAt: enteredAt.toString() };
    const wanted = { after: rule.activeFrom.toString() };
    list.push(check('active-from', isSince, 'before-activation', seen, wanted));
  }
  const asked = {
    patientId: question.patientId,
    dueAt: occasion?.dueAt ?? now,
    dueDay: occasion?.dueDay ?? on,
  };
  const leaves = await seeAudience(trx, clinic, rule.definition, asked);
  const holds = audienceHolds(rule.definition.audience, leaves);
  list.push(
    check('audience', holds, 'audience', holds, true),
    ...leaves.map((leaf) =>
      check(`audience/${leaf.path}`, leaf.passed, 'audience', leaf.seen, leaf.wanted),
    ),
  );
  if (occasion === null) return list;
  const [opened] = await openCases(trx, rule, [occasion], terms);
  if (opened === undefined) return list;
  const found = asRecorded(opened, recorded, terms);
  for (const row of checks) {
    const reason = row.find(found, terms);
    const seen = row.seen(found, terms);
    const told = row.name === 'consent' ? await withSharers(trx, clinic.id, found, seen) : seen;
    list.push(check(row.name, reason === null, reason, told, row.wanted(found, terms)));
  }
  list.push(windowCheck(found, terms, messages));
  return list;
}

/** A stop from a number stops it for all who share it: how many others there are. */
async function withSharers(
  trx: Trx,
  clinicId: string,
  { occasion: { patientId }, choice, blocks }: Case,
  seen: unknown,
): Promise<unknown> {
  const stopped = choice.contacts.flatMap(({ address }, at) =>
    blocks[at] === 'opted-out' && address !== null ? [address] : [],
  );
  if (stopped.length === 0) return seen;
  const sharedWith = await countSharers(trx, clinicId, patientId, stopped);
  return sharedWith === 0 ? seen : { ...(seen as object), sharedWith };
}

/** Of invitations one runs at a time: which one, if it is another. */
async function turnChecks(
  trx: Trx,
  clinicId: string,
  { id, definition }: Rule,
  patientId: string,
  messages: readonly JourneyMessage[],
): Promise<ExplainedCheck[]> {
  if (!isInviting(definition)) return [];
  const running = messages.some(hasLeft)
    ? null
    : await findRunningInvitation(trx, clinicId, patientId, id);
  return [check('one-invitation', running === null, 'lower-priority', running, null)];
}

/** What the backlog let in is judged as of the day on which it entered; an appointment made too late is none, as in planning. */
function asRecorded(opened: Case, recorded: RecordedJourney | null, { clinic }: CheckTerms): Case {
  if (recorded === null) return withoutLateBooking(opened, {}, clinic);
  const { dueAt, enteredAt, wasDueAt, anchor } = recorded;
  const entered =
    enteredAt && wasDueAt ? enterCase(opened, { dueAt, at: enteredAt, wasDueAt }, clinic) : opened;
  return isOpen(recorded) ? entered : withoutLateBooking(entered, anchor, clinic);
}

/** What is settled about this patient alone. */
function recallChecks(
  { definition: { trigger } }: Rule,
  recall: RecallOverride | null,
  on: string,
): ExplainedCheck[] {
  if (recall === null || triggerOf(trigger.type).recall === undefined) return [];
  const { after, dueOn, disabledUntil, reason } = recall;
  const isFree = disabledUntil === null || disabledUntil <= on;
  const seen = { after, dueOn, disabledUntil, reason };
  return [check('recall', isFree, 'recall-settled', seen, { after: trigger.after ?? null })];
}

interface SeenHours {
  at: string;
  /** When it may go; null where that is too late. */
  opensAt: string | null;
  /** What closes that day. */
  holiday: string | null;
}

function closedVerdict({ opensAt }: SeenHours): Verdict {
  return { outcome: opensAt === null ? 'expired' : 'held', reason: 'send-window' };
}

/** Whether its first message could leave at that hour: at the instant it is due, or now if that is past. */
function windowCheck(
  { rule, occasion, choice, expiresAt }: Case,
  { clinic, now }: CheckTerms,
  messages: readonly JourneyMessage[],
): ExplainedCheck {
  const { definition } = rule;
  const hours = hoursOf(rule, occasion, clinic);
  const sent = messages.find(hasLeft);
  const at = sent?.sentAt ?? later(messages[0]?.scheduledAt ?? occasion.dueAt, now);
  const opening = nextOpening(at, hours);
  const opensAt = opening !== null && isAfter(expiresAt, opening) ? opening : null;
  const isOpenHour =
    sent !== undefined ||
    opening?.equals(at) === true ||
    choice.contacts.some(({ channel }) => !hasHours(channel));
  const holiday = closingHoliday(localDay(at, hours.zone), hours);
  const seen: SeenHours = { at: at.toString(), opensAt: opensAt?.toString() ?? null, holiday };
  const weekday = at.toZonedDateTimeISO(hours.zone).dayOfWeek - 1;
  const wanted = {
    sendWindow: clinic.settings.sendWindow,
    purpose: definition.purpose,
    hours: hoursOfWeekday(weekday, hours),
  };
  return check('send-window', isOpenHour, 'send-window', seen, wanted);
}

/** Whether the rule's day is a usual one, and whether the clinic has room: as found, else as they stand now. */
async function clinicChecks(
  trx: Trx,
  { clinic, now }: CheckTerms,
  { id, definition: { purpose, unlessBooked } }: Rule,
  messages: readonly JourneyMessage[],
): Promise<ExplainedCheck[]> {
  const anomalies = await findAnomalies(trx, clinic.id, localDay(now, clinic.timeZone));
  const anomaly = anomalies.get(id) ?? null;
  const isBegun = messages.some(hasLeft);
  const reason = messages.at(-1)?.reason;
  const isUsual = isBegun || (anomaly === null && reason !== 'anomaly');
  const list = [check('anomaly', isUsual, 'anomaly', anomaly, null)];
  if (purpose === 'transactional' || !unlessBooked) return list;
  const slots = await slotsOf(trx, clinic, now);
  const hasSlot = isBegun || reason !== 'capacity';
  return [...list, check('capacity', hasSlot, 'capacity', slots, null)];
}

/** The hard stops of the rule, which the dispatcher counts: what it found, else how they stand now. */
async function limitChecks(
  trx: Trx,
  { clinic, now }: CheckTerms,
  { id, definition: { limits } }: Rule,
  messages: readonly JourneyMessage[],
): Promise<ExplainedCheck[]> {
  if (limits === null) return [];
  const { perDay, budget, messages: most } = limits;
  const spent = await spentOfRule(trx, clinic, id, limits, now);
  const last = messages.at(-1);
  const passes = (reason: string, hasRoom: boolean) =>
    messages.some(hasLeft) || (last?.reason !== reason && hasRoom);
  const money = (micros: number) => formatMicros(micros, clinic.currency);
  return [
    ...(perDay === undefined
      ? []
      : [
          check(
            'daily-limit',
            passes('daily-limit', spent.contactsToday < perDay),
            'daily-limit',
            { contactsToday: spent.contactsToday },
            { perDay },
          ),
        ]),
    ...(budget === undefined
      ? []
      : [
          check(
            'budget',
            passes('budget', spent.costMicros < amountToMicros(budget.amount)),
            'budget',
            { spent: money(spent.costMicros), currency: clinic.currency },
            budget,
          ),
        ]),
    ...(most === undefined
      ? []
      : [
          check(
            'message-budget',
            passes('budget', spent.messages < most.count),
            'budget',
            { messages: spent.messages },
            most,
          ),
        ]),
  ];
}

/** Who wishes to be reminded in another way is left to the rule that is nearest to it. */
async function wishChecks(
  trx: Trx,
  clinicId: string,
  { definition: { trigger } }: Rule,
  patientId: string,
  occasion: Occasion | null,
): Promise<ExplainedCheck[]> {
  if (trigger.before === undefined) return [];
  const wished = await findReminderPreference(trx, clinicId, patientId);
  if (wished === null) return [];
  const name = 'trigger/reminder-preference';
  return [check(name, occasion !== null, 'no-anchor', wished, trigger.before)];
}

async function filterChecks(
  trx: Trx,
  clinicId: string,
  { definition: { trigger } }: Rule,
  occasion: Occasion | null,
): Promise<ExplainedCheck[]> {
  const facts = occasion && (await findAnchorFacts(trx, clinicId, occasion.anchor));
  return (['services', 'practitioners', 'facts'] as const).flatMap((name) => {
    const wanted = trigger[name];
    if (!wanted?.length) return [];
    const seen = facts?.[name] ?? [];
    return [
      check(
        `trigger/${name}`,
        seen.some((one) => wanted.includes(one)),
        'no-anchor',
        seen,
        wanted,
      ),
    ];
  });
}

function check(
  name: string,
  passed: boolean,
  reason: string | null,
  seen: unknown,
  wanted: unknown,
): ExplainedCheck {
  return {
    name,
    passed,
    reason: passed ? null : reason,
    seen: inUtc(seen) ?? null,
    wanted: wanted ?? null,
  };
}

const databaseTimeForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d(?::\d\d)?$/;

/** PostgreSQL writes a time in JSON with an offset; times go out as UTC with a Z. */
function inUtc(value: unknown): unknown {
  if (typeof value === 'string') {
    return databaseTimeForm.test(value) ? Temporal.Instant.from(value).toString() : value;
  }
  if (Array.isArray(value)) return value.map(inUtc);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, inUtc(inner)]));
}

type Verdict = Pick<Explanation, 'outcome' | 'reason'>;

function recordedOutcome(journey: RecordedJourney, messages: readonly JourneyMessage[]): Verdict {
  if (messages.some(hasLeft)) {
    const isUnknown = messages.filter(hasLeft).every(({ state }) => state === 'unknown');
    return isUnknown
      ? { outcome: 'unknown', reason: messages[0]?.reason ?? null }
      : { outcome: 'sent', reason: null };
  }
  const last = messages.at(-1);
  return (last && messageOutcome(last)) ?? journeyOutcome(journey);
}

function messageOutcome({ state, reason }: JourneyMessage): Verdict | null {
  switch (state) {
    case 'held':
    case 'failed':
    case 'unknown':
      return { outcome: state, reason };
    case 'scheduled':
    case 'claimed':
    case 'sending':
    case 'retry':
      return { outcome: 'due', reason: null };
    default:
      return null;
  }
}

/** What ended before anything left; the journey knows whether it was too late or called off. */
function journeyOutcome({ state, reason }: RecordedJourney): Verdict {
  switch (state) {
    case 'suppressed':
    case 'cancelled':
    case 'expired':
    case 'held':
      return { outcome: state, reason };
    case 'planned':
    case 'active':
      return { outcome: 'due', reason: null };
    case 'finished':
      return { outcome: 'failed', reason };
  }
}

/** The first check that fails decides; those before the table of checks mean that there is no occurrence. */
function recomputedOutcome(
  rule: Rule,
  occasion: Occasion | null,
  list: readonly ExplainedCheck[],
): Verdict {
  const failed = (name: string) => list.find((one) => one.name === name && !one.passed);
  const isFiltered = list.some(({ name, passed }) => name.startsWith('trigger') && !passed);
  if (occasion === null || isFiltered) return { outcome: 'not-due', reason: 'no-anchor' };
  if (failed('recall')) return { outcome: 'not-due', reason: 'recall-settled' };
  if (failed('due')) return { outcome: 'not-due', reason: 'not-due' };
  if (failed('audience')) return { outcome: 'not-due', reason: 'audience' };
  if (rule.state === 'draft') return { outcome: 'not-due', reason: 'rule-paused' };
  if (failed('active-from')) return { outcome: 'suppressed', reason: 'before-activation' };
  if (rule.state === 'paused') return { outcome: 'held', reason: 'rule-paused' };
  for (const row of checks) {
    const found = failed(row.name);
    if (found?.reason != null) return { outcome: row.outcome(found.reason), reason: found.reason };
  }
  const hours = failed('send-window');
  if (hours !== undefined) return closedVerdict(hours.seen as SeenHours);
  const limit =
    failed('one-invitation') ??
    failed('anomaly') ??
    failed('daily-limit') ??
    failed('budget') ??
    failed('message-budget');
  if (limit !== undefined) return { outcome: 'held', reason: limit.reason };
  return { outcome: 'due', reason: null };
}
