import type { Trx } from '../database/connect.ts';
import type { Purpose } from '../database/tables.ts';
import type { Clinic } from '../history/clinic.ts';
import { reachOf } from '../outbox/reach.ts';
import { findRelatives, type Relative } from '../outbox/relatives-store.ts';
import type { Reachable } from './choose-contact.ts';

/** A minor is reached through whoever answers for them, as the dispatcher will do it. */

/** How a person can be reached, and whether it may be through another. */
export type Dependent = Reachable & { hasGuardian: boolean; household: string | null };

export interface ReachTerms<Given> {
  clinic: Clinic;
  purposeOf: (person: Given) => Purpose;
  idOf: (person: Given) => string;
  /** The clinic's local day on which each is written to. */
  dayOf: (person: Given) => string;
}

/** These people with the contact points that messages to them would use, in the same order. */
export async function reachRelatives<Given extends Dependent>(
  trx: Trx,
  people: readonly Given[],
  { clinic, purposeOf, idOf, dayOf }: ReachTerms<Given>,
): Promise<Given[]> {
  const isMerging = clinic.settings.householdMerging;
  const mayDepend = (person: Given) =>
    person.hasGuardian ||
    (isMerging && person.household !== null && purposeOf(person) !== 'transactional');
  const ids = new Set(people.filter(mayDepend).map(idOf));
  if (ids.size === 0) return [...people];
  const relatives = await findRelatives(trx, clinic.id, [...ids], isMerging);
  return people.map((person) => {
    const list = relatives.get(idOf(person));
    return list === undefined ? person : through(person, list, isMerging, dayOf(person));
  });
}

const channels = ['sms', 'email', 'whatsapp', 'telegram'] as const;

function through<Given extends Dependent>(
  person: Given,
  relatives: readonly Relative[],
  isMerging: boolean,
  today: string,
): Given {
  const reached = channels.map((channel) => ({
    channel,
    ...reachOf({ channel, own: person[channel], relatives, isMerging, today }),
  }));
  const throughId = reached.find((each) => each.throughId !== null)?.throughId ?? null;
  if (throughId === null) return person;
  const other = relatives.find(({ id }) => id === throughId);
  return {
    ...person,
    throughAddresses: relatives
      .filter(({ id }) => reached.some((each) => each.throughId === id))
      .map(({ addresses }) => addresses),
    ...Object.fromEntries(reached.map(({ channel, address }) => [channel, address])),
    language: other?.language ?? person.language,
    throughId,
  };
}
