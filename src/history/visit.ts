import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Warning } from '../database/tables.ts';
import { currencyPlaces, formatMinor } from '../money.ts';
import { schemaFaults } from '../schema-faults.ts';
import { patientIdOut } from './appointment.ts';
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

/** A visit, as the host tells it. */

export const visitStatuses = [
  'planned',
  'in-progress',
  'finished',
  'cancelled',
  'entered-in-error',
] as const;
export type VisitStatus = (typeof visitStatuses)[number];

const factsMax = 100;

/** A decimal without a sign, as an amount of money is written. */
export const amountPattern = '^\\d{1,12}(?:\\.\\d{1,6})?$';

const fields = {
  patientId: Type.Optional(
    hostId("The host's id of the patient; absent for a visit that is nobody's.", '1042'),
  ),
  appointmentId: Type.Optional(hostId('The appointment that this visit fulfils.', 'a-18')),
  status: Type.Enum([...visitStatuses], { description: 'How far it got.', examples: ['finished'] }),
  start: Type.Optional(time('RFC 3339, or a local date-time.', '2026-03-28T09:30:00-05:00')),
  end: Type.Optional(time('RFC 3339, or a local date-time.', '2026-03-28T10:00:00-05:00')),
  ...encounterFields,
  amount: Type.Optional(
    Type.String({
      pattern: amountPattern,
      maxLength: 20,
      description: 'What was charged.',
      examples: ['2500.00'],
    }),
  ),
  currency: Type.Optional(
    Type.String({
      pattern: '^[A-Z]{3}$',
      description: "ISO 4217; the clinic's if absent.",
      examples: ['COP'],
    }),
  ),
  facts: Type.Optional(
    Type.Array(text(100, 'One thing that rules may ask for.', 'prescription'), {
      maxItems: factsMax,
      description:
        'What happened that rules may ask for: pain, prescription, examination and others.',
    }),
  ),
};

const id = hostId("The host's id of the visit.", 'v-901');

export const visitIn = shape({ id, ...fields });
/** The body of a PUT: the path names the id. */
export const visitPut = shape({ id: Type.Optional(id), ...fields });
export const visitOut = shape({
  id,
  ...fields,
  updatedAt: Type.String({
    description: 'When it last changed here.',
    examples: ['2026-03-28T15:00:01Z'],
  }),
  warnings: Type.Optional(warningsOut),
});
export type VisitIn = Static<typeof visitIn>;
export type VisitOut = Static<typeof visitOut>;

const validator = Compile(visitIn);

export interface VisitContent extends EncounterContent {
  appointment_id: string | null;
  status: VisitStatus;
  start_ms: number | null;
  end_ms: number | null;
  amount_minor: number | null;
  currency: string | null;
  facts: string[];
  warnings: Warning[];
}

/** What was read, ready for the store: whose it is, and the columns. */
export interface ReadVisit {
  key: HostId;
  patient: HostId | null;
  content: VisitContent;
}

export function readVisit(value: unknown, context: ReadContext): Reading<ReadVisit> {
  if (!validator.Check(value)) return { faults: schemaFaults(validator.Errors(value)) };
  const data: VisitIn = value;
  const findings: Findings = { faults: [], warnings: [] };
  const key = parseHostId(data.id, context.source);
  const { columns, zoneName } = readEncounter(data, context, findings);
  const start_ms = readTime(data.start, zoneName, '/start', findings);
  const end_ms = readTime(data.end, zoneName, '/end', findings);
  const money = readAmount(data, context, findings);
  const content: VisitContent = {
    appointment_id: readAppointmentId(data.appointmentId, key, context, findings),
    status: data.status,
    start_ms,
    end_ms: plausibleEnd(start_ms, end_ms, findings.warnings),
    ...columns,
    amount_minor: money.amount_minor,
    currency: money.currency,
    facts: data.facts ?? noFacts,
    warnings: findings.warnings,
  };
  if (findings.faults.length > 0) return { faults: findings.faults };
  if (content.status === 'finished' && start_ms === null && end_ms === null) {
    content.warnings.push({ pointer: '/start', code: 'no-time' });
  }
  const patient = data.patientId === undefined ? null : parseHostId(data.patientId, context.source);
  return { content: { key, patient, content } };
}

const noFacts: string[] = [];

/** A visit fulfils an appointment of its own source. */
function readAppointmentId(
  value: string | undefined,
  key: HostId,
  context: ReadContext,
  findings: Findings,
): string | null {
  if (value === undefined) return null;
  const appointment = parseHostId(value, context.source);
  if (appointment.source === key.source) return appointment.externalId;
  findings.faults.push({
    pointer: '/appointmentId',
    code: 'other-source',
    detail: 'A visit and the appointment that it fulfils have the same source.',
  });
  return null;
}

/** The `amount` of a visit or payment in minor units; a fault where it has too many places. */
export function readAmount(
  data: { amount?: string | undefined; currency?: string | undefined },
  context: ReadContext,
  findings: Findings,
): { amount_minor: number | null; currency: string | null } {
  if (data.amount === undefined) return { amount_minor: null, currency: null };
  const currency = data.currency ?? context.currency;
  const amount_minor = parseAmount(data.amount, currency);
  if (amount_minor === null) {
    findings.faults.push({
      pointer: '/amount',
      code: 'too-many-places',
      detail: 'The currency has fewer decimal places than that.',
    });
  }
  return { amount_minor, currency };
}

/** Minor units of a decimal of the form above; null if it has more places than its currency. */
export function parseAmount(amount: string, currency: string): number | null {
  const [whole = '', fraction = ''] = amount.split('.');
  const places = currencyPlaces(currency);
  if (/[^0]/.test(fraction.slice(places))) return null;
  const minor = Number(whole + fraction.slice(0, places).padEnd(places, '0'));
  return Number.isSafeInteger(minor) ? minor : null;
}

/** A row as the store reads it. */
export interface VisitRow extends EncounterContent {
  source: string;
  external_id: string;
  patient_source: string | null;
  patient_external_id: string | null;
  appointment_id: string | null;
  status: VisitStatus;
  started_at: Temporal.Instant | null;
  ended_at: Temporal.Instant | null;
  amount_minor: number | null;
  currency: string | null;
  facts: string[];
  warnings: Warning[];
  updated_at: Temporal.Instant;
}

export function toVisitOut(row: VisitRow, readerSource: string): VisitOut {
  const money = row.amount_minor !== null && row.currency !== null;
  return compact({
    id: formatHostId({ source: row.source, externalId: row.external_id }, readerSource),
    patientId: patientIdOut(row, readerSource),
    appointmentId:
      row.appointment_id === null
        ? undefined
        : formatHostId({ source: row.source, externalId: row.appointment_id }, readerSource),
    status: row.status,
    start: row.started_at?.toString(),
    end: row.ended_at?.toString(),
    timeZone: row.time_zone,
    practitioner: namedOut(row.practitioner_id, row.practitioner_name),
    services: row.services.length > 0 ? row.services : undefined,
    location: namedOut(row.location_id, row.location_name),
    payer: namedOut(row.payer_id, row.payer_name),
    amount: money ? formatMinor(row.amount_minor as number, row.currency as string) : undefined,
    currency: row.currency,
    facts: row.facts.length > 0 ? row.facts : undefined,
    updatedAt: row.updated_at.toString(),
    warnings: row.warnings.length > 0 ? row.warnings : undefined,
  }) as VisitOut;
}
