import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import { invalid, notFound } from '../errors.ts';
import { formatHostId } from '../history/host-id.ts';
import { hostIdsOf } from '../history/patient-store.ts';
import { lastAllowedBefore, nextOpening } from '../history/send-window.ts';
import { addToDay, isAfter, isDay, localDay, startOfDay } from '../local-time.ts';
import { formatMicros } from '../money.ts';
import { previewTexts } from '../outbox/preview-template.ts';
import { priceTexts, type TextAsk } from '../outbox/price-texts.ts';
import { hasHours } from '../outbox/sending-hours.ts';
import { afterWait } from './advance-journey.ts';
import { enterByDay, leftInBacklog } from './backlog.ts';
import { type Case, type CheckTerms, type Decision, decide } from './checks.ts';
import { type Contact, chooseContact, type Reachable } from './choose-contact.ts';
import { hoursOf, openCases, type RulesDeps, readTerms } from './plan-context.ts';
import type { RecallOverride } from './recall.ts';
import { findRecallsOf } from './recall-store.ts';
import type { Rule } from './rule.ts';
import { findRule } from './rule-store.ts';
import { streamOccasions } from './selection-store.ts';
import type { DueWindow } from './triggers/due-slots.ts';
import { triggerOf } from './triggers/triggers.ts';

/**
 * What a rule does on given days, by the very selection and checks that planning uses: behind preview,
 * the recall list, backtest and diff. Nothing is sent or stored.
 */

export interface DaysQuestion {
  ruleId: string;
  /** Local days of the clinic, inclusive. */
  from: string;
  to: string;
  /** The source in whose words ids are told. */
  source: string;
}

export interface Forecast {
  rule: Rule;
  terms: CheckTerms;
  window: DueWindow;
  source: string;
  /** What is settled about single patients. */
  recalls: readonly RecallOverride[];
  askedAt: Temporal.Instant;
  /** The days are past: what happened after each due instant is left out. */
  asKnown: boolean;
}

export const forecastDaysMax = 366;

/** @throws AppError for a rule that is not there, or days that are none. */
export async function openForecast(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  { ruleId, from, to, source }: DaysQuestion,
  now: Temporal.Instant,
): Promise<Forecast> {
  for (const [name, day] of Object.entries({ from, to })) {
    if (!isDay(day)) throw invalid(`/${name}`, 'not-a-day', 'It is no day such as 2026-03-08.');
  }
  if (to < from) throw invalid('/to', 'before-from', 'It ends before it begins.');
  if (addToDay(from, `P${forecastDaysMax}D`) <= to) {
    throw invalid('/to', 'too-far', `At most ${forecastDaysMax} days at once.`);
  }
  const rule = await findRule(trx, clinicId, ruleId);
  if (rule === null) throw notFound('rule');
  const terms = await readTerms(deps, trx, clinicId, [rule], now);
  const { timeZone } = terms.clinic;
  const after = startOfDay(from, timeZone).subtract({ milliseconds: 1 });
  const upTo = startOfDay(addToDay(to, 'P1D'), timeZone).subtract({ milliseconds: 1 });
  const window = { after, upTo };
  // Days are seen as they come: nothing is too late on its own day.
  const recalls = await findRecallsOf(trx, clinicId, rule.id);
  const asOf = { recalls, askedAt: now, asKnown: false };
  return { rule, terms: { ...terms, now: after }, window, source, ...asOf };
}

/** One occasion of the days, and what becomes of it. */
export interface Judged {
  asked: Case;
  decision: Decision;
  /** When its first step leaves, if it does. */
  at: Temporal.Instant;
}

export function judgeDays(trx: Trx, forecast: Forecast): AsyncGenerator<Judged> {
  const perDay = forecast.rule.definition.limits?.perDay;
  const judged = judgeAll(trx, forecast);
  return perDay === undefined ? judged : keepToDays(judged, perDay, forecast);
}

async function* judgeAll(trx: Trx, forecast: Forecast): AsyncGenerator<Judged> {
  yield* judgeEach(trx, forecast);
  if (!forecast.asKnown) yield* judgeBacklogDays(trx, forecast);
}

/** Who enters by the backlog on those days, and who is left in it. */
async function* judgeBacklogDays(trx: Trx, forecast: Forecast): AsyncGenerator<Judged> {
  const { rule, terms, window, recalls, askedAt } = forecast;
  const first = localDay(
    isAfter(askedAt, window.after) ? askedAt : after(window),
    terms.clinic.timeZone,
  );
  const question = { terms, recalls, askedAt, window };
  for await (const { asked, decision, day } of enterByDay(trx, rule, question)) {
    if (decision === leftInBacklog) yield { asked, decision, at: asked.occasion.dueAt };
    else if (day >= first) yield judge(asked, terms);
  }
}

function after(window: DueWindow): Temporal.Instant {
  return window.after.add({ milliseconds: 1 });
}

async function* judgeEach(trx: Trx, forecast: Forecast): AsyncGenerator<Judged> {
  const { rule, terms, window, recalls, asKnown } = forecast;
  const { clinic, now } = terms;
  const { definition } = rule;
  const selection = { clinic, definition, window, patientIds: null, now, recalls, asKnown };
  for await (const occasions of streamOccasions(trx, selection)) {
    for (const asked of await openCases(trx, rule, occasions, terms)) {
      yield judge(asked, terms);
    }
  }
}

function judge(asked: Case, terms: CheckTerms): Judged {
  const { rule, occasion, expiresAt, choice } = asked;
  const decision = decide(asked, terms);
  const { dueAt } = occasion;
  if (decision.outcome !== 'due' || choice.contacts.some(({ channel }) => !hasHours(channel)))
    return { asked, decision, at: dueAt };
  const wanted = rule.definition.trigger.before === undefined ? dueAt : lastHour(asked, terms);
  const opening = nextOpening(wanted, hoursOf(rule, occasion, terms.clinic));
  if (opening !== null && isAfter(expiresAt, opening)) return { asked, decision, at: opening };
  return { asked, decision: { outcome: 'expired', ...closed }, at: dueAt };
}

const closed = { reason: 'send-window', check: 'send-window' } as const;

/** What must come before an appointment goes at the last allowed minute. */
function lastHour({ rule, occasion }: Case, { clinic }: CheckTerms): Temporal.Instant {
  return lastAllowedBefore(occasion.dueAt, hoursOf(rule, occasion, clinic)) ?? occasion.dueAt;
}

const overLimit = { reason: 'daily-limit', check: 'daily-limit' } as const;

/** The most overdue take the places of each day; the others go on a later one, or never. */
async function* keepToDays(
  judged: AsyncGenerator<Judged>,
  perDay: number,
  { terms, window }: Forecast,
): AsyncGenerator<Judged> {
  const { timeZone } = terms.clinic;
  const waiting: Judged[] = [];
  for await (const each of judged) {
    if (each.decision.outcome === 'due') waiting.push(each);
    else yield each;
  }
  waiting.sort((one, other) => Temporal.Instant.compare(one.at, other.at));
  let [day, taken] = ['', 0];
  for (const { asked, decision, at } of waiting) {
    const dueDay = localDay(at, timeZone);
    if (dueDay > day) [day, taken] = [dueDay, 0];
    if (taken >= perDay) [day, taken] = [addToDay(day, 'P1D'), 0];
    const leavesAt = day === dueDay ? at : startOfDay(day, timeZone);
    const isTooLate = Temporal.Instant.compare(leavesAt, asked.expiresAt) >= 0;
    if (isTooLate) yield { asked, decision: { outcome: 'suppressed', ...overLimit }, at };
    else if (Temporal.Instant.compare(leavesAt, window.upTo) > 0)
      yield { asked, decision: { outcome: 'held', ...overLimit }, at };
    else {
      taken += 1;
      yield { asked, decision, at: leavesAt };
    }
  }
}

export interface Sample {
  patientId: string;
  channel: ChannelName;
  scheduledAt: string;
  text: string | null;
  segments: number;
}

export interface Tally {
  recipients: number;
  messages: Partial<Record<ChannelName, number>>;
  suppressed: Record<string, number>;
  holdout: number;
  /** Who would still wait in the backlog after those days. */
  backlog: number;
  costMicros: number;
  samples: Sample[];
  warnings: string[];
  /** Messages by the clinic's local day; days without any are absent. */
  days: Map<string, number>;
}

/** A message to be. */
export interface Planned extends Contact, Pick<TextAsk, 'throughId' | 'named' | 'anchor'> {
  patientId: string;
  step: number;
  at: Temporal.Instant;
}

/** Planned messages of one channel and step. */
export interface Way {
  count: number;
  some: Planned[];
}

const samplesMax = 10;
/** Texts that are read for what speaks against them, for each channel and step. */
const readMax = 25;
/** Texts that are priced one by one, for each channel and step; what is beyond is taken for the average. */
const pricedMax = 5_000;

/** Adds up the days; `onRecipient` is told of each who gets something. */
export async function tallyDays(
  deps: RulesDeps,
  trx: Trx,
  forecast: Forecast,
  onRecipient: (judged: Judged) => void = () => {},
): Promise<Tally> {
  const { terms, window } = forecast;
  const tally = { recipients: 0, holdout: 0, backlog: 0, suppressed: new Map<string, number>() };
  const days = new Map<string, number>();
  const ways = new Map<string, Way>();
  for await (const judged of judgeDays(trx, forecast)) {
    const { decision } = judged;
    if (decision === leftInBacklog) {
      tally.backlog += 1;
      continue;
    }
    if (decision.outcome !== 'due') {
      const reason = decision.reason ?? decision.outcome;
      if (reason === 'holdout') tally.holdout += 1;
      addTo(tally.suppressed, reason);
      continue;
    }
    tally.recipients += 1;
    onRecipient(judged);
    for (const planned of stepsOf(judged, terms, window.upTo)) {
      addTo(days, localDay(planned.at, terms.clinic.timeZone));
      addToWay(ways, planned);
    }
  }
  const priced = await priceWays(deps, trx, forecast, ways);
  const suppressed = Object.fromEntries(tally.suppressed);
  return { ...tally, suppressed, days, ...priced };
}

export function addToWay(ways: Map<string, Way>, planned: Planned): void {
  const key = `${planned.channel} ${planned.step}`;
  const way = ways.get(key) ?? { count: 0, some: [] };
  ways.set(key, way);
  way.count += 1;
  if (way.some.length < pricedMax) way.some.push(planned);
}

export function addTo(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** The messages of an occasion up to that instant, if every one leaves when it is due. */
function stepsOf(judged: Judged, terms: CheckTerms, upTo: Temporal.Instant): Planned[] {
  const { rule, occasion, choice, blocks } = judged.asked;
  const { definition } = rule;
  const planned: Planned[] = [];
  let { at } = judged;
  let { step } = choice;
  let contacts = choice.contacts.filter((_contact, index) => blocks[index] === undefined);
  const { throughId = null }: Reachable = occasion;
  const { guard } = triggerOf(definition.trigger.type);
  const { anchor } = guard(occasion.anchor, definition, terms.clinic.timeZone);
  for (;;) {
    for (const contact of contacts)
      planned.push({ ...contact, patientId: occasion.patientId, throughId, anchor, step, at });
    const next = definition.steps[step + 1];
    if (next === undefined) return planned;
    const { patientZone } = occasion;
    at = afterWait(at, next.after, {
      definition,
      patientZone,
      clinicZone: terms.clinic.timeZone,
      now: at,
    });
    if (Temporal.Instant.compare(at, upTo) > 0) return planned;
    const found = chooseContact(definition, step + 1, occasion, terms);
    if (found.reason !== null) return planned;
    ({ step, contacts } = found);
  }
}

/** What such messages cost, and what some of them say. */
export async function priceWays(
  deps: RulesDeps,
  trx: Trx,
  { rule, terms, source }: Forecast,
  ways: ReadonlyMap<string, Way>,
): Promise<Pick<Tally, 'messages' | 'costMicros' | 'samples' | 'warnings'>> {
  const messages: Tally['messages'] = {};
  for (const { some, count } of ways.values()) {
    const channel = some[0]?.channel;
    if (channel) messages[channel] = (messages[channel] ?? 0) + count;
  }
  const { clinic, channels, templates } = terms;
  const words = { deps, clinic, channels };
  let micros = 0;
  const samples: Sample[] = [];
  const warnings = new Set<string>();
  const patientIds = [...ways.values()].flatMap(({ some }) =>
    some.slice(0, readMax).map(({ patientId }) => patientId),
  );
  const ids = await hostIdsOf(trx, clinic.id, patientIds);
  for (const { count, some } of ways.values()) {
    const asks = some.flatMap(({ step, ...about }) => {
      const template = templates.get(rule.definition.steps[step]?.template ?? '');
      return template === undefined ? [] : { ...about, template };
    });
    const prices = await priceTexts(words, trx, asks);
    const seen = prices.reduce<number>((sum, price) => sum + (price ?? 0), 0);
    const read = asks.slice(0, readMax);
    const previews = await previewTexts(words, trx, read);
    for (const [index, { patientId, channel, at }] of read.entries()) {
      const shown = previews[index];
      if (shown == null) continue;
      for (const warning of shown.warnings) warnings.add(warning);
      if (samples.length >= samplesMax) continue;
      samples.push({
        patientId: spell(ids.get(patientId), source),
        channel,
        scheduledAt: at.toString(),
        text: shown.text,
        segments: shown.segments,
      });
    }
    if (count > some.length) warnings.add('cost-estimated');
    micros += some.length === 0 ? 0 : Math.round((seen / some.length) * count);
  }
  return { messages, costMicros: micros, samples, warnings: [...warnings] };
}

export function moneyOf(
  micros: number,
  { clinic }: CheckTerms,
): { amount: string; currency: string } {
  return { amount: formatMicros(micros, clinic.currency), currency: clinic.currency };
}

export function spell(id: Parameters<typeof formatHostId>[0] | undefined, source: string): string {
  return id === undefined ? '' : formatHostId(id, source);
}
