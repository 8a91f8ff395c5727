import { Type } from 'typebox';
import { invalid } from '../../errors.ts';
import { birthdaysBetween } from '../../history/birthday.ts';
import { formatHostId } from '../../history/host-id.ts';
import { patientOut, toPatientOut } from '../../history/patient.ts';
import {
  listBirthdays,
  listPatients,
  type PatientFilter,
  type PatientListKey,
  patientListKey,
} from '../../history/patient-store.ts';
import { parsePhone } from '../../phone.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { pageOf, pageQuery, pager, readInstant } from '../page.ts';
import { Day, HostIdText, strict } from '../words.ts';

const PatientOut = { ...patientOut, title: 'Patient' };

const BirthdayOut = Type.Object(
  {
    patientId: HostIdText,
    on: Type.String({
      description: 'The local day on which it is kept.',
      examples: ['2026-05-17'],
    }),
    birthDate: Type.String({ examples: ['1984-05-17'] }),
  },
  { title: 'Birthday' },
);

export const patientRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/patients',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listPatients',
        tags: ['Intake'],
        summary: 'List patients in the order in which they last changed',
        querystring: strict({
          ...pageQuery,
          phone: Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 60,
              description: 'In any spelling.',
              examples: ['+573001234567'],
            }),
          ),
          tag: Type.Optional(Type.String({ minLength: 1, maxLength: 200, examples: ['vip'] })),
          updatedSince: Type.Optional(
            Type.String({ minLength: 1, maxLength: 40, examples: ['2026-03-28T00:00:00Z'] }),
          ),
        }),
        response: { 200: pageOf(PatientOut) },
      },
    },
    async (request) => {
      const { caller, clinic, clinicId, run } = atClinic(deps, request);
      const { after, rowsWanted, toPage } = pager(deps, request, clinicId);
      const filter = readFilter(request.query, clinic);
      const page = { after: after as PatientListKey | null, limit: rowsWanted };
      const rows = await run((trx) => listPatients(trx, clinicId, filter, page));
      return toPage(rows, patientListKey, (row) => toPatientOut(row, caller.source));
    },
  );

  app.get(
    '/v1/birthdays',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listBirthdays',
        tags: ['Intake'],
        summary: 'List whose birthday is kept on which day',
        querystring: strict({ ...pageQuery, from: Day, to: Day }),
        response: { 200: pageOf(BirthdayOut) },
      },
    },
    async (request) => {
      const { caller, clinicId, run } = atClinic(deps, request);
      const { after, rowsWanted, toPage } = pager(deps, request, clinicId);
      const days = birthdaysBetween(request.query.from, request.query.to);
      const page = { after: after as readonly [string, string] | null, limit: rowsWanted };
      const rows = await run((trx) => listBirthdays(trx, clinicId, days, page));
      return toPage(
        rows,
        (row) => [row.on, row.id],
        ({ source, external_id: externalId, on, birth_date: birthDate }) => ({
          patientId: formatHostId({ source, externalId }, caller.source),
          on,
          birthDate,
        }),
      );
    },
  );
};

function readFilter(
  query: { phone?: string; tag?: string; updatedSince?: string },
  { country, timeZone }: { country: string; timeZone: string },
): PatientFilter {
  return {
    ...(query.phone !== undefined && { address: readPhone(query.phone, country) }),
    ...(query.tag !== undefined && { tag: query.tag }),
    ...(query.updatedSince !== undefined && {
      updatedSince: readInstant(query.updatedSince, timeZone, '/updatedSince'),
    }),
  };
}

function readPhone(text: string, country: string): string {
  const phone = parsePhone(text, country);
  if (!phone.ok) throw invalid('/phone', phone.reason, 'This is no telephone number.');
  return phone.e164;
}
