import type { JourneyMessage, NewMessage } from '../outbox/message-store.ts';
import { isWaiting } from './advance-journey.ts';

/** What waits of a step, held against what the rule wants of it by now. Pure. */

export interface Difference {
  kept: { message: JourneyMessage; wanted: NewMessage }[];
  /** They wait, and nobody wants them any more. */
  surplus: JourneyMessage[];
  missing: NewMessage[];
  /** What was replaced once and stands where the missing ones go. */
  inTheWay: JourneyMessage[];
}

export function compareMessages(
  messages: readonly JourneyMessage[],
  wanted: readonly NewMessage[],
): Difference {
  const waiting = messages.filter(isWaiting);
  const missing = wanted.filter(
    (each) => !messages.some((message) => isSamePlace(message, each) && !isReplaced(message)),
  );
  return {
    kept: waiting.flatMap((message) => {
      const own = wanted.find((each) => isSamePlace(message, each));
      return own === undefined ? [] : [{ message, wanted: own }];
    }),
    surplus: waiting.filter((message) => !wanted.some((each) => isSamePlace(message, each))),
    missing,
    inTheWay: messages.filter(
      (message) => isReplaced(message) && missing.some((each) => isSamePlace(message, each)),
    ),
  };
}

const replaced = 'channel-changed';

/** How a message ends whose place another took. */
export const replacedEnd = Object.freeze({ state: 'cancelled', reason: replaced } as const);

/** What the outbox, or the host, has ended for a reason of its own is none. */
export function isReplaced({ state, reason }: Pick<JourneyMessage, 'state' | 'reason'>): boolean {
  return state === replacedEnd.state && reason === replaced;
}

export function isSamePlace(
  message: Pick<JourneyMessage, 'channel' | 'step'>,
  wanted: Pick<NewMessage, 'channel' | 'step'>,
): boolean {
  return message.channel === wanted.channel && message.step === wanted.step;
}
