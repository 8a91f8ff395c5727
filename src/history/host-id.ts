/**
 * What the host calls its objects. An id is unique per clinic and source; a key speaks in its own
 * source, and names another one's object as `source~id`.
 */

export interface HostId {
  source: string;
  externalId: string;
}

/** Anything visible but `~`, which sets a source off; no space at either end, no control characters. */
export const hostIdPattern =
  '^(?:[a-z0-9][a-z0-9._-]{0,62}~)?[^~\\s\\u0000-\\u001f\\u007f](?:[^~\\u0000-\\u001f\\u007f]{0,198}[^~\\s\\u0000-\\u001f\\u007f])?$';

const hostIdForm = new RegExp(hostIdPattern);

/** Whether it can be an id at all: what cannot names nothing, and is never shown to the database. */
export function isHostId(text: string): boolean {
  return hostIdForm.test(text) && text.isWellFormed();
}

/** Reads `17` in the reader's source and `crm~17` in the source `crm`. */
export function parseHostId(text: string, source: string): HostId {
  const at = text.indexOf('~');
  return at < 0
    ? { source, externalId: text }
    : { source: text.slice(0, at), externalId: text.slice(at + 1) };
}

/** Writes an id for a reader: bare in its own source. */
export function formatHostId(id: HostId, readerSource: string): string {
  return id.source === readerSource ? id.externalId : `${id.source}~${id.externalId}`;
}
