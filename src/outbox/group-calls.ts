import type { AdapterCapabilities, PreparedMessage } from '../channels/channel.ts';

/**
 * Puts prepared messages into calls as an adapter takes them: only of equal batch keys, no address
 * twice where it tells messages apart by address, and one reference for all where it shares it. A
 * message that went before keeps the reference it went under.
 */
export function groupCalls<Message extends PreparedMessage>(
  messages: readonly Message[],
  {
    maxBatch,
    batchUniqueBy,
    sharedClientRef,
  }: Pick<AdapterCapabilities, 'maxBatch' | 'batchUniqueBy' | 'sharedClientRef'>,
  formerRef: (message: Message) => string | null,
): Message[][] {
  const open = new Map<string, { messages: Message[]; addresses: Set<string> }[]>();
  const groups: Message[][] = [];
  for (const message of messages) {
    if (message.batchKey === null || maxBatch <= 1) {
      groups.push([message]);
      continue;
    }
    const key = JSON.stringify([message.batchKey, sharedClientRef ? formerRef(message) : null]);
    const candidates = open.get(key) ?? [];
    let group = candidates.find(
      ({ addresses }) => batchUniqueBy === 'none' || !addresses.has(message.to),
    );
    if (group === undefined) {
      group = { messages: [], addresses: new Set() };
      candidates.push(group);
      groups.push(group.messages);
    }
    group.messages.push(message);
    group.addresses.add(message.to);
    const isFull = group.messages.length >= maxBatch;
    open.set(key, isFull ? candidates.filter((candidate) => candidate !== group) : candidates);
  }
  return sharedClientRef ? groups.map((group) => withOneRef(group, formerRef)) : groups;
}

function withOneRef<Message extends PreparedMessage>(
  group: Message[],
  formerRef: (message: Message) => string | null,
): Message[] {
  const [first] = group;
  if (first === undefined) return group;
  const clientRef = formerRef(first) ?? first.id;
  return group.map((message) => ({ ...message, clientRef }));
}
