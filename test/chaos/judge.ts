/** Compares what we say of messages with what the providers took. It knows nothing of how they were sent. */

/** One of each kind: it can be asked; it only calls back; it deduplicates by our reference; it tells nothing. */
export const providerNames = ['smsc', 'sendgrid', 'webhook', 'smtp'] as const;
export type ProviderName = (typeof providerNames)[number];

/** A message as its sender sees it. */
export interface Told {
  id: string;
  provider: ProviderName;
  address: string;
  clientRef: string | null;
  state: string;
  reason: string | null;
  isSettled: boolean;
  /** It may not be sent, whatever happens: its patient is dead. */
  isBarred: boolean;
  /** Its rule would rather send it again than leave it unknown. */
  mayRepeat: boolean;
}

/** What a provider counted. */
export interface Taken {
  provider: ProviderName;
  address: string;
  clientRef: string;
}

export interface Verdict {
  /** That may be sent. */
  messages: number;
  barred: number;
  taken: number;
  /** Ids of what a provider took more than once. */
  twice: string[];
  /** Of them those of rules that would rather send again. */
  repeated: number;
  /** Said to be sent, but never taken. */
  falselySent: string[];
  /** Said not to have been sent, but taken. */
  falselyUnsent: string[];
  /** Neither sent nor given up with a word about it. */
  stuck: string[];
  /** Ended without being sent, though nothing spoke against it. */
  dropped: string[];
  /** Taken under an address or a reference that we do not know. */
  strangers: number;
  /** Closed as unknown, with a reason, for everybody to see. */
  unknown: string[];
  /** Of them those that were taken. */
  unknownTaken: number;
}

const sentStates = ['sent', 'delivered', 'read'];
const givenUpStates = ['failed', 'expired', 'cancelled', 'suppressed'];
const openStates = ['scheduled', 'held', 'claimed', 'sending', 'retry'];

export function judge(told: readonly Told[], taken: readonly Taken[]): Verdict {
  const counts = new Map<string, number>();
  for (const one of taken) counts.set(keyOf(one), (counts.get(keyOf(one)) ?? 0) + 1);
  const byKey = new Map(told.map((message) => [keyOf(message), message]));
  const count = (message: Told) => counts.get(keyOf(message)) ?? 0;
  const idsWhere = (isIt: (message: Told) => boolean) => told.filter(isIt).map(({ id }) => id);
  const isSent = ({ state }: Told) => sentStates.includes(state);
  const isUnknown = ({ state, reason, isSettled }: Told) =>
    state === 'unknown' && isSettled && reason !== null;
  return {
    messages: told.filter(({ isBarred }) => !isBarred).length,
    barred: told.filter(({ isBarred }) => isBarred).length,
    taken: taken.length,
    twice: idsWhere((message) => count(message) > 1),
    repeated: told.filter((message) => message.mayRepeat && count(message) > 1).length,
    falselySent: idsWhere((message) => isSent(message) && count(message) === 0),
    falselyUnsent: idsWhere(
      (message) => !isSent(message) && !isUnknown(message) && count(message) > 0,
    ),
    stuck: idsWhere(
      (message) =>
        openStates.includes(message.state) || (message.state === 'unknown' && !isUnknown(message)),
    ),
    dropped: idsWhere(({ state, isBarred }) => givenUpStates.includes(state) && !isBarred),
    strangers: taken.filter((one) => isStranger(one, byKey.get(keyOf(one)))).length,
    unknown: idsWhere(isUnknown),
    unknownTaken: told.filter((message) => isUnknown(message) && count(message) > 0).length,
  };
}

/** One message goes to each address. */
function keyOf({ provider, address }: Taken | Told): string {
  return `${provider} ${address.toLowerCase()}`;
}

function isStranger(taken: Taken, message: Told | undefined): boolean {
  return (
    message === undefined || (message.clientRef !== null && message.clientRef !== taken.clientRef)
  );
}
