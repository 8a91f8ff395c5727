import type { ChannelName } from '../database/tables.ts';
import { isMinorOn } from './arbitrate.ts';
import type { Relative } from './relatives-store.ts';

/** Whose contact point a message goes to where the patient is a minor, or is named by their household. Pure. */

export interface Reach {
  address: string | null;
  /** The person whose address it is, where that is not the patient; their opt-outs count too. */
  throughId: string | null;
}

export interface ReachTerms {
  channel: ChannelName;
  /** Where it would go without any relatives. */
  own: string | null;
  /** All of one patient, themselves included. */
  relatives: readonly Relative[];
  /** With households merged, a minor's message goes to the adult even if the minor has a phone. */
  isMerging: boolean;
  /** The clinic's local day. */
  today: string;
}

export function reachOf({ channel, own, relatives, isMerging, today }: ReachTerms): Reach {
  const self = relatives.find(({ kind }) => kind === 'self');
  if (self === undefined || !isPersonal(channel)) return { address: own, throughId: null };
  const responsible = responsibleFor(relatives, isMerging, today);
  const isMinor = isMinorOn(today, self);
  const needsOther = isMinor && (isMerging || !hasOwnAddress(self));
  const found = needsOther
    ? responsible.find((relative) => relative[channel] !== null)?.[channel]
    : undefined;
  const address = found ?? own;
  return { address, throughId: ownerOf(address, self, responsible) };
}

/** A person who is due, but has no contact point, can be named in a message to their household. */
export function reachInHousehold(
  channel: ChannelName,
  relatives: readonly Relative[],
): string | null {
  if (!isPersonal(channel)) return null;
  const members = relatives.filter(({ kind, isAlive }) => kind === 'member' && isAlive);
  return members.find((member) => member[channel] !== null)?.[channel] ?? null;
}

export type PersonalChannel = 'sms' | 'email' | 'whatsapp' | 'telegram';
/** Where each person has an address of their own. */
const personalChannels: readonly string[] = ['sms', 'email', 'whatsapp', 'telegram'];

export function isPersonal(channel: ChannelName): channel is PersonalChannel {
  return personalChannels.includes(channel);
}

/** The guardian first, then the eldest of the household. */
function responsibleFor(
  relatives: readonly Relative[],
  isMerging: boolean,
  today: string,
): Relative[] {
  const alive = relatives.filter(({ isAlive }) => isAlive);
  const guardians = alive.filter(({ kind }) => kind === 'guardian');
  if (!isMerging) return guardians;
  const adults = alive
    .filter((relative) => relative.kind === 'member' && !isMinorOn(today, relative))
    .sort(byAge);
  return [...guardians, ...adults];
}

function byAge(one: Relative, other: Relative): number {
  const unknown = '9999-12-31';
  const [first, second] = [one.birthDate ?? unknown, other.birthDate ?? unknown];
  if (first !== second) return first < second ? -1 : 1;
  return one.id < other.id ? -1 : 1;
}

function hasOwnAddress({ sms, email, whatsapp, telegram }: Relative): boolean {
  return [sms, email, whatsapp, telegram].some((address) => address !== null);
}

function ownerOf(
  address: string | null,
  self: Relative,
  responsible: readonly Relative[],
): string | null {
  if (address === null || self.addresses.includes(address)) return null;
  return responsible.find(({ addresses }) => addresses.includes(address))?.id ?? null;
}
