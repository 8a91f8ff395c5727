import { sql } from 'kysely';
import { channelNames } from '../channels/channel.ts';
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
 * `m`: the messages that want a place now, as far as the index of those that wait has them. Who waits for another's turn
 * keeps their own; what something of its own keeps back, such as a consent that is missing, takes nobody's place.
 * @param going journeys that would go now.
 */
export function wantingPlace(
  clinicId: string,
  { now, going }: { now: Temporal.Instant; going: ReadonlySet<string> },
) {
  return sql`unnest(${[...channelNames]}::text[]) as c (channel)
    join messages m on m.clinic_id = ${clinicId} and m.channel = c.channel
      and m.state in ('scheduled', 'held', 'retry') and m.expires_at > ${now} and m.next_at <= ${now.add(othersTurn)}
      and (m.next_at <= ${now} or (m.state = 'held' and m.reason = any(${turns}::text[])))
      and (m.state <> 'held' or m.reason = any(${passing}::text[]) or m.journey_id = any(${[...going]}::uuid[]))`;
}
