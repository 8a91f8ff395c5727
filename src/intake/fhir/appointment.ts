import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { appointmentStatuses, confirmations } from '../../history/appointment.ts';
import { schemaFaults } from '../../schema-faults.ts';
import { concept, namedConcept, present, reference, tidy, timeOf } from './elements.ts';
import { type Mapping, type MappingInput, unresolved } from './mapping.ts';
import { locationOf, practitionerOf, servicesMax } from './participants.ts';
import type { Target } from './references.ts';

const participant = Type.Object({
  type: Type.Optional(Type.Array(concept)),
  actor: Type.Optional(reference),
  required: Type.Optional(Type.String()),
  status: Type.Optional(Type.Enum([...confirmations])),
});

const schema = Type.Object({
  status: Type.Enum([...appointmentStatuses]),
  serviceType: Type.Optional(Type.Array(concept)),
  start: Type.Optional(Type.String()),
  end: Type.Optional(Type.String()),
  minutesDuration: Type.Optional(Type.Number()),
  created: Type.Optional(Type.String()),
  cancelationReason: Type.Optional(concept),
  participant: Type.Optional(Type.Array(participant)),
});
type FhirAppointment = Static<typeof schema>;

const validator = Compile(schema);
const minutesMax = 14_400;

export const mapAppointment: Mapping = (input) => {
  const { resource } = input;
  if (!validator.Check(resource)) return { faults: schemaFaults(validator.Errors(resource)) };
  const appointment: FhirAppointment = resource;
  const attendee = findAttendee(appointment, input);
  if (attendee !== null && attendee.target.id === null)
    return unresolved(`/participant/${attendee.index}/actor`);
  return {
    events: [
      {
        type: 'appointment.upserted',
        data: toAppointment(appointment, input, attendee),
        pointers: { '/createdAt': '/created', '/patientId': '/participant' },
      },
    ],
  };
};

interface Attendee {
  index: number;
  target: Target;
  confirmation: (typeof confirmations)[number] | undefined;
}

/** The patient who is to come; one who is only informed is not. */
function findAttendee(appointment: FhirAppointment, input: MappingInput): Attendee | null {
  for (const [index, { actor, required, status }] of (appointment.participant ?? []).entries()) {
    const target = input.references.resolve(actor, input.resource);
    if (target?.type !== 'Patient' || target.isContained || required === 'information-only')
      continue;
    return { index, target, confirmation: status };
  }
  return null;
}

function toAppointment(
  appointment: FhirAppointment,
  input: MappingInput,
  attendee: Attendee | null,
): object {
  const participants = appointment.participant ?? [];
  const minutes = appointment.minutesDuration;
  const isMinutes =
    minutes !== undefined && Number.isInteger(minutes) && minutes >= 1 && minutes <= minutesMax;
  return present({
    id: input.id,
    patientId: attendee?.target.id ?? undefined,
    status: appointment.status,
    confirmation: attendee?.confirmation,
    start: timeOf(appointment.start),
    end: timeOf(appointment.end),
    minutes: isMinutes ? minutes : undefined,
    practitioner: practitionerOf(
      participants
        .filter(({ actor }) => actor !== undefined)
        .map(({ type, actor }) => ({ type, actor })),
      input,
    ),
    services: (appointment.serviceType ?? [])
      .flatMap((service) => namedConcept(service) ?? [])
      .slice(0, servicesMax),
    location: locationOf(
      participants.map(({ actor }) => actor),
      input,
    ),
    createdAt: timeOf(appointment.created),
    sourceStatus: toReason(appointment.cancelationReason),
  });
}

function toReason(reason: Static<typeof concept> | undefined): object | undefined {
  const named = reason === undefined ? undefined : namedConcept(reason);
  if (named === undefined) return undefined;
  return present({ code: tidy(named.id, 100), label: tidy(named.name) });
}
