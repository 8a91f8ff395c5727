/**
 * Named places at which a test has the process killed, to show that no crash sends twice or loses
 * anything.
 */

export const faultPoints = [
  'after_recover',
  'after_expire',
  'after_pick',
  'after_locks',
  'after_judge',
  'before_begin_commit',
  'after_begin',
  'before_send',
  'after_send',
  'before_outcome_commit',
  'after_outcome',
  'before_pause_commit',
  'before_reschedule',
  'after_reschedule',
  'before_reconcile',
  'after_reconcile_answer',
  'before_reconcile_commit',
  'after_reconcile',
] as const;

/** On the way of a host's webhook. */
export const webhookFaultPoints = [
  'after_webhook_claim',
  'before_webhook_call',
  'after_webhook_answer',
  'before_webhook_commit',
  'after_webhook_commit',
  'before_webhook_reschedule',
] as const;

export type FaultPoint = (typeof faultPoints | typeof webhookFaultPoints)[number];

export type Faults = (point: FaultPoint) => void;

/** @param fault the point and how often it is passed until the process ends there; null for none. */
export function createFaults(fault: { name: string; hit: number } | null): Faults {
  if (fault === null) return () => {};
  let passed = 0;
  return (point) => {
    if (point !== fault.name) return;
    passed += 1;
    // Nothing can be cleaned up after it: that is the point.
    if (passed === fault.hit) process.kill(process.pid, 'SIGKILL');
  };
}
