import { lockAddresses } from '../history/lock-store.ts';
import type { Batch } from './batch.ts';
import {
  bookOutsideContacts,
  type ContactMade,
  findAddressesOf,
  insertOutsideContacts,
} from './outside-contact-store.ts';
import { survivorOf } from './person-book.ts';

/**
 * A contact made outside is one of the few that a person gets. Who merged somebody into another brings along
 * what that one has heard.
 */
export async function applyOutsideContacts(
  { trx, clinicId, now, items, book }: Batch,
  retired: readonly string[],
): Promise<void> {
  const contacts = items.flatMap(({ event, patientId, isBlank, outcome }): ContactMade[] => {
    const { effect, source, id } = event;
    const contact = effect.kind === 'kept' ? (effect.contact ?? null) : null;
    const isTold = patientId !== null && !isBlank && outcome.kind === 'applied';
    if (contact === null || !isTold) return [];
    const { channel, purpose, atMs } = contact;
    return [{ source, eventId: id, patientId, channel, purpose, atMs }];
  });
  const survivors = retired.flatMap((id) => {
    const person = book.byId.get(id);
    return person === undefined ? [] : [survivorOf(book, person).id];
  });
  const reached = contacts.map(({ patientId }) => patientId);
  const patientIds = [...new Set([...reached, ...survivors])];
  if (patientIds.length === 0) return;
  await insertOutsideContacts(trx, clinicId, contacts, now);
  const addresses = await findAddressesOf(trx, clinicId, patientIds);
  await lockAddresses(trx, clinicId, addresses, 'update');
  await bookOutsideContacts(trx, clinicId, patientIds);
}
