/**
 * What the host is told by signed webhooks, and which of it a webhook asks for. Of messages, tasks and
 * channels the database tells by itself whenever a row changes its state (docs/adr/0018); of the rest whoever
 * makes it happen tells, by `tellHost`.
 */

/** Every type; a new one is a line here, which also makes its group. */
export const hostEventTypes = [
  'appointment.confirmed',
  'appointment.cancel-requested',
  'message.sent',
  'message.delivered',
  'message.read',
  'message.failed',
  'message.unknown',
  'message.suppressed',
  'message.expired',
  'message.cancelled',
  'patient.opted-out',
  'thread.message',
  'task.created',
  'task.done',
  'callback.requested',
  'feedback.received',
  'channel.paused',
  'channel.resumed',
] as const;

export type HostEventType = (typeof hostEventTypes)[number];

/** All that a webhook may ask for: a type, a group such as `message.*`, or `*` for everything. */
export const hostEventPatterns: readonly string[] = Object.freeze([
  '*',
  ...new Set(hostEventTypes.map((type) => `${type.slice(0, type.indexOf('.'))}.*`)),
  ...hostEventTypes,
]);
