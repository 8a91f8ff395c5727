import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import { invalid, notFound } from '../errors.ts';
import { formatHostId } from '../history/host-id.ts';
import { hostIdsOf } from '../history/patient-store.ts';
import { addToDay, isDay, startOfDay } from '../local-time.ts';
import { formatMicros, parseMicros } from '../money.ts';
import { previewTemplate } from '../outbox/preview-template.ts';
import { afterWait } from './advance-journey.ts';
import { type Case, type CheckTerms, type Decision, decide } from './checks.ts';
import { type Contact, chooseContact } from './choose-contact.ts';
import { openCases, type RulesDeps, readTerms } from './plan-context.ts';
import type { Rule } from './rule.ts';
import { findRule } from './rule-store.ts';
import { streamOccasions } from './selection-store.ts';
import type { DueWindow } from './triggers/due-slots.ts';

/**
 * What a rule would do on coming days, by the very selection and checks that planning uses; nothing is
 * sent or stored. It supposes that nobody answers, books or changes meanwhile.
 */

export interface PreviewSample {
  patientId: string;
  channel: ChannelName;
  scheduledAt: string;
  text: string | null;
  segments: number;
}

export interface Preview {
  recipients: number;
  messages: Partial<Record<ChannelName, number>>;
  suppressed: Record<string, number>;
  holdout: number;
  cost: { amount: string; currency: string };
  samples: PreviewSample[];
  warnings: string[];
}

export interface PreviewQuestion {
  ruleId: string;
  /** Local days of the clinic, inclusive. */
  from: string;
  to: string;
  /** The source in whose words ids are told. */
  source: string;
}

export const previewDaysMax = 366;
const samplesMax = 10;
/** Texts that are rendered to learn what a message costs, for each channel and step. */
const pricedMax = 25;

interface Planned extends Contact {
  patientId: string;
  step: number;
  at: Temporal.Instant;
}

/** @throws AppError for a rule that is not there, or days that are none. */
export async function previewRule(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  question: PreviewQuestion,
  now: Temporal.Instant,
): Promise<Preview> {
  const { rule, terms, window } = await openWindow(deps, trx, clinicId, question, now);
  const tally = { recipients: 0, holdout: 0, suppressed: new Map<string, number>() };
  const ways = new Map<string, { count: number; some: Planned[] }>();
  for await (const { asked, decision } of decisions(trx, rule, terms, window)) {
    if (decision.outcome !== 'due') {
      const reason = decision.reason ?? decision.outcome;
      if (reason === 'holdout') tally.holdout += 1;
      tally.suppressed.set(reason, (tally.suppressed.get(reason) ?? 0) + 1);
      continue;
    }
    tally.recipients += 1;
    for (const planned of stepsOf(asked, terms, window.upTo)) {
      const key = `${planned.channel} ${planned.step}`;
      const way = ways.get(key) ?? { count: 0, some: [] };
      ways.set(key, way);
      way.count += 1;
      if (way.some.length < pricedMax) way.some.push(planned);
    }
  }
  const priced = await price(deps, trx, rule, terms, ways, question.source);
  const messages: Preview['messages'] = {};
  for (const { some, count } of ways.values()) {
    const channel = some[0]?.channel;
    if (channel) messages[channel] = (messages[channel] ?? 0) + count;
  }
  return {
    recipients: tally.recipients,
    messages,
    suppressed: Object.fromEntries(tally.suppressed),
    holdout: tally.holdout,
    ...priced,
  };
}

export interface DueRow {
  patientId: string;
  occurrence: string;
  dueAt: string;
  channel: ChannelName | null;
  outcome: Decision['outcome'];
  reason: string | null;
}

/** The recall list of those days, by due instant: at most `limit` rows. */
export async function listDue(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  question: PreviewQuestion & { limit: number },
  now: Temporal.Instant,
): Promise<DueRow[]> {
  const { rule, terms, window } = await openWindow(deps, trx, clinicId, question, now);
  const rows: { row: DueRow; at: Temporal.Instant }[] = [];
  for await (const { asked, decision } of decisions(trx, rule, terms, window)) {
    const { occasion, choice } = asked;
    const row = {
      patientId: occasion.patientId,
      occurrence: occasion.occurrence,
      dueAt: occasion.dueAt.toString(),
      channel: choice.contacts[0]?.channel ?? null,
      ...{ outcome: decision.outcome, reason: decision.reason },
    };
    rows.push({ row, at: occasion.dueAt });
    // Sorted now and then, so that no more than a few pages are ever held.
    if (rows.length > question.limit * 4) keepFirst(rows, question.limit);
  }
  keepFirst(rows, question.limit);
  const ids = await hostIdsOf(
    trx,
    clinicId,
    rows.map(({ row }) => row.patientId),
  );
  return rows.map(({ row }) => ({
    ...row,
    patientId: spell(ids.get(row.patientId), question.source),
  }));
}

function keepFirst(rows: { row: DueRow; at: Temporal.Instant }[], limit: number): void {
  rows.sort(
    (one, other) =>
      Temporal.Instant.compare(one.at, other.at) ||
      (one.row.patientId < other.row.patientId ? -1 : 1),
  );
  rows.length = Math.min(rows.length, limit);
}

async function openWindow(
  deps: RulesDeps,
  trx: Trx,
  clinicId: string,
  { ruleId, from, to }: PreviewQuestion,
  now: Temporal.Instant,
): Promise<{ rule: Rule; terms: CheckTerms; window: DueWindow }> {
  for (const [name, day] of Object.entries({ from, to })) {
    if (!isDay(day)) throw invalid(`/${name}`, 'not-a-day', 'It is no day such as 2026-03-08.');
  }
  if (to < from) throw invalid('/to', 'before-from', 'It ends before it begins.');
  if (addToDay(from, `P${previewDaysMax}D`) <= to) {
    throw invalid('/to', 'too-far', `At most ${previewDaysMax} days at once.`);
  }
  const rule = await findRule(trx, clinicId, ruleId);
  if (rule === null) throw notFound('rule');
  const terms = await readTerms(deps, trx, clinicId, [rule], now);
  const { timeZone } = terms.clinic;
  const after = startOfDay(from, timeZone).subtract({ milliseconds: 1 });
  const upTo = startOfDay(addToDay(to, 'P1D'), timeZone).subtract({ milliseconds: 1 });
  // Days are seen as they come: nothing is too late on its own day.
  return { rule, terms: { ...terms, now: after }, window: { after, upTo } };
}

async function* decisions(
  trx: Trx,
  rule: Rule,
  terms: CheckTerms,
  window: DueWindow,
): AsyncGenerator<{ asked: Case; decision: Decision }> {
  const { clinic, now } = terms;
  const { definition } = rule;
  for await (const occasions of streamOccasions(trx, {
    clinic,
    definition,
    window,
    patientIds: null,
    now,
  })) {
    for (const asked of await openCases(trx, rule, occasions, terms)) {
      yield { asked, decision: decide(asked, terms) };
    }
  }
}

/** The messages of an occasion up to that instant, if every one leaves when it is due. */
function stepsOf(asked: Case, terms: CheckTerms, upTo: Temporal.Instant): Planned[] {
  const { rule, occasion, choice, blocks } = asked;
  const { definition } = rule;
  const planned: Planned[] = [];
  let at = occasion.dueAt;
  let { step } = choice;
  let contacts = choice.contacts.filter((_contact, index) => blocks[index] === undefined);
  for (;;) {
    for (const contact of contacts)
      planned.push({ ...contact, patientId: occasion.patientId, step, at });
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

async function price(
  deps: RulesDeps,
  trx: Trx,
  rule: Rule,
  terms: CheckTerms,
  ways: ReadonlyMap<string, { count: number; some: Planned[] }>,
  source: string,
): Promise<Pick<Preview, 'cost' | 'samples' | 'warnings'>> {
  const { clinic, templates } = terms;
  let micros = 0;
  const samples: PreviewSample[] = [];
  const warnings = new Set<string>();
  const patientIds = [...ways.values()].flatMap(({ some }) =>
    some.map(({ patientId }) => patientId),
  );
  const ids = await hostIdsOf(trx, clinic.id, patientIds);
  for (const { count, some } of ways.values()) {
    let seen = 0;
    for (const { patientId, channel, step, at } of some) {
      const template = templates.get(rule.definition.steps[step]?.template ?? '');
      const shown =
        template &&
        (await previewTemplate(deps, trx, clinic, template, { channel, patientId }, at));
      if (!shown) continue;
      seen += parseMicros(shown.cost?.amount ?? '0') ?? 0;
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
  const cost = { amount: formatMicros(micros, clinic.currency), currency: clinic.currency };
  return { cost, samples, warnings: [...warnings] };
}

function spell(id: Parameters<typeof formatHostId>[0] | undefined, source: string): string {
  return id === undefined ? '' : formatHostId(id, source);
}
