import type { MessageState } from '../database/tables.ts';

/**
 * What must still be true of the patient when a message leaves. Rules write it with each message; the
 * transaction that commits the intent to send evaluates it against history.
 */

export const stopReasons = [
  'booked',
  'visited',
  'replied',
  'opted-out',
  'confirmed',
  'clicked',
  'paid',
  'task-outcome',
] as const;
export type StopReason = (typeof stopReasons)[number];

/** Of what comes of a staff call: the patient was spoken to. After anything else the ladder goes on. */
export const answeringOutcomes = ['reached', 'refused', 'booked'] as const;

export type VisitScope = 'any' | 'same-practitioner' | 'same-service';

export interface VisitAnchor {
  kind: 'visit';
  source: string;
  /** The visit's id, or the appointment's where the appointment is the attendance. */
  id: string;
  at: string;
  scope: VisitScope;
  practitionerId?: string;
  serviceIds?: string[];
}

export interface AppointmentAnchor {
  kind: 'appointment';
  source: string;
  id: string;
  /** The start's revision for which the message was made. */
  revision: number;
  /** What the appointment must still be; a reminder needs one that is still to come, the default. */
  status?: 'upcoming' | 'noshow' | 'cancelled';
}

export interface TreatmentAnchor {
  kind: 'treatment';
  source: string;
  id: string;
  /** The step that must still be the next one. */
  step: string;
}

export interface Guard {
  /** The instant the journey fell due: a booking made, or a visit, since then answers it. */
  since?: string;
  unlessBooked?: boolean;
  stopOn?: StopReason[];
  anchor?: VisitAnchor | AppointmentAnchor | TreatmentAnchor;
  /** Nothing of its journey left before, whichever step it is. */
  opens?: boolean;
  /** It begins an invitation: only while no other invitation of the patient has steps to come. */
  invitation?: boolean;
  /** False lets a message go to a patient who is no longer active. */
  requireActive?: boolean;
  /** False ignores the clinic's send window; the hours of a law hold all the same. */
  sendWindow?: boolean;
  /** The day of the calendar that it greets: it goes on that day, be it a holiday. */
  greetedDay?: string;
}

export const heldReasons = [
  'inactive',
  'no-contact-point',
  'no-template',
  'template-data',
  'no-consent',
  'future-appointment',
  'frequency-cap',
  'lower-priority',
  'send-window',
  'daily-limit',
  'budget',
  'capacity',
  'policy',
  'rule-paused',
  'channel-paused',
  'stale-source',
  'anomaly',
] as const;
export type HeldReason = (typeof heldReasons)[number];

/** What becomes of a message whose guard was asked. */
export type Verdict =
  | { state: 'go' }
  /** Looked at again at `until`, or earlier when what holds it changes. */
  | { state: 'held'; reason: HeldReason; until: Temporal.Instant }
  | { state: Extract<MessageState, 'suppressed' | 'cancelled' | 'expired'>; reason: string };
