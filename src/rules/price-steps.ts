import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import { priceTexts, type TextAsk } from '../outbox/price-texts.ts';
import type { CheckTerms } from './checks.ts';
import { chooseContact } from './choose-contact.ts';
import type { RulesDeps } from './plan-context.ts';
import type { ReachablePatient } from './reachable-store.ts';
import type { Rule } from './rule.ts';

/** What the steps of a rule cost, so that it is known how far its budget goes. */

/** Texts of each step that are priced one by one; what is beyond is taken for the average. */
const pricedMax = 2_000;

/** Micros of the clinic's currency, of the message that does not name anybody who will only be met on the way. */
export type StepPrices = (step: number, channel: ChannelName, journey: string) => number;

interface Walk extends Pick<TextAsk, 'anchor'> {
  journey: string;
  /** Whom earlier steps named. */
  named: readonly string[];
  /** The one that comes next. */
  step: number;
  patient: ReachablePatient;
}

export async function priceSteps(
  deps: RulesDeps,
  trx: Trx,
  terms: CheckTerms,
  { definition }: Rule,
  walks: readonly Walk[],
): Promise<StepPrices> {
  const prices = new Map<string, number>();
  const sums = new Map<string, { micros: number; count: number }>();
  for (const [step, { template: name }] of definition.steps.entries()) {
    const template = terms.templates.get(name);
    if (template === undefined) continue;
    const coming = walks.filter((walk) => walk.step <= step).slice(0, pricedMax);
    const asks = coming.flatMap(({ journey, patient, named, anchor }) => {
      const choice = chooseContact(definition, step, patient, terms);
      if (choice.reason !== null || choice.step !== step) return [];
      const { id: patientId, throughId = null } = patient;
      const about = { journey, patientId, throughId, named, anchor, template, at: terms.now };
      return choice.contacts.map((contact) => ({ ...about, ...contact }));
    });
    const priced = await priceTexts({ deps, ...terms }, trx, asks);
    for (const [at, { channel, journey }] of asks.entries()) {
      const micros = priced[at] ?? 0;
      const sum = sums.get(keyOf(step, channel)) ?? { micros: 0, count: 0 };
      sums.set(keyOf(step, channel), { micros: sum.micros + micros, count: sum.count + 1 });
      prices.set(`${keyOf(step, channel)} ${journey}`, micros);
    }
  }
  return (step, channel, journey) => {
    const key = keyOf(step, channel);
    const { micros, count } = sums.get(key) ?? { micros: 0, count: 1 };
    return prices.get(`${key} ${journey}`) ?? Math.round(micros / count);
  };
}

function keyOf(step: number, channel: ChannelName): string {
  return `${step} ${channel}`;
}
