import type { Trx } from '../database/connect.ts';
import { parseMicros } from '../money.ts';
import { previewTemplate } from '../outbox/preview-template.ts';
import type { CheckTerms } from './checks.ts';
import { chooseContact } from './choose-contact.ts';
import type { RulesDeps } from './plan-context.ts';
import type { ReachablePatient } from './reachable-store.ts';
import type { Rule } from './rule.ts';

/** What the steps of a rule cost, so that it is known how far its budget goes. */

/** Texts that are rendered for each step, to learn what they cost. */
const pricedMax = 25;

/** Micros of the clinic's currency by step and channel, on the average of some of these patients. */
export type StepPrices = ReadonlyMap<string, number>;

export function priceKey(step: number, channel: string): string {
  return `${step} ${channel}`;
}

export async function priceSteps(
  deps: RulesDeps,
  trx: Trx,
  terms: CheckTerms,
  { definition }: Rule,
  patients: readonly ReachablePatient[],
): Promise<StepPrices> {
  const sums = new Map<string, { micros: number; count: number }>();
  for (const [step, { template: name }] of definition.steps.entries()) {
    const template = terms.templates.get(name);
    if (template === undefined) continue;
    for (const patient of patients.slice(0, pricedMax)) {
      const choice = chooseContact(definition, step, patient, terms);
      if (choice.reason !== null || choice.step !== step) continue;
      for (const { channel } of choice.contacts) {
        const about = { channel, patientId: patient.id };
        const shown = await previewTemplate(deps, trx, terms.clinic, template, about, terms.now);
        const micros = parseMicros(shown?.cost?.amount ?? '0') ?? 0;
        const sum = sums.get(priceKey(step, channel)) ?? { micros: 0, count: 0 };
        const added = { micros: sum.micros + micros, count: sum.count + 1 };
        sums.set(priceKey(step, channel), added);
      }
    }
  }
  return new Map([...sums].map(([key, { micros, count }]) => [key, Math.round(micros / count)]));
}
