import { sql } from 'kysely';
import { othersTurn } from './judge-message.ts';

/** What a message waits for that may be over by the next look at it. */
const passing = [
  'send-window',
  'lower-priority',
  'frequency-cap',
  'daily-limit',
  'budget',
  'capacity',
];

/** What is waited for while others are asked first. */
const turns = ['daily-limit', 'budget', 'capacity'];

/**
 * Of a message `m`: whether it wants its place now. Who waits for another's turn keeps their own; what something of its
 * own keeps back, such as a consent that is missing, takes nobody's place.
 * @param going journeys that would go now.
 */
export function wantsPlace(now: Temporal.Instant, going: ReadonlySet<string>) {
  return sql<boolean>`(m.expires_at > ${now} and m.next_at <= ${now.add(othersTurn)}
    and (m.next_at <= ${now} or (m.state = 'held' and m.reason = any(${turns}::text[])))
    and (m.state <> 'held' or m.reason = any(${passing}::text[]) or m.journey_id = any(${[...going]}::uuid[])))`;
}
