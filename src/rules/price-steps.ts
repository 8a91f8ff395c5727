import type { Trx } from '../database/connect.ts';
import type { ChannelName } from '../database/tables.ts';
import { parseMicros } from '../money.ts';
import { previewTexts, type TextAsk } from '../outbox/preview-template.ts';
import type { CheckTerms } from './checks.ts';
import { chooseContact } from './choose-contact.ts';
import type { RulesDeps } from './plan-context.ts';
import type { ReachablePatient } from './reachable-store.ts';
import type { Rule } from './rule.ts';

/** What the steps of a rule cost, so that it is known how far its budget goes. */

/** Texts that are rendered for each step; what is beyond is taken for the average. */
const pricedMax = 5_000;

/** Micros of the clinic's currency; who is named besides is not known yet. */
export type StepPrices = (step: number, channel: ChannelName, patientId: string) => number;

export interface PricedPatient extends Pick<TextAsk, 'anchor'> {
  patient: ReachablePatient;
}

export async function priceSteps(
  deps: RulesDeps,
  trx: Trx,
  terms: CheckTerms,
  { definition }: Rule,
  patients: readonly PricedPatient[],
): Promise<StepPrices> {
  const prices = new Map<string, number>();
  const sums = new Map<string, { micros: number; count: number }>();
  for (const [step, { template: name }] of definition.steps.entries()) {
    const template = terms.templates.get(name);
    if (template === undefined) continue;
    const asks = patients.slice(0, pricedMax).flatMap(({ patient, anchor }) => {
      const choice = chooseContact(definition, step, patient, terms);
      if (choice.reason !== null || choice.step !== step) return [];
      const { id: patientId, throughId = null } = patient;
      const about = { patientId, throughId, anchor, template, at: terms.now };
      return choice.contacts.map((contact) => ({ ...about, ...contact }));
    });
    const previews = await previewTexts(deps, trx, terms.clinic, asks);
    for (const [at, { channel, patientId }] of asks.entries()) {
      const micros = parseMicros(previews[at]?.cost?.amount ?? '0') ?? 0;
      const sum = sums.get(keyOf(step, channel)) ?? { micros: 0, count: 0 };
      sums.set(keyOf(step, channel), { micros: sum.micros + micros, count: sum.count + 1 });
      prices.set(`${keyOf(step, channel)} ${patientId}`, micros);
    }
  }
  return (step, channel, patientId) => {
    const key = keyOf(step, channel);
    const { micros, count } = sums.get(key) ?? { micros: 0, count: 1 };
    return prices.get(`${key} ${patientId}`) ?? Math.round(micros / count);
  };
}

function keyOf(step: number, channel: ChannelName): string {
  return `${step} ${channel}`;
}
