import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Fault } from '../errors.ts';
import type { HostId } from '../history/host-id.ts';
import { type Findings, type ReadContext, readTime, shape, text, time } from '../history/shape.ts';
import { isPlainText, isStorable, schemaFaults, textFaults } from '../schema-faults.ts';
import { type Effect, findEventType } from './event-types.ts';

/** One thing that happened at the host, as it travels. */

export const eventIn = shape({
  id: text(500, 'Unique for this source; the same id is taken once.', 'evt-000017'),
  type: text(100, 'What happened.', 'visit.upserted'),
  occurredAt: time(
    'When the host noted it: orders the updates of one object.',
    '2026-03-28T15:00:00Z',
  ),
  version: Type.Optional(
    Type.Union([text(100, 'Orders updates of one instant.', '7'), Type.Integer({ minimum: 0 })]),
  ),
  data: Type.Object({}, { description: 'The object itself, or what the type asks for.' }),
});

const validator = Compile(eventIn);

/** An event that was read and can be applied. */
export interface ReadEvent {
  id: string;
  source: string;
  type: string;
  occurredMs: number;
  version: string | null;
  /** The data as JSON text. */
  body: string;
  effect: Effect;
}

export type EventReading = { event: ReadEvent } | { faults: Fault[] };

/** How far ahead of the clinic's clock a host may be before its time is not believed. */
const aheadMaxMs = 5 * 60_000;

export function readEvent(value: unknown, context: ReadContext): EventReading {
  if (!validator.Check(value)) return { faults: schemaFaults(validator.Errors(value)) };
  const eventType = findEventType(value.type);
  if (eventType === null) {
    return {
      faults: [
        { pointer: '/type', code: 'unknown-type', detail: 'There is no event of this type.' },
      ],
    };
  }
  const findings: Findings = { faults: [], warnings: [] };
  const toldMs = readTime(value.occurredAt, context.timeZone, '/occurredAt', findings);
  if (toldMs === null) return { faults: findings.faults };
  const isAhead = toldMs > context.nowMs + aheadMaxMs;
  const reading = eventType.read(value.data, context);
  if ('faults' in reading) return { faults: reading.faults.map(underData) };
  // Only now is it known to be shallow enough to be written.
  const body = JSON.stringify(value.data);
  if (!isPlainText(body) || !isStorable(value.id) || !isStorable(String(value.version))) {
    const faults = textFaults(value);
    if (faults.length > 0) return { faults };
  }
  if (isAhead) flagAhead(reading.content);
  return {
    event: {
      id: value.id,
      source: context.source,
      type: value.type,
      occurredMs: isAhead ? context.nowMs : toldMs,
      version: value.version === undefined ? null : String(value.version),
      body,
      effect: reading.content,
    },
  };
}

function underData(fault: Fault): Fault {
  return { ...fault, pointer: `/data${fault.pointer}` };
}

function flagAhead(effect: Effect): void {
  if (effect.kind === 'patient' || effect.kind === 'appointment' || effect.kind === 'visit') {
    effect.read.content.warnings.push({ pointer: '/occurredAt', code: 'in-future' });
  }
}

/** The patients an event names, by what the host calls them. */
export function patientsOf(effect: Effect): HostId[] {
  switch (effect.kind) {
    case 'patient':
      return [effect.read.key];
    case 'patient-deleted':
    case 'patient-erased':
      return [effect.key];
    case 'patient-merged':
      return [effect.key, effect.into];
    case 'appointment':
    case 'visit':
      return effect.read.patient === null ? [] : [effect.read.patient];
    case 'consent':
      return [effect.patient];
    case 'treatment':
    case 'payment':
      return [effect.read.patient];
    case 'kept':
      return effect.patient === null ? [] : [effect.patient];
    case 'appointment-deleted':
    case 'visit-deleted':
    case 'directory':
    case 'capacity':
      return [];
  }
}
