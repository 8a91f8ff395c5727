import type { Trx } from '../database/connect.ts';
import { reachInHousehold } from '../outbox/reach.ts';
import { findRelatives } from '../outbox/relatives-store.ts';
import type { CheckTerms } from './checks.ts';
import { askConsent } from './plan-context.ts';
import type { Item } from './simulate-world.ts';

/**
 * Those of these, who have no way of their own to their patients, that may be named in a message to the household: with
 * the address by which that would be, in the same order; null where nobody of the household has one, or consent speaks
 * against it.
 */
export async function nameInHousehold(
  trx: Trx,
  { clinic }: CheckTerms,
  unreached: readonly Item[],
): Promise<(Item | null)[]> {
  const mayBe = ({ household, rule }: Item) =>
    clinic.settings.householdMerging &&
    household !== null &&
    rule.definition.purpose !== 'transactional';
  const ids = [...new Set(unreached.filter(mayBe).map(({ patientId }) => patientId))];
  const relatives = await findRelatives(trx, clinic.id, ids, true);
  const asks = unreached.map((item) => {
    const [contact] = item.contacts;
    const address =
      contact === undefined || !mayBe(item)
        ? null
        : reachInHousehold(contact.channel, relatives.get(item.patientId) ?? []);
    return {
      patientId: item.patientId,
      purpose: item.rule.definition.purpose,
      contacts: contact === undefined || address === null ? [] : [{ ...contact, address }],
    };
  });
  const blocks = await askConsent(trx, clinic, asks);
  return unreached.map((item, at) => {
    const contacts = asks[at]?.contacts ?? [];
    const isFree = contacts.length > 0 && blocks[at]?.[0] === undefined;
    return isFree ? { ...item, contacts, isNamedOnly: true } : null;
  });
}
