import type { ChannelName } from '../database/tables.ts';
import { parseMicros } from '../money.ts';
import type { EffectiveChannel } from '../outbox/channel-store.ts';
import { pickBody, type Template } from '../outbox/template-store.ts';
import type { RuleDefinition } from './rule.ts';
import type { Occasion } from './selection-store.ts';

/** Through what a step reaches a patient. Pure. */

export interface Contact {
  channel: ChannelName;
  address: string | null;
}

export type ContactChoice =
  | { contacts: Contact[]; step: number; reason: null }
  /** `contacts` are the ones that would be used. */
  | { contacts: Contact[]; step: number; reason: 'no-contact-point' | 'no-template' };

export type Reachable = Pick<
  Occasion,
  'language' | 'preferredChannel' | 'sms' | 'email' | 'whatsapp' | 'telegram'
> & {
  /** The person whose contact points these are, where that is not the patient. */
  throughId?: string | null;
  /** All of each person whose contact points these are. */
  throughAddresses?: readonly (readonly string[])[];
};

export interface ContactTerms {
  channels: ReadonlyMap<ChannelName, EffectiveChannel>;
  templates: ReadonlyMap<string, Template>;
  country: string;
  clinicLanguage: string;
}

/** The first step from there on that has a contact point: those without one are skipped at once. */
export function chooseContact(
  { steps }: Pick<RuleDefinition, 'steps'>,
  fromStep: number,
  patient: Reachable,
  terms: ContactTerms,
): ContactChoice {
  for (let index = fromStep; index < steps.length; index += 1) {
    const step = steps[index];
    if (step === undefined) break;
    const contacts = step.channels
      .map((channel) =>
        channel === 'preferred' ? preferredChannel(step.template, patient, terms) : channel,
      )
      .filter((channel): channel is ChannelName => channel !== null)
      .map((channel) => ({ channel, address: addressOf(patient, channel) }))
      .filter((contact) => contact.address !== null || needsNoAddress(contact.channel));
    const distinct = contacts.filter(
      (contact, at) => contacts.findIndex((other) => other.channel === contact.channel) === at,
    );
    if (distinct.length === 0) continue;
    const readable = distinct.filter(({ channel }) =>
      hasBody(step.template, channel, patient, terms),
    );
    if (readable.length > 0) return { contacts: readable, step: index, reason: null };
    return { contacts: distinct, step: index, reason: 'no-template' };
  }
  const channel = steps[fromStep]?.channels.find((name) => name !== 'preferred');
  const nominal = (channel as ChannelName | undefined) ?? favourite(patient) ?? 'sms';
  return {
    contacts: [{ channel: nominal, address: null }],
    step: fromStep,
    reason: 'no-contact-point',
  };
}

/** At equal price the first of these goes. */
const cheapFirst = ['inbox', 'telegram', 'email', 'whatsapp', 'sms'] as const;

/**
 * The patient's own channel if it is set up and reaches them, else the cheapest that does; one for which
 * the template has no text only where it has none for any.
 */
function preferredChannel(
  template: string,
  patient: Reachable,
  terms: ContactTerms,
): ChannelName | null {
  const own = favourite(patient);
  const reaching = [...(own === null ? [] : [own]), ...cheapFirst].filter((channel) =>
    reaches(channel, patient, terms),
  );
  const readable = reaching.filter((channel) => hasBody(template, channel, patient, terms));
  const usable = readable.length > 0 ? readable : reaching;
  if (own !== null && usable[0] === own) return own;
  return usable.reduce<ChannelName | null>((best, channel) => {
    if (best === null) return channel;
    return price(channel, terms) < price(best, terms) ? channel : best;
  }, null);
}

/** What a host calls a staff call. */
const callNames: readonly string[] = ['call', 'phone', 'voice'];
const choosable: readonly string[] = [...cheapFirst, 'task'];

function favourite({ preferredChannel: named }: Reachable): ChannelName | null {
  if (named === null) return null;
  if (callNames.includes(named)) return 'task';
  return choosable.includes(named) ? (named as ChannelName) : null;
}

function reaches(channel: ChannelName, patient: Reachable, { channels }: ContactTerms): boolean {
  const found = channels.get(channel);
  if (found === undefined) return false;
  // A patient who asked for a call or the inbox gets it; nobody else is put there unasked.
  if (!found.isOffered && channel !== favourite(patient)) return false;
  return needsNoAddress(channel) || addressOf(patient, channel) !== null;
}

function price(channel: ChannelName, { channels, country }: ContactTerms): number {
  const tariff = channels.get(channel)?.tariff ?? {};
  return parseMicros(tariff[country] ?? tariff.default ?? '0') ?? 0;
}

export function needsNoAddress(channel: ChannelName): boolean {
  return channel === 'inbox' || channel === 'task' || channel === 'webhook';
}

export function addressOf(patient: Reachable, channel: ChannelName): string | null {
  switch (channel) {
    case 'sms':
    case 'email':
    case 'whatsapp':
    case 'telegram':
      return patient[channel];
    default:
      return null;
  }
}

function hasBody(
  name: string,
  channel: ChannelName,
  patient: Reachable,
  terms: ContactTerms,
): boolean {
  const template = terms.templates.get(name);
  return (
    template !== undefined && knownBody(template, channel, patient.language, terms.clinicLanguage)
  );
}

/** Compiling a body for each patient would cost more than all the rest. */
const knownBodies = new WeakMap<Template, Map<string, boolean>>();
const languagesMax = 1_000;

function knownBody(
  template: Template,
  channel: ChannelName,
  language: string | null,
  clinicLanguage: string,
): boolean {
  const known = knownBodies.get(template) ?? new Map<string, boolean>();
  knownBodies.set(template, known);
  const key = `${channel} ${language ?? ''} ${clinicLanguage}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const has = pickBody(template, channel, language, clinicLanguage) !== null;
  if (known.size < languagesMax) known.set(key, has);
  return has;
}
