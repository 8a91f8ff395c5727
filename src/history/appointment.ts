import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Warning } from '../database/tables.ts';
import { schemaFaults } from '../schema-faults.ts';
import { formatHostId, type HostId, parseHostId } from './host-id.ts';
import {
  compact,
  type EncounterContent,
  encounterFields,
  type Findings,
  hostId,
  namedOut,
  plausibleEnd,
  type ReadContext,
  type Reading,
  readEncounter,
  readTime,
  shape,
  text,
  time,
  warningsOut,
} from './shape.ts';

/** A booking, as the host tells it. */

export const appointmentStatuses = [
  'proposed',
  'pending',
  'booked',
  'arrived',
  'fulfilled',
  'cancelled',
  'noshow',
  'entered-in-error',
  'checked-in',
  'waitlist',
] as const;
export type AppointmentStatus = (typeof appointmentStatuses)[number];

export const confirmations = ['needs-action', 'accepted', 'declined', 'tentative'] as const;
export type Confirmation = (typeof confirmations)[number];

const minutesMax = 14_400;

const fields = {
  patientId: Type.Optional(
    hostId("The host's id of the patient; absent for a slot that is nobody's.", '1042'),
  ),
  status: Type.Enum([...appointmentStatuses], {
    description: 'The FHIR code.',
    examples: ['booked'],
  }),
  confirmation: Type.Optional(
    Type.Enum([...confirmations], {
      description: 'What the patient said.',
      examples: ['needs-action'],
    }),
  ),
  start: Type.Optional(time('RFC 3339, or a local date-time.', '2026-03-28T09:30:00-05:00')),
  end: Type.Optional(time('RFC 3339, or a local date-time.', '2026-03-28T10:00:00-05:00')),
  minutes: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: minutesMax,
      description: 'How long, instead of an end.',
      examples: [30],
    }),
  ),
  ...encounterFields,
  createdAt: Type.Optional(time('When the booking was made.', '2026-03-01T12:00:00Z')),
  rescheduledFrom: Type.Optional(hostId('The appointment that this one replaces.', 'a-17')),
  sourceStatus: Type.Optional(
    Type.Union([
      text(100, "The host's own status.", 'Confirmado por teléfono'),
      shape({
        code: Type.Optional(text(100, "The code of the host's own status.", '3')),
        label: Type.Optional(text(200, 'Its label.', 'Confirmado por teléfono')),
      }),
    ]),
  ),
};

const id = hostId("The host's id of the appointment.", 'a-18');

export const appointmentIn = shape({ id, ...fields });
/** The body of a PUT: the path names the id. */
export const appointmentPut = shape({ id: Type.Optional(id), ...fields });
export const appointmentOut = shape({
  id,
  ...fields,
  updatedAt: Type.String({
    description: 'When it last changed here.',
    examples: ['2026-03-01T12:00:01Z'],
  }),
  warnings: Type.Optional(warningsOut),
});
export type AppointmentIn = Static<typeof appointmentIn>;
export type AppointmentOut = Static<typeof appointmentOut>;

const validator = Compile(appointmentIn);

export interface AppointmentContent extends EncounterContent {
  status: AppointmentStatus;
  confirmation: Confirmation | null;
  start_ms: number | null;
  end_ms: number | null;
  host_created_ms: number | null;
  rescheduled_from: string | null;
  source_status: unknown;
  warnings: Warning[];
}

/** What was read, ready for the store: whose it is, and the columns. */
export interface ReadAppointment {
  key: HostId;
  patient: HostId | null;
  content: AppointmentContent;
}

export function readAppointment(value: unknown, context: ReadContext): Reading<ReadAppointment> {
  if (!validator.Check(value)) return { faults: schemaFaults(validator.Errors(value)) };
  const data: AppointmentIn = value;
  const findings: Findings = { faults: [], warnings: [] };
  const { columns, zoneName } = readEncounter(data, context, findings);
  const start_ms = readTime(data.start, zoneName, '/start', findings);
  const content: AppointmentContent = {
    status: data.status,
    confirmation: data.confirmation ?? null,
    start_ms,
    end_ms: readEnd(data, start_ms, zoneName, findings),
    ...columns,
    host_created_ms: readTime(data.createdAt, zoneName, '/createdAt', findings),
    rescheduled_from: data.rescheduledFrom ?? null,
    source_status: data.sourceStatus ?? null,
    warnings: findings.warnings,
  };
  if (findings.faults.length > 0) return { faults: findings.faults };
  return {
    content: {
      key: parseHostId(data.id, context.source),
      patient: data.patientId === undefined ? null : parseHostId(data.patientId, context.source),
      content,
    },
  };
}

function readEnd(
  data: AppointmentIn,
  startMs: number | null,
  zoneName: string,
  findings: Findings,
): number | null {
  const endMs = readTime(data.end, zoneName, '/end', findings);
  const counted =
    startMs === null || data.minutes === undefined ? null : startMs + data.minutes * 60_000;
  if (endMs === null) return counted;
  if (counted !== null && counted !== endMs) {
    findings.warnings.push({ pointer: '/minutes', code: 'duration-mismatch' });
  }
  return plausibleEnd(startMs, endMs, findings.warnings);
}

/** A row as the store reads it. */
export interface AppointmentRow extends EncounterContent {
  source: string;
  external_id: string;
  patient_source: string | null;
  patient_external_id: string | null;
  status: AppointmentStatus;
  confirmation: Confirmation | null;
  start_at: Temporal.Instant | null;
  end_at: Temporal.Instant | null;
  host_created_at: Temporal.Instant | null;
  rescheduled_from: string | null;
  source_status: unknown;
  warnings: Warning[];
  updated_at: Temporal.Instant;
}

export function toAppointmentOut(row: AppointmentRow, readerSource: string): AppointmentOut {
  return compact({
    id: formatHostId({ source: row.source, externalId: row.external_id }, readerSource),
    patientId: patientIdOut(row, readerSource),
    status: row.status,
    confirmation: row.confirmation,
    start: row.start_at?.toString(),
    end: row.end_at?.toString(),
    timeZone: row.time_zone,
    practitioner: namedOut(row.practitioner_id, row.practitioner_name),
    services: row.services.length > 0 ? row.services : undefined,
    location: namedOut(row.location_id, row.location_name),
    payer: namedOut(row.payer_id, row.payer_name),
    createdAt: row.host_created_at?.toString(),
    rescheduledFrom: row.rescheduled_from,
    sourceStatus: row.source_status as AppointmentOut['sourceStatus'],
    updatedAt: row.updated_at.toString(),
    warnings: row.warnings.length > 0 ? row.warnings : undefined,
  }) as AppointmentOut;
}

export function patientIdOut(
  row: { patient_source: string | null; patient_external_id: string | null },
  readerSource: string,
): string | undefined {
  if (row.patient_source === null || row.patient_external_id === null) return undefined;
  return formatHostId(
    { source: row.patient_source, externalId: row.patient_external_id },
    readerSource,
  );
}
