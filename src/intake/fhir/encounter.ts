import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { schemaFaults } from '../../schema-faults.ts';
import { concept, namedConcept, period, present, reference, timeOf } from './elements.ts';
import { type Mapping, type MappingInput, unresolved } from './mapping.ts';
import { locationOf, practitionerOf, servicesMax } from './participants.ts';

const statuses = Object.freeze({
  planned: 'planned',
  arrived: 'in-progress',
  triaged: 'in-progress',
  'in-progress': 'in-progress',
  onleave: 'in-progress',
  finished: 'finished',
  cancelled: 'cancelled',
  'entered-in-error': 'entered-in-error',
  // Not known to have ended, so that nothing counts from it.
  unknown: 'in-progress',
} as const);

const statusCodes = Object.keys(statuses) as (keyof typeof statuses)[];

const schema = Type.Object({
  status: Type.Enum(statusCodes),
  subject: Type.Optional(reference),
  appointment: Type.Optional(Type.Array(reference)),
  period: Type.Optional(period),
  serviceType: Type.Optional(concept),
  type: Type.Optional(Type.Array(concept)),
  participant: Type.Optional(
    Type.Array(
      Type.Object({
        type: Type.Optional(Type.Array(concept)),
        individual: Type.Optional(reference),
      }),
    ),
  ),
  location: Type.Optional(Type.Array(Type.Object({ location: reference }))),
});
type FhirEncounter = Static<typeof schema>;

const validator = Compile(schema);

export const mapEncounter: Mapping = (input) => {
  const { resource, references } = input;
  if (!validator.Check(resource)) return { faults: schemaFaults(validator.Errors(resource)) };
  const encounter: FhirEncounter = resource;
  const subject = references.resolve(encounter.subject, resource);
  // A group or a device came: that is nobody's visit.
  const isPatient = subject !== null && (subject.type === null || subject.type === 'Patient');
  if (
    isPatient &&
    subject.id === null &&
    !subject.isContained &&
    encounter.subject?.reference !== undefined
  ) {
    return unresolved('/subject');
  }
  const patientId = isPatient ? (subject.id ?? undefined) : undefined;
  return {
    events: [
      {
        type: 'visit.upserted',
        data: toVisit(encounter, input, patientId),
        pointers: { '/start': '/period/start', '/end': '/period/end', '/patientId': '/subject' },
      },
    ],
  };
};

function toVisit(
  encounter: FhirEncounter,
  input: MappingInput,
  patientId: string | undefined,
): object {
  const { resource, id, references } = input;
  const services = [encounter.serviceType, ...(encounter.type ?? [])]
    .flatMap((service) => (service === undefined ? [] : (namedConcept(service) ?? [])))
    .slice(0, servicesMax);
  return present({
    id,
    patientId,
    appointmentId: references.resolve(encounter.appointment?.[0], resource)?.id ?? undefined,
    status: statuses[encounter.status],
    start: timeOf(encounter.period?.start),
    end: timeOf(encounter.period?.end),
    practitioner: practitionerOf(
      (encounter.participant ?? []).map(({ type, individual }) => ({ type, actor: individual })),
      input,
    ),
    services,
    location: locationOf(
      (encounter.location ?? []).map(({ location }) => location),
      input,
    ),
  });
}
