/** A generated clinic as time goes by: what its system would tell, and how its patients answer messages. */
import {
  answerTo,
  type GeneratorOptions,
  generateHistories,
  type History,
  instantsOf,
  type Patient,
  type Stay,
  seenAt,
} from './generator.ts';

export interface LifeEvent {
  id: string;
  type: 'patient.upserted' | 'appointment.upserted' | 'visit.upserted';
  occurredAt: string;
  data: object;
}

/** A message as its patient sees it. */
export interface Heard {
  patientId: string;
  /** Tells it from every other message. */
  key: string;
  at: Temporal.Instant;
  /** How likely it moves its reader to book. */
  willingness: number;
}

export interface Life {
  patients: ReadonlyMap<string, Patient>;
  /** All that the clinic's system knows as the life begins. */
  past(): LifeEvent[];
  /** What happened since it was last asked. */
  until(now: Temporal.Instant): LifeEvent[];
  /** The stay that a message leads to, or null; what was meant anyway is then left out. */
  hear(message: Heard): Stay | null;
}

interface Coming {
  at: number;
  patientId: string;
  stay: Stay;
}

export function createLife(options: GeneratorOptions, begin: Temporal.Instant): Life {
  const beginAt = begin.epochMilliseconds;
  const histories = new Map<string, History>();
  for (const history of generateHistories(options)) histories.set(history.patient.id, history);
  let coming = [...histories.values()]
    .filter(({ patient }) => !patient.deceased)
    .flatMap(({ patient, stays }) => stays.flatMap((stay) => comingOf(patient.id, stay)))
    .filter(({ at }) => at > beginAt)
    .sort((one, other) => one.at - other.at);

  return {
    patients: new Map([...histories].map(([id, { patient }]) => [id, patient])),
    past: () => [...histories.values()].flatMap((history) => pastOf(history, beginAt)),
    until: (now) => {
      const due = coming.filter(({ at }) => at <= now.epochMilliseconds);
      coming = coming.filter(({ at }) => at > now.epochMilliseconds);
      return due.flatMap(({ at, stay }) => eventsOf(stay, at));
    },
    hear: (message) => {
      const history = histories.get(message.patientId);
      const at = message.at.epochMilliseconds;
      if (history === undefined || isBooked(coming, message.patientId, at)) return null;
      const stay = answerTo(options, history, { ...message, at });
      if (stay === null) return null;
      coming = coming
        .filter(({ patientId }) => patientId !== message.patientId)
        .concat(comingOf(message.patientId, stay))
        .sort((one, other) => one.at - other.at);
      return stay;
    },
  };
}

function comingOf(patientId: string, stay: Stay): Coming[] {
  return instantsOf(stay).map((at) => ({ at, patientId, stay }));
}

/** Whoever has a booking needs no other. */
function isBooked(coming: readonly Coming[], patientId: string, at: number): boolean {
  return coming.some((one) => one.patientId === patientId && one.stay.bookedAt <= at);
}

function pastOf({ patient, stays }: History, beginAt: number): LifeEvent[] {
  const known: LifeEvent = {
    id: `patient-${patient.id}`,
    type: 'patient.upserted',
    occurredAt: textOf(beginAt),
    data: patient,
  };
  const told = stays.flatMap((stay) => {
    const last = instantsOf(stay).findLast((at) => at <= beginAt);
    return last === undefined ? [] : eventsOf(stay, last);
  });
  return [known, ...told];
}

function eventsOf(stay: Stay, at: number): LifeEvent[] {
  const { appointment, visit } = seenAt(stay, at) ?? {};
  const occurredAt = textOf(at);
  const events: LifeEvent[] = [];
  if (appointment !== undefined)
    events.push({
      id: `${appointment.id}-${appointment.status}`,
      type: 'appointment.upserted',
      occurredAt,
      data: appointment,
    });
  if (visit !== undefined)
    events.push({ id: visit.id, type: 'visit.upserted', occurredAt, data: visit });
  return events;
}

function textOf(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}
