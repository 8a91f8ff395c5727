import type { MessageState } from '../database/tables.ts';

/** The life of a message, as docs/message-states.md tells it. */

export const messageStates = [
  'scheduled',
  'held',
  'claimed',
  'sending',
  'sent',
  'delivered',
  'read',
  'unknown',
  'retry',
  'failed',
  'expired',
  'cancelled',
  'suppressed',
] as const satisfies readonly MessageState[];

/**
 * From each state to those it may become. There is no way from `sending` to one that is sent again
 * without the provider's word: a lost lease leads to `unknown`. A message is claimed and begun in one
 * transaction (docs/adr/0010), so `claimed` is seen only where another version of the code stored it. That a provider has a message after
 * all, its receipt proves in whatever state the message waits.
 */
export const transitions: Readonly<Record<MessageState, readonly MessageState[]>> = Object.freeze({
  scheduled: [
    'claimed',
    'held',
    'sending',
    'expired',
    'cancelled',
    'suppressed',
    'sent',
    'delivered',
    'read',
  ],
  held: [
    'scheduled',
    'claimed',
    'sending',
    'expired',
    'cancelled',
    'suppressed',
    'sent',
    'delivered',
    'read',
  ],
  claimed: [
    'scheduled',
    'held',
    'sending',
    'expired',
    'cancelled',
    'suppressed',
    'sent',
    'delivered',
    'read',
  ],
  sending: ['sent', 'delivered', 'read', 'retry', 'held', 'failed', 'unknown'],
  sent: ['delivered', 'read', 'failed'],
  delivered: ['read'],
  read: [],
  unknown: ['sent', 'delivered', 'read', 'retry', 'held', 'failed'],
  retry: [
    'claimed',
    'scheduled',
    'held',
    'sending',
    'expired',
    'cancelled',
    'suppressed',
    'sent',
    'delivered',
    'read',
  ],
  failed: ['delivered', 'read'],
  expired: [],
  cancelled: [],
  suppressed: [],
});

/** Nothing is sent for a message in one of these. `sent` and `unknown` join them once they are settled. */
export const finalStates = Object.freeze([
  'delivered',
  'read',
  'failed',
  'expired',
  'cancelled',
  'suppressed',
] as const satisfies readonly MessageState[]);

/** Not yet at a provider: a message in one of these can be taken back. */
export const withdrawableStates = Object.freeze([
  'scheduled',
  'held',
  'claimed',
  'retry',
] as const satisfies readonly MessageState[]);

/** Perhaps at a provider already: taking it back can only be asked for. */
export const inFlightStates = Object.freeze([
  'sending',
  'unknown',
] as const satisfies readonly MessageState[]);

export function mayBecome(from: MessageState, to: MessageState): boolean {
  return transitions[from].includes(to);
}
