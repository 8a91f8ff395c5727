import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { addToDay, localDay } from '../local-time.ts';
import { readRuleDays } from '../outbox/anomaly-store.ts';
import { capTermsOf } from '../outbox/arbitrate.ts';
import { findOpenInvitations } from '../outbox/capacity-store.ts';
import { sendingDaysMax } from '../outbox/hold-anomalies.ts';
import { invitationKept, isInvitation, wishOf } from '../outbox/hold-over-capacity.ts';
import { afterWait } from './advance-journey.ts';
import type { CheckTerms } from './checks.ts';
import { type Contact, chooseContact } from './choose-contact.ts';
import { askConsent, type RulesDeps } from './plan-context.ts';
import { priceSteps, type StepPrices } from './price-steps.ts';
import type { ReachablePatient } from './reachable-store.ts';
import type { Rule } from './rule.ts';
import {
  countContactsOn,
  findBirths,
  findContactDays,
  findDayPools,
  findHouseholdAddresses,
  findRunning,
  findSpentDays,
} from './simulate-store.ts';
import type { Item, World } from './simulate-world.ts';
import type { Anchor } from './triggers/trigger.ts';
import { triggerOf } from './triggers/triggers.ts';

/** What a simulation of coming days must know beside the messages themselves: books, limits, prices and further steps. */

/** What an item's further steps need. */
export interface Walker {
  patient: ReachablePatient;
  anchor: Anchor;
}

export interface Gathering {
  items: readonly Item[];
  /** By journey. */
  walkers: ReadonlyMap<string, Walker>;
}

/** The next step that reaches the patient; null where there is none. */
export function nextItem(
  item: Item,
  leftAt: Temporal.Instant,
  { patient, anchor }: Walker,
  terms: CheckTerms,
  blocked: ReadonlySet<string>,
): Item | null {
  const { rule, patientZone } = item;
  const { definition } = rule;
  const step = definition.steps[item.step + 1];
  if (step === undefined) return null;
  const clinicZone = terms.clinic.timeZone;
  const waits = { definition, patientZone, clinicZone, now: leftAt };
  const dueAt = afterWait(leftAt, step.after, waits);
  const choice = chooseContact(definition, item.step + 1, patient, terms);
  if (choice.reason !== null) return null;
  const contacts = choice.contacts.filter(
    (contact) => !blocked.has(consentKey(item.patientId, rule, contact)),
  );
  if (contacts.length === 0) return null;
  const expiresAt = triggerOf(definition.trigger.type).expiresAt(
    { dueAt, anchor, patientZone },
    definition,
    clinicZone,
  );
  const { invitation: _invitation, ...opened } = item.guard;
  const guard = { ...opened, opens: false };
  return {
    ...item,
    step: choice.step,
    contacts,
    isFirst: false,
    at: dueAt,
    expiresAt,
    guard,
    waits: null,
    stepLeftAt: null,
  };
}

function consentKey(patientId: string, rule: Rule, { channel, address }: Contact): string {
  return `${patientId} ${rule.definition.purpose} ${channel} ${address}`;
}

const asksMax = 2_000;

/** The contacts of further steps that consent does not let go. */
export async function blockedSteps(
  trx: Trx,
  terms: CheckTerms,
  { items, walkers }: Gathering,
): Promise<Set<string>> {
  const asks = items.flatMap(({ rule, patientId, journey, step }) => {
    const patient = walkers.get(journey)?.patient;
    if (patient === undefined) return [];
    const { purpose, steps } = rule.definition;
    return steps.slice(step + 1).map((_step, offset) => {
      const { contacts } = chooseContact(rule.definition, step + 1 + offset, patient, terms);
      return { rule, patientId, throughId: patient.throughId, purpose, contacts };
    });
  });
  const blocked = new Set<string>();
  for (let at = 0; at < asks.length; at += asksMax) {
    const part = asks.slice(at, at + asksMax);
    const blocks = await askConsent(trx, terms.clinic, part);
    for (const [index, { rule, patientId, contacts }] of part.entries())
      for (const [place, contact] of contacts.entries())
        if (blocks[index]?.[place] !== undefined) blocked.add(consentKey(patientId, rule, contact));
  }
  return blocked;
}

/** What the messages of rules with a budget cost, by rule. */
async function readPrices(
  deps: RulesDeps,
  trx: Trx,
  terms: CheckTerms,
  { items, walkers }: Gathering,
): Promise<Map<string, StepPrices>> {
  const prices = new Map<string, StepPrices>();
  for (const [ruleId, own] of Map.groupBy(items, ({ rule }) => rule.id)) {
    const [first] = own;
    if (first?.rule.definition.limits?.budget === undefined) continue;
    const priced = own.flatMap(({ journey, step, named, guard: { anchor } }) => {
      const patient = walkers.get(journey)?.patient;
      return patient === undefined ? [] : { journey, step, named, patient, anchor };
    });
    prices.set(ruleId, await priceSteps(deps, trx, terms, first.rule, priced));
  }
  return prices;
}

/** What rules with a budget have spent of it. */
async function readSpentDays(
  trx: Trx,
  { id }: Clinic,
  items: readonly Item[],
  { firstDay, dueUpTo }: { firstDay: string; dueUpTo: Temporal.Instant },
): Promise<World['spentDays']> {
  const rules = new Map(items.map(({ rule }) => [rule.id, rule]));
  const limited = [...rules.values()].flatMap(({ id: ruleId, definition: { limits } }) =>
    [limits?.budget?.per, limits?.messages?.per].flatMap((per) =>
      per === undefined ? [] : [{ ruleId, after: addToDay(firstDay, `-${per}`) }],
    ),
  );
  const after = limited.map((each) => each.after).toSorted()[0] ?? firstDay;
  const ruleIds = [...new Set(limited.map(({ ruleId }) => ruleId))];
  return findSpentDays(trx, id, ruleIds, { after, firstDay, dueUpTo });
}

async function readUsualDays(
  trx: Trx,
  { id }: Clinic,
  items: readonly Item[],
  firstDay: string,
): Promise<World['ruleDays']> {
  const ruleIds = [...new Set(items.map(({ rule }) => rule.id))];
  const days = await readRuleDays(trx, id, ruleIds, firstDay, sendingDaysMax);
  return new Map(days.map(({ ruleId, ...day }) => [ruleId, day]));
}

export async function readWorld(
  deps: RulesDeps,
  trx: Trx,
  terms: CheckTerms,
  { from, upTo }: { from: Temporal.Instant; upTo: Temporal.Instant },
  gathering: Gathering,
  blocked: ReadonlySet<string>,
): Promise<World> {
  const { items, walkers } = gathering;
  const { clinic } = terms;
  const prices = await readPrices(deps, trx, terms, gathering);
  const firstDay = localDay(from, clinic.timeZone);
  const dueUpTo = from.subtract({ milliseconds: 1 });
  const hasHouseholdCaps = capTermsOf(clinic.settings).household !== null;
  const pools = await findDayPools(trx, clinic.id, firstDay);
  const since = from.subtract(invitationKept);
  const open = pools.length === 0 ? [] : await findOpenInvitations(trx, clinic.id, since);
  const rulesById = new Map(items.map(({ rule }) => [rule.id, rule]));
  const wishFor = (rule: Rule | undefined, anchor: Parameters<typeof wishOf>[1]) => {
    const { services = [], practitioners = [] } = rule?.definition.trigger ?? {};
    return wishOf({ services, practitioners }, anchor);
  };
  return {
    clinic,
    from,
    upTo,
    items,
    contactDays: await findContactDays(trx, clinic.id, {
      since: addToDay(firstDay, '-P6D'),
      firstDay,
      dueUpTo,
    }),
    householdAddresses: hasHouseholdCaps ? await findHouseholdAddresses(trx, clinic.id) : new Map(),
    births: clinic.settings.householdMerging ? await findBirths(trx, clinic.id) : new Map(),
    running: await findRunning(trx, clinic.id, dueUpTo),
    contactsToday: await countContactsOn(trx, clinic.id, firstDay, dueUpTo),
    spentDays: await readSpentDays(trx, clinic, items, { firstDay, dueUpTo }),
    ruleDays: await readUsualDays(trx, clinic, items, firstDay),
    priceOf: ({ rule, step, contacts, journey }) =>
      contacts.reduce(
        (sum, { channel }) => sum + (prices.get(rule.id)?.(step, channel, journey) ?? 0),
        0,
      ),
    pools,
    // How long ago they were invited is not asked: they keep their slots for the longest time.
    openInvitations: open.flatMap(({ ruleId, anchor, count }) =>
      Array.from({ length: count }, () => ({
        wish: wishFor(rulesById.get(ruleId), anchor),
        leftAt: from,
      })),
    ),
    wishOf: ({ rule, guard }) =>
      isInvitation({ purpose: rule.definition.purpose, guard })
        ? wishFor(rule, guard.anchor)
        : null,
    nextOf: (item, leftAt) => {
      const walker = walkers.get(item.journey);
      return walker === undefined ? null : nextItem(item, leftAt, walker, terms, blocked);
    },
  };
}
