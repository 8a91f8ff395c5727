import type { TObject, TProperties } from 'typebox';
import { Type } from 'typebox';
import type { Trx } from '../../database/connect.ts';
import { notFound } from '../../errors.ts';
import {
  type AppointmentRow,
  appointmentOut,
  appointmentPut,
  toAppointmentOut,
} from '../../history/appointment.ts';
import { findAppointment } from '../../history/appointment-store.ts';
import { type HostId, hostIdPattern, parseHostId } from '../../history/host-id.ts';
import { type PatientRow, patientOut, patientPut, toPatientOut } from '../../history/patient.ts';
import { findPatientByHostId } from '../../history/patient-store.ts';
import { toVisitOut, type VisitRow, visitOut, visitPut } from '../../history/visit.ts';
import { findVisit } from '../../history/visit-store.ts';
import { deleteObject, type ObjectNoun, putObject } from '../../intake/put-object.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import { callerOf } from '../authenticate.ts';
import type { AppDeps } from '../deps.ts';
import { done } from '../words.ts';

/** Patients, appointments and visits under the host's own ids: the same three operations for each. */

interface Resource<Row> {
  noun: ObjectNoun;
  /** The noun with its article. */
  one: string;
  title: string;
  put: TObject<TProperties>;
  out: TObject<TProperties>;
  find(trx: Trx, clinicId: string, id: HostId): Promise<Row | null>;
  show(row: Row, source: string): Record<string, unknown>;
}

const patients: Resource<PatientRow> = {
  noun: 'patient',
  one: 'a patient',
  title: 'Patient',
  put: patientPut,
  out: patientOut,
  find: findPatientByHostId,
  show: toPatientOut,
};
const appointments: Resource<AppointmentRow> = {
  noun: 'appointment',
  one: 'an appointment',
  title: 'Appointment',
  put: appointmentPut,
  out: appointmentOut,
  find: findAppointment,
  show: toAppointmentOut,
};
const visits: Resource<VisitRow> = {
  noun: 'visit',
  one: 'a visit',
  title: 'Visit',
  put: visitPut,
  out: visitOut,
  find: findVisit,
  show: toVisitOut,
};

const Params = Type.Object({
  id: Type.String({
    pattern: hostIdPattern,
    maxLength: 264,
    description: "The host's id; another source's as `source~id`.",
    examples: ['1042'],
  }),
});

export const objectRoutes = (deps: AppDeps) => async (app: App) => {
  addResource(app, deps, patients);
  addResource(app, deps, appointments);
  addResource(app, deps, visits);
};

function addResource<Row>(app: App, deps: AppDeps, resource: Resource<Row>): void {
  const { noun, one, title } = resource;
  const url = `/v1/${noun}s/:id`;
  const Put = { ...resource.put, title: `${title}In` };
  const Out = { ...resource.out, title };

  app.put(
    url,
    {
      config: { access: 'intake' },
      schema: {
        operationId: `put${title}`,
        tags: ['Intake'],
        summary: `Store ${one} whole; the time of receipt orders it among the events`,
        params: Params,
        body: Put,
        response: { 200: Out, 201: Out },
      },
    },
    async (request, reply) => {
      const { caller, clinicId, run } = atClinic(deps, request);
      const { id } = request.params;
      const { isNew } = await putObject(deps, caller, noun, id, request.body as object);
      const hostId = parseHostId(id, caller.source);
      const row = await run((trx) => resource.find(trx, clinicId, hostId));
      if (row === null) throw notFound(noun);
      reply.code(isNew ? 201 : 200);
      return resource.show(row, caller.source);
    },
  );

  app.get(
    url,
    {
      config: { access: 'read' },
      schema: {
        operationId: `get${title}`,
        tags: ['Intake'],
        summary: `Show ${one}`,
        params: Params,
        response: { 200: Out },
      },
    },
    async (request) => {
      const { caller, clinicId, run } = atClinic(deps, request);
      const hostId = parseHostId(request.params.id, caller.source);
      const row = await run((trx) => resource.find(trx, clinicId, hostId));
      if (row === null) throw notFound(noun);
      return resource.show(row, caller.source);
    },
  );

  app.delete(
    url,
    {
      config: { access: 'intake' },
      schema: {
        operationId: `delete${title}`,
        tags: ['Intake'],
        summary: `Note that ${one} no longer exists; it is kept as deleted`,
        params: Params,
        response: { 204: done('Deleted.') },
      },
    },
    async (request, reply) => {
      const found = await deleteObject(deps, callerOf(request), noun, request.params.id);
      if (!found) throw notFound(noun);
      return reply.code(204).send(null);
    },
  );
}
