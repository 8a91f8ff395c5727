import { type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { ConsentChannel, ConsentState, Purpose } from '../database/tables.ts';
import type { Fault } from '../errors.ts';
import { type ReadAppointment, readAppointment } from '../history/appointment.ts';
import { type HostId, parseHostId } from '../history/host-id.ts';
import {
  consentChannels,
  consentStates,
  purposes,
  type ReadPatient,
  readPatient,
} from '../history/patient.ts';
import {
  type Findings,
  hostId,
  type ReadContext,
  type Reading,
  readTime,
  shape,
  text,
  time,
} from '../history/shape.ts';
import { amountPattern, type ReadVisit, readAmount, readVisit } from '../history/visit.ts';
import { isDay } from '../local-time.ts';
import { schemaFaults } from '../schema-faults.ts';
import type { ReadDirectoryEntry } from './directory-entry.ts';
import { paymentKinds, type ReadPayment } from './payment.ts';
import type { ReadTreatment, TreatmentStep } from './treatment.ts';

/** Every event type and what it does. To add one, add a row. */

export type Effect =
  | { kind: 'patient'; read: ReadPatient }
  | { kind: 'patient-deleted'; key: HostId }
  | { kind: 'patient-erased'; key: HostId }
  | { kind: 'patient-merged'; key: HostId; into: HostId }
  | { kind: 'appointment'; read: ReadAppointment }
  | { kind: 'appointment-deleted'; key: HostId }
  | { kind: 'visit'; read: ReadVisit }
  | { kind: 'visit-deleted'; key: HostId }
  | { kind: 'consent'; patient: HostId; statement: ToldConsent }
  | { kind: 'directory'; read: ReadDirectoryEntry }
  | { kind: 'treatment'; read: ReadTreatment }
  | { kind: 'payment'; read: ReadPayment }
  | { kind: 'capacity'; read: FreeSlots }
  /** Kept whole, for those who read events; one about an appointment is about its patient. */
  | {
      kind: 'kept';
      patient: HostId | null;
      appointment: HostId | null;
      contact?: OutsideContact | null;
      /** A call that is asked for. */
      callback?: { phone: string | null; note: string };
    };

/** Empty where it is for any service or practitioner. */
export interface FreeSlots {
  day: string;
  service: string;
  practitioner: string;
  free: number;
}

/** Somebody of the clinic spoke to the patient, by a way that is not ours. */
export interface OutsideContact {
  channel: ConsentChannel;
  purpose: Purpose;
  atMs: number;
}

export interface ToldConsent {
  purpose: Purpose;
  channel: ConsentChannel;
  state: ConsentState;
  evidence?: string;
}

export interface EventType {
  /** The schema of `data`. */
  data: TSchema;
  read(data: unknown, context: ReadContext): Reading<Effect>;
}

const patientId = hostId("The host's id of the patient.", '1042');
const ownId = hostId("The host's id of the object.", '1042');
const day = Type.String({
  pattern: '^\\d{4}-\\d{2}-\\d{2}$',
  description: 'A local day.',
  examples: ['2026-03-28'],
});
const currency = Type.String({
  pattern: '^[A-Z]{3}$',
  description: 'ISO 4217.',
  examples: ['COP'],
});
const note = (description: string) =>
  Type.String({ maxLength: 4000, description, examples: ['Call after six'] });

const stepsMax = 200;
const freeDepthMax = 20;
const freeNodesMax = 5_000;

const mergedData = shape({ id: ownId, into: hostId('The id that stays.', '1041') });
const consentData = shape({
  patientId,
  purpose: Type.Enum([...purposes], { description: 'For what.', examples: ['care'] }),
  channel: Type.Enum([...consentChannels], { description: 'By which channel.', examples: ['sms'] }),
  state: Type.Enum([...consentStates], { description: 'What was said.', examples: ['granted'] }),
  evidence: Type.Optional(
    text(2000, 'What proves it; with it a grant lifts earlier opt-outs.', 'Form 12, signed'),
  ),
});

const treatmentData = shape({
  id: ownId,
  patientId,
  steps: Type.Array(
    shape({
      id: ownId,
      service: text(200, 'What is to be done.', 'implant-crown'),
      dueOn: Type.Optional(day),
      doneOn: Type.Optional(day),
    }),
    { maxItems: stepsMax, description: 'The plan, whole each time.' },
  ),
});

const paymentData = shape({
  id: ownId,
  patientId,
  visitId: Type.Optional(hostId('The visit that was paid for.', 'v-901')),
  amount: Type.String({
    pattern: amountPattern,
    maxLength: 20,
    description: 'How much.',
    examples: ['2500.00'],
  }),
  currency: Type.Optional(currency),
  kind: Type.Optional(
    Type.Enum([...paymentKinds], {
      description: 'What it was; a payment unless told.',
      examples: ['payment'],
    }),
  ),
  paidAt: Type.Optional(time('When.', '2026-03-28T15:10:00Z')),
});

const capacityData = shape({
  service: Type.Optional(text(200, "The service's id; any where it is absent.", 'hygiene')),
  practitioner: Type.Optional(text(200, "The practitioner's id; any where it is absent.", 'dr-7')),
  day,
  free: Type.Integer({
    minimum: 0,
    maximum: 100_000,
    description: 'How many slots are free.',
    examples: [4],
  }),
});

const kept = {
  'appointment.delayed': shape({
    id: ownId,
    minutes: Type.Integer({
      minimum: 1,
      maximum: 1440,
      description: 'By how long.',
      examples: [20],
    }),
    reason: Type.Optional(text(500, 'Why.', 'An emergency')),
  }),
  'contact.recorded': shape({
    patientId,
    channel: Type.Enum([...consentChannels], { description: 'How.', examples: ['call'] }),
    purpose: Type.Enum([...purposes], { description: 'For what.', examples: ['care'] }),
    at: time('When.', '2026-03-28T15:10:00Z'),
  }),
  'referral.recorded': shape({ patientId, referredId: hostId('Whom the patient sent.', '1050') }),
  'review.received': shape({
    patientId,
    visitId: Type.Optional(hostId('The visit it is about.', 'v-901')),
    score: Type.Optional(
      Type.Number({ minimum: 0, maximum: 100, description: 'The mark.', examples: [5] }),
    ),
    text: Type.Optional(note('What was written.')),
  }),
  'callback.requested': shape(
    {
      patientId: Type.Optional(patientId),
      phone: Type.Optional(text(60, 'Where to call.', '+573001234567')),
      note: Type.Optional(note('What about.')),
    },
    { anyOf: [{ required: ['patientId'] }, { required: ['phone'] }] },
  ),
} as const;

const eventTypes: ReadonlyMap<string, EventType> = new Map<string, EventType>([
  ['patient.upserted', objectType('patient', readPatient)],
  ['patient.deleted', keyType('patient-deleted')],
  ['patient.erased', keyType('patient-erased')],
  [
    'patient.merged',
    checkedType(mergedData, (data, { source }) => ({
      kind: 'patient-merged',
      key: parseHostId(data.id, source),
      into: parseHostId(data.into, source),
    })),
  ],
  ['appointment.upserted', objectType('appointment', readAppointment)],
  ['appointment.deleted', keyType('appointment-deleted')],
  ['visit.upserted', objectType('visit', readVisit)],
  ['visit.deleted', keyType('visit-deleted')],
  [
    'consent.changed',
    checkedType(consentData, ({ patientId: id, ...statement }, { source }) => ({
      kind: 'consent',
      patient: parseHostId(id, source),
      statement,
    })),
  ],
  ['treatment.upserted', { data: treatmentData, read: readTreatment }],
  ['capacity.updated', { data: capacityData, read: readCapacity }],
  ['payment.recorded', { data: paymentData, read: readPayment }],
  ...Object.entries(kept).map(([name, data]): [string, EventType] => [
    name,
    keptType(data, name.startsWith('appointment.')),
  ]),
]);

/** The host's own events: any data, but a patient may be named. */
const ownType: EventType = {
  data: Type.Object({ patientId: Type.Optional(patientId) }),
  read: readOwn,
};

const ownTypeForm = /^x-[a-z0-9][a-z0-9._-]{0,62}$/;

export function findEventType(name: string): EventType | null {
  return eventTypes.get(name) ?? (ownTypeForm.test(name) ? ownType : null);
}

export function eventTypeNames(): string[] {
  return [...eventTypes.keys()];
}

function objectType<Kind extends 'patient' | 'appointment' | 'visit'>(
  kind: Kind,
  read: (data: unknown, context: ReadContext) => Reading<Extract<Effect, { kind: Kind }>['read']>,
): EventType {
  return {
    data: Type.Object({}),
    read: (data, context) => {
      const reading = read(data, context);
      return 'faults' in reading ? reading : { content: { kind, read: reading.content } as Effect };
    },
  };
}

function keyType(
  kind: 'patient-deleted' | 'patient-erased' | 'appointment-deleted' | 'visit-deleted',
): EventType {
  return checkedType(shape({ id: ownId }), (data, { source }) => ({
    kind,
    key: parseHostId(data.id, source),
  }));
}

function checkedType<Schema extends TSchema>(
  data: Schema,
  toEffect: (data: Type.Static<Schema>, context: ReadContext) => Effect,
): EventType {
  const validator = Compile(data);
  return {
    data,
    read: (value, context) =>
      validator.Check(value)
        ? { content: toEffect(value as Type.Static<Schema>, context) }
        : { faults: schemaFaults(validator.Errors(value)) },
  };
}

const treatmentValidator = Compile(treatmentData);

function readTreatment(value: unknown, { source }: ReadContext): Reading<Effect> {
  if (!treatmentValidator.Check(value)) {
    return { faults: schemaFaults(treatmentValidator.Errors(value)) };
  }
  const { id, patientId: patient, steps } = value as Type.Static<typeof treatmentData>;
  const faults = steps.flatMap((step, index) => stepFaults(steps, step, `/steps/${index}`));
  if (faults.length > 0) return { faults };
  const read = { key: parseHostId(id, source), patient: parseHostId(patient, source), steps };
  return { content: { kind: 'treatment', read } };
}

/** Each step is told of once, under its own id. */
function stepFaults(
  steps: readonly TreatmentStep[],
  step: TreatmentStep,
  pointer: string,
): Fault[] {
  const days = (['dueOn', 'doneOn'] as const).filter((name) => {
    const told = step[name];
    return told !== undefined && !isDay(told);
  });
  const faults = days.map((name) => ({
    pointer: `${pointer}/${name}`,
    code: 'not-a-day',
    detail: 'The calendar has no such day.',
  }));
  if (steps.find(({ id }) => id === step.id) === step) return faults;
  const detail = 'Another step of the plan has this id.';
  return [...faults, { pointer: `${pointer}/id`, code: 'duplicate', detail }];
}

const capacityValidator = Compile(capacityData);

function readCapacity(value: unknown): Reading<Effect> {
  if (!capacityValidator.Check(value)) {
    return { faults: schemaFaults(capacityValidator.Errors(value)) };
  }
  const data = value as Type.Static<typeof capacityData>;
  if (!isDay(data.day)) {
    const detail = 'The calendar has no such day.';
    return { faults: [{ pointer: '/day', code: 'not-a-day', detail }] };
  }
  const { service = '', practitioner = '', free } = data;
  return { content: { kind: 'capacity', read: { day: data.day, service, practitioner, free } } };
}

const paymentValidator = Compile(paymentData);

function readPayment(value: unknown, context: ReadContext): Reading<Effect> {
  if (!paymentValidator.Check(value)) {
    return { faults: schemaFaults(paymentValidator.Errors(value)) };
  }
  const data = value as Type.Static<typeof paymentData>;
  const findings: Findings = { faults: [], warnings: [] };
  const paidMs = readTime(data.paidAt, context.timeZone, '/paidAt', findings);
  const { amount_minor: amountMinor, currency } = readAmount(data, context, findings);
  if (findings.faults.length > 0 || amountMinor === null || currency === null) {
    return { faults: findings.faults };
  }
  const { source } = context;
  const read = {
    key: parseHostId(data.id, source),
    patient: parseHostId(data.patientId, source),
    visitId: data.visitId === undefined ? null : parseHostId(data.visitId, source).externalId,
    kind: data.kind ?? 'payment',
    amountMinor,
    currency,
    paidMs,
  };
  return { content: { kind: 'payment', read } };
}

function keptType(data: TSchema, isOfAppointment: boolean): EventType {
  const validator = Compile(data);
  return {
    data,
    read: (value, context) => {
      if (!validator.Check(value)) return { faults: schemaFaults(validator.Errors(value)) };
      const told = value as { id?: string; patientId?: string; at?: string };
      const findings: Findings = { faults: [], warnings: [] };
      const atMs = readTime(told.at, context.timeZone, '/at', findings);
      if (findings.faults.length > 0) return { faults: findings.faults };
      const patient = hostIdOf(told.patientId, context);
      const appointment = isOfAppointment ? hostIdOf(told.id, context) : null;
      const contact =
        data === kept['contact.recorded'] && atMs !== null
          ? { ...(value as Type.Static<(typeof kept)['contact.recorded']>), atMs }
          : null;
      return {
        content: {
          ...{ kind: 'kept' as const, patient, appointment, contact },
          ...(data === kept['callback.requested'] && { callback: callbackOf(value) }),
        },
      };
    },
  };
}

function callbackOf(value: unknown): { phone: string | null; note: string } {
  const { phone = null, note = '' } = value as { phone?: string; note?: string };
  return { phone, note };
}

function hostIdOf(id: string | undefined, context: ReadContext): HostId | null {
  return id === undefined ? null : parseHostId(id, context.source);
}

const ownValidator = Compile(ownType.data);

function readOwn(value: unknown, context: ReadContext): Reading<Effect> {
  if (!ownValidator.Check(value)) return { faults: schemaFaults(ownValidator.Errors(value)) };
  if (isTooComplex(value)) {
    const detail = `An item may hold ${freeNodesMax} values, ${freeDepthMax} levels deep.`;
    return { faults: [{ pointer: '', code: 'too-complex', detail }] };
  }
  return {
    content: {
      kind: 'kept',
      patient: hostIdOf((value as { patientId?: string }).patientId, context),
      appointment: null,
    },
  };
}

/** Whether a free-form value holds more, or lies deeper, than one item may. */
export function isTooComplex(value: unknown): boolean {
  let nodes = 0;
  const visit = (inner: unknown, depth: number): boolean => {
    nodes += 1;
    if (nodes > freeNodesMax || depth > freeDepthMax) return true;
    if (typeof inner !== 'object' || inner === null) return false;
    return Object.values(inner).some((next) => visit(next, depth + 1));
  };
  return visit(value, 0);
}
